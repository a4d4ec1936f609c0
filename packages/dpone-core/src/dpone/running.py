"""A run: a plan, its two connected ends, and who is told what happens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Protocol

from msgspec import Struct

from dpone import events
from dpone.connector import Connector, Layout, Sink, Source, Split, StageRef, Stored
from dpone.copying import Sent
from dpone.errors import DataError
from dpone.plan import Plan
from dpone.prepare import Prepared, prepare
from dpone.signals import Stop
from dpone.strategies import Load


class Elsewhere(Protocol):
    """Workers in other processes, which connect to both ends by themselves."""

    def copy(self, run: Run, prepared: Prepared, splits: Sequence[Split], stage: StageRef) -> Sent: ...


class Run(Struct, frozen=True):
    """A plan with its two connected ends, and who is told what happens.

    With `keeps`, a validated stage outlives a failure where the sink can keep it, and `dpone resume` publishes it.
    Splits are copied by threads of this process, or `elsewhere`.
    """

    id: str
    plan: Plan
    source: Source
    sink: Sink
    source_connector: Connector[Any]
    sink_connector: Connector[Any]
    notify: Callable[[events.Event], None]
    stop: Stop
    deadline: float | None = None
    keeps: bool = True
    elsewhere: Elsewhere | None = None

    def prepared(self, load: Load, current: Layout | None, stored: Stored | None) -> Prepared:
        """The load against the target as it is now, read from what is stored."""
        ends = self.source_connector, self.sink_connector
        return prepare(self.plan, load, *ends, current, stored, by_workers=self.elsewhere is not None)


def refuse_overtime(run: Run) -> None:
    """Raises when the run has used up its time."""
    if run.deadline is not None and monotonic() > run.deadline:
        raise DataError(
            f"the run took longer than {run.plan.limits.run_timeout}",
            code="limits.run_timeout",
            hint="raise `limits: {run_timeout: ...}`; nothing of this load was published",
        )
