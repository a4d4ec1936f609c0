from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from msgspec import field
from msgspec.structs import replace

from dpone import events, failpoints
from dpone.connector import Continued, KeptStage, Layout, Position, Split, Stage, Staged, StageSpec, Stored, Target
from dpone.errors import DataError, StateError
from dpone.observe.report import StreamReport, fold
from dpone.ops import Flag, Guard
from dpone.plan import Plan
from dpone.runner import Run, execute, load_of
from dpone.schema import Field, Schema
from dpone.signals import Interrupted, Stop, interruptible
from dpone.strategies import Read
from dpone.testing.recording import CONNECTOR, FakeLease, FakeReading, FakeSink, FakeSource, FakeStage, Log, plan

AT = Position(Read.SINCE, {"at": 7})


Started = tuple[Run, FakeSource, FakeSink, list[events.Event]]


class KeepingSink(FakeSink):
    """One that keeps every stage, and none for long."""

    kept: list[KeptStage] = field(default_factory=list)

    def keep_stage(self, stage: Stage, note: Mapping[str, Any]) -> bool:
        assert isinstance(stage, FakeStage)
        self.log("sink.keep")
        self.kept.append(KeptStage(stage.ref.id, note["pipeline"], note))
        return True

    def kept_stages(self, target: Target) -> Sequence[KeptStage]:
        return tuple(self.kept)

    def adopt_stage(self, spec: StageSpec) -> AbstractContextManager[tuple[Stage, Staged]]:
        raise AssertionError("nothing is resumed here")

    def drop_stage(self, target: Target, load_id: str) -> None:
        self.log(f"sink.drop {load_id}")


def started(log: Log, the_plan: Plan | None = None, **sink: Any) -> Started:
    source, target = FakeSource(log, reading=FakeReading(upto=AT)), FakeSink(log, **sink)
    told: list[events.Event] = []
    run = Run("r1", the_plan or plan(), source, target, CONNECTOR, CONNECTOR, told.append, Stop())
    return run, source, target, told


ORDER = [
    "sink.lease",
    "source.open",
    "sink.stage",
    "sink.writer 0",
    "source.read 0",
    "source.close",
    "stage.seal",
    "sink.publication",
    "publication.ensure",
    "publication.apply",
    "publication.measure",
    "publication.save_position",
    "publication.commit",
    "source.settle 7",
    "stage.drop",
    "sink.release",
]


def test_a_run_stages_validates_finalises_reconciles_commits_and_settles_in_this_order() -> None:
    log = Log()
    run, _, sink, told = started(log)
    execute(run)
    assert log.asked == ORDER
    assert sink.stored == Stored(AT, 1, "r1.orders")
    names = [type(e).__name__ for e in told]
    assert names == [
        "LeaseTaken", "FormatChosen", "ReadingOpened", "BatchStaged", "StageSealed", "StageValidated",
        "LayoutEnsured", "OpApplied", "Reconciled", "StateCommitted", "SourceSettled",
    ]  # fmt: skip


def test_a_stored_position_is_settled_before_anything_is_read() -> None:
    log = Log()
    run, _, _, _ = started(log, stored=Stored(Position(Read.SINCE, {"at": 3}), 4, "r0.orders"))
    execute(run)
    assert log.asked[:3] == ["sink.lease", "source.settle 3", "source.open"]


@pytest.mark.parametrize("where", ORDER[1:12])
def test_whatever_fails_before_the_commit_leaves_the_position_as_it_was(where: str) -> None:
    log = Log(fails_at=where)
    run, _, sink, _ = started(log)
    with pytest.raises(DataError, match="planted"):
        execute(run)
    assert sink.stored is None
    assert "publication.commit" not in log.asked
    assert "source.settle 7" not in log.asked


def test_rows_that_the_stage_did_not_receive_stop_the_run() -> None:
    log = Log()
    run, source, sink, _ = started(log)
    source.claimed = 4
    with pytest.raises(DataError) as caught:
        execute(run)
    assert caught.value.code == "stage.rows_lost"
    assert sink.stored is None


def test_a_target_that_does_not_add_up_is_not_committed() -> None:
    log = Log()
    run, _, sink, _ = started(log)
    sink.rows = 2  # rows that nobody's counts explain
    with pytest.raises(DataError) as caught:
        execute(run)
    assert caught.value.code == "reconcile.rows_differ"
    assert "publication.save_position" not in log.asked


def test_a_load_id_is_used_once() -> None:
    log = Log()
    run, _, _, _ = started(log, lease_=FakeLease(None, loads=frozenset({"r1.orders"})))
    with pytest.raises(StateError) as caught:
        execute(run)
    assert caught.value.code == "state.run_id_used"
    assert "source.open" not in log.asked


def test_an_operation_on_other_pipelines_rows_is_refused_before_reading() -> None:
    log = Log()
    refresh = plan(strategy="full_refresh", load=replace(plan().load, guard=Guard(1.0)))
    run, _, _, _ = started(log, refresh, lease_=FakeLease(None, others=("invoices",)))
    with pytest.raises(StateError) as caught:
        execute(run)
    assert caught.value.code == "state.target_shared"
    assert "source.open" not in log.asked


def test_every_split_is_written_and_a_failing_one_stops_the_others() -> None:
    log = Log()
    run, source, _, _ = started(log)
    source.reading.splits = (Split("a"), Split("b"))
    execute(run)
    assert {"source.read a", "source.read b"} <= set(log.asked)

    failing = Log(fails_at="source.read b")
    run, source, sink, _ = started(failing)
    source.reading.splits = (Split("a"), Split("b"))
    with pytest.raises(DataError, match="planted"):
        execute(run)
    assert sink.stored is None


def backfill(days: int) -> Plan:
    base = plan()
    load = replace(base.load, slice_column="id", bounds=(0, days))
    chunks = tuple((day, day + 1) for day in range(days))
    return replace(base, strategy="backfill", load=load, chunks=chunks, workers=2)


def test_chunks_are_published_one_after_another_and_the_last_closes_the_plan() -> None:
    log = Log()
    run, source, _, told = started(log, backfill(4))
    source.reading.upto = None
    execute(run)
    assert [(c.id, c.last) for c in log.chunks] == [("0..1", False), ("1..2", False), ("2..3", False), ("3..4", True)]
    assert len({c.plan for c in log.chunks}) == 1
    loads = [e.load_id for e in told if isinstance(e, events.StateCommitted)]
    assert loads == [f"r1.{n}..{n + 1}.orders" for n in range(4)]


def test_a_rerun_does_only_the_chunks_that_are_left() -> None:
    log = Log()
    run, source, _, told = started(log, backfill(4), lease_=FakeLease(None, done=frozenset({"0..1", "1..2"})))
    source.reading.upto = None
    execute(run)
    assert [c.id for c in log.chunks] == ["2..3", "3..4"]
    assert [e.chunk for e in told if isinstance(e, events.ChunkSkipped)] == ["0..1", "1..2"]


class GoingOn(FakeReading):
    """A reading that begins with what an earlier process had."""

    continued: Continued | None = None


@pytest.mark.parametrize("before", [None, Continued(3, datetime(2026, 1, 1, tzinfo=UTC))])
def test_a_reading_that_goes_on_says_so(before: Continued | None) -> None:
    run, source, _, told = started(Log())
    source.reading = GoingOn(upto=AT, continued=before)
    execute(run)
    said = [e for e in told if isinstance(e, events.ReadingContinued)]
    assert said == ([] if before is None else [events.ReadingContinued(before.parts, before.begun)])
    report = StreamReport("orders")
    for event in told:
        report = fold(report, event, 0.0)
    assert report.continued == (before and {"parts": 3, "begun": "2026-01-01T00:00:00+00:00"})


def test_a_stage_is_kept_once_it_is_validated_and_those_of_earlier_runs_go() -> None:
    log = Log(fails_at="publication.apply")
    kept = [KeptStage("r0.orders", "orders", {"run_id": "r0"}), KeptStage("r0.others", "others", {"run_id": "r0"})]
    sink = KeepingSink(log, kept=kept)
    with pytest.raises(DataError, match="planted"):
        execute(replace(started(log)[0], sink=sink))
    asked = [
        a for a in log.asked if a.startswith(("stage.seal", "stage.measure", "sink.keep", "sink.drop", "publication"))
    ]
    assert asked == ["stage.seal", "sink.keep", "sink.drop r0.orders", "publication.ensure", "publication.apply"]
    note = sink.kept[-1].note
    assert (note["run_id"], note["load_id"], note["upto"]["token"], note["staged"]["live"]) == (
        "r1",
        "r1.orders",
        {"at": 7},
        3,
    )


def test_a_stage_that_fails_its_checks_is_not_kept() -> None:
    log = Log()
    run, source, _, _ = started(log)
    source.claimed = 4
    with pytest.raises(DataError, match="were sent"):
        execute(replace(run, sink=KeepingSink(log)))
    assert "sink.keep" not in log.asked


def test_each_failpoint_of_the_runner_is_hit() -> None:
    hits: list[str] = []
    log = Log()
    run = replace(started(log)[0], sink=KeepingSink(log))
    own = [name for name in failpoints.RUN if name != "after_each_op"]  # that one is the sink's
    with ExitStack() as stack:
        for name in own:
            stack.enter_context(failpoints.arm(name, partial(hits.append, name)))
        execute(run)
    assert hits == own


def test_a_signal_before_the_commit_rolls_back_and_one_during_it_waits() -> None:
    log = Log()
    run, _, sink, _ = started(log)
    terminate = partial(signal.raise_signal, signal.SIGTERM)
    with interruptible() as stop, failpoints.arm("after_seal", terminate), pytest.raises(Interrupted) as early:
        execute(replace(run, stop=stop))
    assert early.value.exit_code == 143
    assert sink.stored is None

    log = Log()
    run, _, sink, _ = started(log)
    interrupt = partial(signal.raise_signal, signal.SIGINT)
    with interruptible() as stop, failpoints.arm("after_save_position", interrupt), pytest.raises(Interrupted) as late:
        execute(replace(run, stop=stop))
    assert late.value.exit_code == 130
    assert sink.stored is not None


def test_a_row_outside_the_domain_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    run, source, sink, _ = started(log, backfill(1))
    source.reading.upto = None
    monkeypatch.setattr(FakeStage, "measure", lambda _, probe: dict.fromkeys(probe, 1))
    with pytest.raises(DataError) as caught:
        execute(run)
    assert caught.value.code == "stage.null_key"
    assert sink.stored is None


def test_a_new_column_is_added_and_a_dropped_one_asks() -> None:
    log = Log()
    run, _, sink, told = started(log)
    sink.layout = Layout(Schema((Field("id", plan().columns[0].field.type, native="fake:int64"),)))
    execute(run)
    ensured = next(e for e in told if isinstance(e, events.LayoutEnsured))
    assert [type(c).__name__ for c in ensured.changes] == ["AddColumn"]


def test_a_soft_delete_happens_when_the_load_does() -> None:
    soft = plan(
        strategy="incremental_merge", load=replace(plan().load, key=("id",), deletes=Flag("gone", plan().load.at))
    )
    run, _, _, _ = started(Log(), soft)
    load = load_of(run, "r1.orders", FakeLease(None))
    assert load.deletes == Flag("gone", load.at)
    assert load.at > soft.load.at
