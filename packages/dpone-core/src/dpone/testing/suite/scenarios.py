"""A first and a second load of each kind of program, for tests that cut a load off and begin again.

Named, so that a process that will be killed can build the same job from the name alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from dpone.connector import Target
from dpone.ops import Flag
from dpone.strategies import STRATEGIES, Read
from dpone.testing.suite.jobs import Entries, Job, job, next_instant
from dpone.testing.suite.rig import SinkRig
from dpone.testing.suite.shapes import FREE, MIXED, changed, gone, row, rows


class Scenario(Struct, frozen=True):
    """`first` fills the target, `second` is the load that is cut off."""

    strategy: str
    first: Callable[[], Entries]
    second: Callable[[], Entries]
    load: Callable[[], Mapping[str, Any]] = dict

    @property
    def goes_by_position(self) -> bool:
        """After a commit the source has nothing more to give; a scan gives the same rows again."""
        return STRATEGIES[self.strategy].read is not Read.SCAN

    def job(self, rig: SinkRig, target: Target) -> Job:
        rig.require(*STRATEGIES[self.strategy].emits)
        made = job(rig, self.strategy, MIXED, target=target, **self.load())
        return replace(made, audit=True, changes=self.strategy in {"incremental_merge", "cdc"})

    def empty(self) -> Entries:
        return []


SCENARIOS: dict[str, Scenario] = {
    "recreate": Scenario(
        "full_refresh", lambda: rows(1, 2, 3), lambda: [row(2, region="b"), *rows(3, 4, 5)], lambda: {"guard": FREE}
    ),
    "append": Scenario("incremental_append", lambda: rows(1, 2, 3), lambda: rows(4, 5)),
    "merge": Scenario(
        "incremental_merge",
        lambda: [changed(n, n) for n in (1, 2, 3)],
        lambda: [changed(2, 1, region="b"), gone(3, 2), changed(4, 3)],
        lambda: {"deletes": Flag("deleted_at", next_instant())},
    ),
    "diff": Scenario(
        "snapshot_diff", lambda: rows(1, 2, 3), lambda: [row(2, region="b"), row(4)], lambda: {"guard": FREE}
    ),
    "slices": Scenario(
        "partition_replace",
        lambda: rows(1, 2, 3, 6),
        lambda: [row(7, region="b")],
        lambda: {"slice_column": "day", "guard": FREE},
    ),
    "history": Scenario("scd2", lambda: rows(1, 2, 3), lambda: [row(1), row(2, region="b"), row(4)]),
}


def timed(the_job: Job, at: datetime) -> Job:
    """The same job with deletes flagged at this time, as a load of that time flags them."""
    deletes = the_job.load.deletes
    return the_job.with_load(deletes=replace(deletes, at=at)) if isinstance(deletes, Flag) else the_job
