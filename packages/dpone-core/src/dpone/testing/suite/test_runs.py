"""Whole runs by the runner: every strategy from and into the connector, first, changed, unchanged and emptied.

What must be in the target follows from what was seeded, not from a strategy's program.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import pytest
from msgspec.structs import replace

from dpone.connector import KeepsStages
from dpone.events import OpApplied, StateCommitted
from dpone.failpoints import RUN
from dpone.plan import Plan
from dpone.schema import Field, timestamptz
from dpone.stage import key_of
from dpone.strategies import STRATEGIES
from dpone.testing.suite.compare import normal
from dpone.testing.suite.places import at, passed
from dpone.testing.suite.plain import NOON, many
from dpone.testing.suite.refusals import refused
from dpone.testing.suite.rig import Seeded, SinkRig, SourceRig
from dpone.testing.suite.running import FREE, plan_of, run
from dpone.testing.testkit import PLAIN, Delete, Insert, Mutation, Update
from dpone.where import Row

LATER = NOON + timedelta(days=100)
BEFORE: list[Row] = many(12)
CHANGES: tuple[Mutation, ...] = (
    Update({"id": 3}, {"name": "changed", "updated_at": LATER}),
    Update({"id": 4}, {"name": None, "amount": None, "updated_at": LATER}),
    Delete({"id": 5}),
    Insert({"id": 50, "name": "new", "updated_at": LATER}),
)
WHOLE = {"full_refresh", "replace", "snapshot_diff", "cdc", "scd2"}  # the target is as the source is


def _after() -> list[Row]:
    """The source after the changes."""
    rows = {row["id"]: dict(row) for row in BEFORE if row["id"] != 5}  # noqa: PLR2004 - the one that is deleted
    rows[3] |= {"name": "changed", "updated_at": LATER}
    rows[4] |= {"name": None, "amount": None, "updated_at": LATER}
    rows[50] = {"id": 50, "name": "new", "amount": None, "updated_at": LATER}
    return list(rows.values())


def _expected(strategy: str, source: SourceRig) -> list[Row]:
    """The target after a first run and one after the changes.

    A source that goes by positions of its own, and not by a column, says itself what was deleted.
    """
    if strategy in WHOLE or (strategy == "incremental_merge" and not source.source_kit.cursors):
        return _after()
    deleted = [row for row in BEFORE if row["id"] == 5]  # noqa: PLR2004 - a deletion that is not seen
    if strategy == "incremental_append":  # its key is known already, so a changed row is no new one
        return [*BEFORE, *(row for row in _after() if row["id"] == 50)]  # noqa: PLR2004 - the new one
    return [*_after(), *deleted]


STRATEGY = pytest.mark.parametrize("strategy", [s for s in STRATEGIES if s not in {"backfill", "partition_replace"}])


def _seed(source: SourceRig, strategy: str, rows: Sequence[Row] = BEFORE) -> Seeded:
    read = STRATEGIES[strategy].read
    source.require(read)
    if missing := [m for m in CHANGES if type(m) not in source.source_kit.mutations]:
        pytest.skip(f"rows of {source.connector.name} cannot be changed by {type(missing[0]).__name__}")
    return source.seed(PLAIN, rows, read)


def _check(sink: SinkRig, plan: Plan, rows: Sequence[Row], strategy: str, where: str) -> None:

    fields: tuple[Field, ...] = PLAIN.fields
    if strategy != "scd2":
        sink.assert_rows(plan.target, rows, fields, where)
        return
    history = (*fields, Field("valid_from", timestamptz(6)), Field("valid_to", timestamptz(6)))
    found = sink.found(plan.target, history)
    open_rows = [dict(zip(PLAIN.names, row, strict=False)) for row in found.elements() if row[-1] is None]

    expected = [{f.name: normal(row.get(f.name), f.type) for f in fields} for row in rows]
    assert sorted(open_rows, key=lambda r: key_of(r, ("id",))) == sorted(expected, key=lambda r: key_of(r, ("id",)))


@STRATEGY
def test_runs_into_the_sink(memory_source: SourceRig, sink: SinkRig, strategy: str) -> None:
    _first_second_unchanged(_seed(memory_source, strategy), sink, strategy)


@STRATEGY
def test_runs_from_the_source(source: SourceRig, memory_sink: SinkRig, strategy: str) -> None:
    _first_second_unchanged(_seed(source, strategy), memory_sink, strategy)


def _first_second_unchanged(seeded: Seeded, sink: SinkRig, strategy: str) -> None:
    sink.require(*STRATEGIES[strategy].emits)
    plan = plan_of(seeded, sink, sink.target(), strategy)
    run(plan, seeded, sink)
    _check(sink, plan, seeded.rows, strategy, "target after the first run")
    seeded.change(*CHANGES)
    told = run(plan, seeded, sink)
    _check(sink, plan, _expected(strategy, seeded.rig), strategy, "target after the second run")
    assert [e.generation for e in told if isinstance(e, StateCommitted)] == [2]
    told = run(plan, seeded, sink)
    _check(sink, plan, _expected(strategy, seeded.rig), strategy, "target after an unchanged run")
    if strategy not in {"full_refresh", "replace"}:
        counts = [e.counts for e in told if isinstance(e, OpApplied)]
        assert all(c.inserted == c.deleted == 0 for c in counts), f"an unchanged run did {counts}"


@STRATEGY
def test_an_empty_source_makes_an_empty_target(memory_source: SourceRig, sink: SinkRig, strategy: str) -> None:
    seeded = _seed(memory_source, strategy, [])
    sink.require(*STRATEGIES[strategy].emits)
    plan = plan_of(seeded, sink, sink.target(), strategy)
    for _ in range(2):
        run(plan, seeded, sink)
        _check(sink, plan, [], strategy, "target of an empty source")


def test_a_run_id_is_used_once(memory_source: SourceRig, sink: SinkRig) -> None:
    seeded = _seed(memory_source, "incremental_append")
    sink.require(*STRATEGIES["incremental_append"].emits)
    plan = plan_of(seeded, sink, sink.target(), "incremental_append")
    run(plan, seeded, sink, "the-run")
    with refused("state.run_id_used"):
        run(plan, seeded, sink, "the-run")
    _check(sink, plan, seeded.rows, "incremental_append", "target after a refused run")


@pytest.mark.parametrize("splits", [1, 3])
def test_splits_of_a_run_arrive_once(source: SourceRig, memory_sink: SinkRig, splits: int) -> None:

    seeded = source.seed(PLAIN, many(300))
    plan = replace(plan_of(seeded, memory_sink, memory_sink.target(), "full_refresh"), splits=splits)
    run(plan, seeded, memory_sink)
    _check(memory_sink, plan, seeded.rows, "full_refresh", f"target of {splits} splits")


def test_chunks_of_a_backfill_arrive_once(memory_source: SourceRig, sink: SinkRig) -> None:

    seeded = _seed(memory_source, "backfill")
    sink.require(*STRATEGIES["backfill"].emits)
    plan = plan_of(seeded, sink, sink.target(), "backfill", slice_column="id", guard=FREE)
    plan = replace(plan, chunks=((0, 4), (4, 8), (8, 12)), workers=2)
    run(plan, seeded, sink)
    _check(sink, plan, seeded.rows, "backfill", "target of three chunks")


# ------------------------------------------------------------------------- cut off

CUT_OFF = pytest.mark.parametrize("strategy", ["full_refresh", "incremental_merge", "xmin", "cdc"])


class CutError(Exception):
    """The run ends here."""


def _cut() -> None:
    raise CutError


@pytest.mark.timeout(600)  # four runs for each of some fifteen places, on a machine that others use too
@CUT_OFF
def test_runs_from_the_source_that_fail_at_any_step_are_run_again(
    source: SourceRig, memory_sink: SinkRig, strategy: str
) -> None:
    """Nothing is settled before it is committed, and what was not settled in time is settled by the next run."""
    _fail_everywhere(source, memory_sink, strategy)


@pytest.mark.timeout(600)  # four runs for each of some fifteen places, on a machine that others use too
@CUT_OFF
def test_runs_into_the_sink_that_fail_at_any_step_are_run_again(
    memory_source: SourceRig, sink: SinkRig, strategy: str
) -> None:
    _fail_everywhere(memory_source, sink, strategy)


def _fail_everywhere(source: SourceRig, sink: SinkRig, strategy: str) -> None:
    sink.require(*STRATEGIES[strategy].emits)
    expected = _expected(strategy, source)
    seeded = _seed(source, strategy)
    plan = plan_of(seeded, sink, sink.target(), strategy)
    places = passed(lambda: run(plan, seeded, sink))
    with sink.sink() as connected:
        kept = set() if isinstance(connected, KeepsStages) else {"after_keep"}
    assert set(RUN) - kept <= set(places), f"a run does not pass {sorted(set(RUN) - kept - set(places))}"
    for place in places:
        seeded = _seed(source, strategy)
        plan = plan_of(seeded, sink, sink.target(), strategy)
        run(plan, seeded, sink)
        seeded.change(*CHANGES)
        with suppress(CutError), at(place, _cut):  # a place that only a first run passes cuts nothing
            run(plan, seeded, sink)
        run(plan, seeded, sink)
        _check(
            sink,
            plan,
            _expected(strategy, source),
            strategy,
            f"target after a run that failed at {place}, and the next",
        )
        seeded.change(Insert({"id": 60, "name": "after", "updated_at": LATER + timedelta(days=1)}))
        run(plan, seeded, sink)
        new = {"id": 60, "name": "after", "amount": None, "updated_at": LATER + timedelta(days=1)}
        _check(
            sink,
            plan,
            [*expected, new],
            strategy,
            f"target two runs after one that failed at {place}",
        )
