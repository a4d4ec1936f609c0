"""Every strategy over random loads against the oracle, and every stage applied twice."""
# ruff: noqa: PLR2004 - expected numbers are the point of a test

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

import pytest

from dpone.ops import (
    Absent,
    Append,
    DeletePolicy,
    Flag,
    Grain,
    Hard,
    Ignore,
)
from dpone.schema import Schema
from dpone.stage import Change
from dpone.strategies import STRATEGIES, Read
from dpone.testing.suite.jobs import next_instant
from dpone.testing.suite.rig import SinkRig
from dpone.testing.suite.shapes import (
    DAY_ZERO,
    FREE,
    MIXED,
    holdable,
    random_changes,
    random_rows,
    row,
)
from dpone.testing.suite.streams import Stream, stream, stream_of


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_random_loads(sink: SinkRig, strategy: str, seed: int) -> None:
    random = Random(f"{strategy}-{seed}")  # noqa: S311 - rows are not secrets
    s = stream(sink, strategy, _schema_of(strategy), audit=seed == 3, **_random_options(random, strategy))
    for _ in range(4):
        policy = s.job.load.deletes
        deletes = Flag("deleted_at", next_instant()) if isinstance(policy, Flag) else policy
        s.load(holdable(sink.kit, _random_entries(random, s, strategy)), deletes=deletes)


def _random_entries(random: Random, s: Stream, strategy: str) -> list[Any]:
    if STRATEGIES[strategy].read is not Read.CHANGES:
        return _within(strategy, random_rows(random))
    if s.loads == 0:
        return [Change(r, seq=i) for i, r in enumerate(random_rows(random))]
    changes = random_changes(random, [r["id"] for r in s.seen()])
    if s.rig.spec_of_sink.keeps_partial:
        return changes
    return [Change(c.row, c.kind, c.seq) for c in changes]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_same_stage_again_leaves_the_same_rows(sink: SinkRig, strategy: str) -> None:
    s = stream(sink, strategy, _schema_of(strategy), **_options(strategy, Hard()))
    made = [row(n, day=DAY_ZERO + timedelta(days=n)) for n in range(1, 7)]
    entries: list[Any] = [Change(r, seq=i) for i, r in enumerate(made)] if s.job.changes else list(made)
    moment = next_instant()
    s.load(entries, at=moment)
    before = s.seen()
    if strategy == "incremental_append":  # it goes by the load's id, which a second load has not
        s.job = stream_of(sink, (Append("again", ("id",)),), MIXED, target=s.job.target).job
    s.load(entries, at=moment)
    assert s.seen() == before


def _options(strategy: str, deletes: DeletePolicy) -> dict[str, Any]:
    options: dict[str, Any] = {"guard": FREE, "deletes": deletes}
    if strategy in {"partition_replace", "backfill"}:
        options["slice_column"] = "day"
    if strategy == "backfill":
        options["bounds"] = (DAY_ZERO + timedelta(days=1), DAY_ZERO + timedelta(days=20))
    return options


def _random_options(random: Random, strategy: str) -> dict[str, Any]:
    policies: list[DeletePolicy] = [Hard(), Ignore(), Flag("deleted_at", next_instant())]
    deletes = random.choice(policies)
    options = _options(strategy, deletes)
    if strategy == "partition_replace":
        options["grain"] = random.choice([Grain.VALUE, Grain.DAY, Grain.MONTH, Grain.YEAR])
    if strategy == "incremental_merge" and random.choice([True, False]):
        options["newer"] = "seen_at"
    if strategy == "incremental_append" and random.choice([True, False]):
        options["key"] = ("id",)
    if strategy == "scd2":
        options["absent"] = random.choice(list(Absent))
    return options


def _schema_of(strategy: str) -> Schema:
    return Schema(MIXED.fields) if strategy in {"partition_replace", "backfill", "replace", "full_refresh"} else MIXED


def _within(strategy: str, made: list[Any]) -> list[Any]:
    """Rows in the domain of the strategy's program."""
    if strategy == "partition_replace":
        return [r for r in made if r["day"] is not None]
    if strategy == "backfill":
        lo, hi = DAY_ZERO + timedelta(days=1), DAY_ZERO + timedelta(days=20)
        return [r for r in made if r["day"] is not None and lo <= r["day"] < hi]
    return made
