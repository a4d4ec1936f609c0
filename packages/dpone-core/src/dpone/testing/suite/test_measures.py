"""Probes: a stage and a target answer each measure as rows in memory do."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from msgspec.structs import replace

from dpone.connector import Commit, Stored
from dpone.ops import Append
from dpone.probes import Beyond, Duplicates, Greatest, Least, Measurement, Nulls, Outside, Probe, Rows, Total
from dpone.schema import FLOAT32, INT16, Field, Schema, decimal
from dpone.testing.memory.measures import measure
from dpone.testing.suite.compare import normal
from dpone.testing.suite.jobs import Attempt
from dpone.testing.suite.rig import SinkRig
from dpone.testing.suite.shapes import DAY_ZERO, MIXED, NOON, NORTH, row
from dpone.testing.suite.streams import stream_of
from dpone.where import Compare, Condition, Row

SHAPE = Schema((*MIXED.fields, Field("small", INT16), Field("wide", decimal(38, 9)), Field("real", FLOAT32)))

ROWS: list[Row] = [
    row(1, small=-32768, wide=Decimal("12345678901234567890123456789.123456789"), real=0.5),
    row(2, small=32767, wide=Decimal("-0.000000001"), real=None, region="south"),
    row(2, small=None, wide=None, real=-1.25, region="", amount=None),
    row(4, id=4, small=0, wide=Decimal("0.000000001"), real=None, region=None, day=None, score=None, seen_at=None),
    row(5, small=32767, wide=Decimal("99999999999999999999999999999.999999999"), real=2.0, region="größe"),
]

PROBE: Probe = (
    Rows(),
    Rows(NORTH),
    Rows((Condition("region", Compare.IS_NULL),)),
    Rows((Condition("id", Compare.GE, 2), Condition("region", Compare.NE, "south"))),
    Rows((Condition("region", Compare.IN, ("", "größe")),)),
    Rows((Condition("region", Compare.NOT_IN, ("", "größe")),)),
    Rows((Condition("seen_at", Compare.GT, NOON + timedelta(hours=1, microseconds=1)),)),
    Nulls("region"),
    Nulls("id"),
    Duplicates(("id",)),
    Duplicates(("region", "id")),
    Outside("region", ("north", "")),
    Outside("id", (1, 2)),
    Beyond("id", 2, 5),
    Beyond("day", DAY_ZERO + timedelta(days=1), DAY_ZERO + timedelta(days=3)),
    Least("id"),
    Greatest("id"),
    Least("day"),
    Greatest("seen_at"),
    Least("wide"),
    Greatest("small"),
    Total("id"),
    Total("small"),
    Total("amount"),
    Total("wide"),
)


def _plain(found: Measurement, probe: Probe) -> dict[object, object]:
    assert set(found) == set(probe), "one answer for each measure"
    kinds = {f.name: f.type for f in SHAPE}
    answers: dict[object, object] = {}
    for asked in probe:
        answer = found[asked]
        if isinstance(asked, Least | Greatest):
            answer = normal(answer, kinds[asked.column])
        elif isinstance(asked, Total):
            assert answer is None or isinstance(answer, int | Decimal), f"{asked} is exact: {answer!r}"
            answer = None if answer is None else Decimal(answer)
        answers[asked] = answer
    return answers


def _assert_answers(found: Measurement, rows: list[Row], where: str) -> None:
    expected, answered = _plain(measure(rows, PROBE), PROBE), _plain(found, PROBE)
    for asked, answer in expected.items():
        assert answered[asked] == answer, f"{where}: {asked} is {answered[asked]!r}, expected {answer!r}"


def test_a_stage_answers_every_measure(sink: SinkRig) -> None:
    for rows in (ROWS, []):
        s = stream_of(sink, (Append("first"),), SHAPE)
        with sink.sink() as connected, connected.lease(s.job.target, "suite") as lease:
            attempt = Attempt.begin(sink, s.job, connected, lease)
            with attempt.staged(rows) as (stage, _):
                _assert_answers(stage.measure(PROBE), rows, f"stage of {len(rows)} rows")


def test_a_publication_answers_over_the_target_as_it_will_be(sink: SinkRig) -> None:
    s = stream_of(sink, (Append("first"),), SHAPE)
    s.load(ROWS[:2])
    s.job = stream_of(sink, (Append("second"),), SHAPE, target=s.job.target).job
    with sink.sink() as connected, connected.lease(s.job.target, "suite") as lease:
        attempt = Attempt.begin(sink, s.job, connected, lease)
        with (
            attempt.staged(ROWS[2:]) as (stage, _),
            connected.publication(attempt.spec, attempt.load) as publication,
        ):
            publication.ensure(attempt.spec.layout, attempt.evolution.changes)
            _assert_answers(publication.measure(PROBE), ROWS[:2], "target before the program")
            publication.apply(attempt.program, stage)
            _assert_answers(publication.measure(PROBE), ROWS, "target after the program")
            assert lease.stored is not None
            new = Stored(None, lease.stored.generation + 1, attempt.load.id)
            publication.save_position(Commit(lease.stored, new, "run"))
            publication.commit()
    s.expect(s.job, ROWS[2:], attempt.load)
    s.check()


def test_a_stage_of_changes_measures_its_live_rows_alone(sink: SinkRig) -> None:
    from dpone.testing.suite.shapes import changed, gone
    from dpone.testing.suite.streams import stream, tagged

    s = tagged(stream(sink, "incremental_merge", MIXED))
    with sink.sink() as connected, connected.lease(s.job.target, "suite") as lease:
        attempt = Attempt.begin(sink, replace(s.job), connected, lease)
        entries = [changed(1, 1, region="a"), changed(1, 2, region="b"), changed(2, 3), gone(2, 4), gone(3, 5)]
        with attempt.staged(entries) as (stage, _):
            found = stage.measure((Rows(), Total("id"), Outside("region", ("b",))))
            assert found == {Rows(): 1, Total("id"): Decimal(1), Outside("region", ("b",)): 0}
