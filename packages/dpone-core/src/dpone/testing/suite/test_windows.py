"""Reading since a position: what is new, what came late, what is equal, and nothing lost or read past."""
# ruff: noqa: PLR2004 - expected numbers are the point of a test

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from dpone.connector import Cursor, Late, ReadRequest
from dpone.schema import DATE, INT64, STRING, Field, Kind, Schema, Type, timestamp, timestamptz
from dpone.strategies import Read
from dpone.testing.suite.readings import Gathered, gather, request_of, since
from dpone.testing.suite.refusals import refused
from dpone.testing.suite.rig import Seeded, SourceRig
from dpone.testing.testkit import Delete, Insert, Update
from dpone.where import Row

TYPES: dict[Kind, Type] = {
    Kind.INT: INT64,
    Kind.DATE: DATE,
    Kind.TIMESTAMP: timestamp(6),
    Kind.TIMESTAMPTZ: timestamptz(6),
}


class Ticks:
    """Values of a cursor by their number, one step apart."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        make: dict[Kind, Callable[[int], Any]] = {
            Kind.INT: lambda n: 1_000_000_007 + n,
            Kind.DATE: lambda n: date(2024, 1, 1) + timedelta(days=n),
            Kind.TIMESTAMP: lambda n: datetime(2024, 1, 1) + timedelta(microseconds=n),  # noqa: DTZ001 - a wall clock
            Kind.TIMESTAMPTZ: lambda n: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(microseconds=n),
        }
        self.at = make[kind]
        steps: dict[Kind, Any] = {Kind.INT: 1, Kind.DATE: timedelta(days=1)}
        self.step = steps.get(kind, timedelta(microseconds=1))


def shape(kind: Kind) -> Schema:
    return Schema((Field("id", INT64, nullable=False), Field("c", TYPES[kind]), Field("v", STRING)), key=("id",))


@pytest.fixture(params=list(TYPES), ids=lambda kind: kind.value)
def ticks(request: pytest.FixtureRequest, source: SourceRig) -> Ticks:
    source.require(Read.SINCE)
    kind: Kind = request.param
    if kind not in source.source_kit.cursors:
        pytest.skip(f"a {kind.value} is no cursor of {source.connector.name}")
    return Ticks(kind)


def _seed(source: SourceRig, ticks: Ticks, *numbers: int | None) -> Seeded:
    rows: list[Row] = [
        {"id": i, "c": None if n is None else ticks.at(n), "v": f"row {i}"} for i, n in enumerate(numbers)
    ]
    return source.seed(shape(ticks.kind), rows, Read.SINCE)


def _insert(seeded: Seeded, ticks: Ticks, row_id: int, tick: int) -> None:
    seeded.change(Insert({"id": row_id, "c": ticks.at(tick), "v": f"row {row_id}"}))


def _ids(gathered: Gathered) -> list[int]:
    """The ids that were read, each as often as it was."""
    return sorted(int(str(row["id"])) for row in gathered.rows)


def _request(seeded: Seeded, *, lag: Any = 0, skip_nulls: bool = False, late: Late = Late.OVERLAP) -> ReadRequest:
    return request_of(seeded, Read.SINCE, cursor=Cursor("c", late, lag, skip_nulls))


# --------------------------------------------------------------------------- overlap


def test_the_first_reading_is_of_everything(source: SourceRig, ticks: Ticks) -> None:
    seeded = _seed(source, ticks, 5, 1, 9)
    gathered = gather(seeded, _request(seeded))
    assert _ids(gathered) == [0, 1, 2]
    assert gathered.upto is not None


def test_later_readings_give_what_is_new(source: SourceRig, ticks: Ticks) -> None:
    seeded = _seed(source, ticks, 5, 1, 9)
    upto = gather(seeded, _request(seeded)).upto
    for row_id in (10, 11):
        _insert(seeded, ticks, row_id, row_id + 1)
        gathered = gather(seeded, since(_request(seeded), upto))
        assert row_id in _ids(gathered)
        assert not {0, 1} & set(_ids(gathered)), "rows far below the position were read again"
        assert len(_ids(gathered)) == len(set(_ids(gathered)))
        upto = gathered.upto


def test_changed_rows_are_read_with_their_new_values(source: SourceRig, ticks: Ticks) -> None:
    if Update not in source.source_kit.mutations:
        pytest.skip(f"rows of {source.connector.name} are not changed")
    seeded = _seed(source, ticks, 1, 2, 3)
    upto = gather(seeded, _request(seeded)).upto
    seeded.change(Update({"id": 0}, {"v": "changed", "c": ticks.at(7)}))
    found = {row["id"]: row["v"] for row in gather(seeded, since(_request(seeded), upto)).rows}
    assert found[0] == "changed"


def test_rows_of_an_equal_cursor_are_not_lost(source: SourceRig, ticks: Ticks) -> None:
    seeded = _seed(source, ticks, 1, 5)
    upto = gather(seeded, _request(seeded)).upto
    _insert(seeded, ticks, 10, 5)
    assert 10 in _ids(gather(seeded, since(_request(seeded), upto)))


def test_late_rows_within_the_lag_are_not_lost(source: SourceRig, ticks: Ticks) -> None:
    seeded = _seed(source, ticks, 1, 100)
    lag = ticks.step * 10
    request = _request(seeded, lag=lag)
    upto = gather(seeded, request).upto
    _insert(seeded, ticks, 10, 90)
    _insert(seeded, ticks, 11, 95)
    found = _ids(gather(seeded, since(request, upto)))
    assert {10, 11} <= set(found)
    assert 0 not in found, "rows far below the lag were read again"


def test_a_late_row_does_not_move_the_position_back(source: SourceRig, ticks: Ticks) -> None:
    seeded = _seed(source, ticks, 1, 100)
    request = _request(seeded, lag=ticks.step * 50)
    upto = gather(seeded, request).upto
    _insert(seeded, ticks, 10, 60)
    upto = gather(seeded, since(request, upto)).upto
    _insert(seeded, ticks, 11, 40)
    assert 11 not in _ids(gather(seeded, since(request, upto))), "the position followed a late row"


def test_a_position_keeps_the_cursors_full_precision(source: SourceRig, ticks: Ticks) -> None:
    seeded = _seed(source, ticks, 1, 2, 3)
    upto = gather(seeded, _request(seeded)).upto
    found = _ids(gather(seeded, since(_request(seeded), upto)))
    assert set(found) <= {2}, "rows one step below the position were read again"


def test_nothing_new_leaves_the_position(source: SourceRig, ticks: Ticks) -> None:
    seeded = _seed(source, ticks, 1, 5)
    upto = gather(seeded, _request(seeded)).upto
    again = gather(seeded, since(_request(seeded), upto)).upto
    _insert(seeded, ticks, 10, 6)
    for position in (upto, again):
        assert 10 in _ids(gather(seeded, since(_request(seeded), position)))
        assert 0 not in _ids(gather(seeded, since(_request(seeded), position)))


def test_an_empty_table_has_no_position_that_hides_rows(source: SourceRig, ticks: Ticks) -> None:
    seeded = _seed(source, ticks)
    upto = gather(seeded, _request(seeded)).upto
    _insert(seeded, ticks, 10, -5)
    assert _ids(gather(seeded, since(_request(seeded), upto))) == [10]


def test_an_emptied_table_keeps_its_position(source: SourceRig, ticks: Ticks) -> None:

    if Delete not in source.source_kit.mutations:
        pytest.skip(f"rows of {source.connector.name} are not deleted")
    seeded = _seed(source, ticks, 5)
    upto = gather(seeded, _request(seeded)).upto
    seeded.change(Delete({"id": 0}))
    emptied = gather(seeded, since(_request(seeded), upto))
    assert emptied.rows == []
    _insert(seeded, ticks, 10, 1)
    _insert(seeded, ticks, 11, 6)
    assert _ids(gather(seeded, since(_request(seeded), emptied.upto or upto))) == [11]


def test_splits_share_one_window(source: SourceRig, ticks: Ticks) -> None:
    seeded = _seed(source, ticks, *range(40))
    upto = gather(seeded, _request(seeded)).upto
    for number in range(40, 60):
        _insert(seeded, ticks, number, number)

    found = _ids(gather(seeded, replace(since(_request(seeded), upto), splits=3)))
    assert [i for i in found if i >= 40] == list(range(40, 60))


# ----------------------------------------------------------------------------- NULLs


def test_rows_without_a_cursor_are_refused(source: SourceRig, ticks: Ticks) -> None:
    seeded = _seed(source, ticks, 1, None, 3)
    with refused("source.null_cursor"):
        gather(seeded, _request(seeded))


def test_rows_that_lose_their_cursor_are_refused(source: SourceRig, ticks: Ticks) -> None:
    seeded = _seed(source, ticks, 1, 3)
    upto = gather(seeded, _request(seeded)).upto
    seeded.change(Insert({"id": 10, "c": None, "v": "lost"}))
    with refused("source.null_cursor"):
        gather(seeded, since(_request(seeded), upto))


def test_rows_without_a_cursor_are_left_out_where_that_is_declared(source: SourceRig, ticks: Ticks) -> None:
    seeded = _seed(source, ticks, 1, None, 3)
    gathered = gather(seeded, _request(seeded, skip_nulls=True))
    assert _ids(gathered) == [0, 2]
    seeded.change(Insert({"id": 10, "c": None, "v": "left out"}))
    assert 10 not in _ids(gather(seeded, since(_request(seeded, skip_nulls=True), gathered.upto)))


# ------------------------------------------------------------------------- hold back


def _moments(source: SourceRig, kind: Kind, *ages: timedelta) -> tuple[Seeded, Callable[[timedelta], object]]:
    """A table with rows of these ages by the clock."""
    now = datetime.now(UTC)

    def at(age: timedelta) -> object:
        moment = now - age
        return moment if kind is Kind.TIMESTAMPTZ else moment.replace(tzinfo=None)

    rows: list[Row] = [{"id": i, "c": at(age), "v": f"row {i}"} for i, age in enumerate(ages)]
    return source.seed(shape(kind), rows, Read.SINCE), at


HOUR = timedelta(hours=1)


@pytest.fixture(params=[Kind.TIMESTAMPTZ, Kind.TIMESTAMP], ids=lambda kind: kind.value)
def clocked(request: pytest.FixtureRequest, source: SourceRig) -> Kind:
    source.require(Read.SINCE)
    if request.param not in source.source_kit.cursors:
        pytest.skip(f"a {request.param.value} is no cursor of {source.connector.name}")
    kind: Kind = request.param
    return kind


def _held(seeded: Seeded, lag: timedelta) -> ReadRequest:
    return _request(seeded, lag=lag, late=Late.HOLD_BACK)


def test_rows_younger_than_the_lag_are_held_back(source: SourceRig, clocked: Kind) -> None:
    beside = timedelta(minutes=2)
    seeded, _ = _moments(source, clocked, 5 * HOUR, 2 * HOUR + beside, 2 * HOUR - beside, timedelta(0), -3 * HOUR)
    gathered = gather(seeded, _held(seeded, 2 * HOUR))
    assert _ids(gathered) == [0, 1]
    assert gathered.upto is not None


def test_no_row_is_read_twice_or_lost_when_rows_are_held_back(source: SourceRig, clocked: Kind) -> None:
    seeded, at = _moments(source, clocked, 5 * HOUR, 3 * HOUR, timedelta(minutes=145), HOUR)
    lag = timedelta(minutes=150)
    first = gather(seeded, _held(seeded, lag))
    assert _ids(first) == [0, 1]
    again = gather(seeded, since(_held(seeded, lag), first.upto))
    assert _ids(again) == []
    seeded.change(Insert({"id": 10, "c": at(timedelta(minutes=140)), "v": "late, and still held back"}))
    second = gather(seeded, since(_held(seeded, timedelta(minutes=30)), again.upto))
    assert _ids(second) == [2, 3, 10]
    third = gather(seeded, since(_held(seeded, timedelta(minutes=30)), second.upto))
    assert _ids(third) == []


def test_a_longer_lag_does_not_move_the_position_back(source: SourceRig, clocked: Kind) -> None:
    seeded, _ = _moments(source, clocked, 5 * HOUR, 3 * HOUR, HOUR)
    first = gather(seeded, _held(seeded, 2 * HOUR))
    longer = gather(seeded, since(_held(seeded, 4 * HOUR), first.upto))
    assert _ids(longer) == []
    last = gather(seeded, since(_held(seeded, timedelta(0)), longer.upto))
    assert _ids(last) == [2]


def test_numbers_are_held_back_without_a_clock(source: SourceRig) -> None:
    source.require(Read.SINCE)
    if Kind.INT not in source.source_kit.cursors:
        pytest.skip(f"an int is no cursor of {source.connector.name}")
    ticks = Ticks(Kind.INT)
    seeded = _seed(source, ticks, *range(20))
    request = _request(seeded, lag=5, late=Late.HOLD_BACK)
    found = _ids(first := gather(seeded, request))
    assert not {16, 17, 18, 19} & set(found), "rows within the lag of the greatest were read"
    upto = first.upto
    for step in range(20, 60, 10):
        for number in range(step, step + 10):
            _insert(seeded, ticks, number, number)
        gathered = gather(seeded, since(request, upto))
        found += _ids(gathered)
        upto = gathered.upto
    assert len(found) == len(set(found)), "a row was read twice"
    assert sorted(found) == list(range(len(found))), "a row was lost"
    assert len(found) >= 50


# --------------------------------------------------------------------- own positions


def test_a_source_without_cursors_goes_by_positions_of_its_own(source: SourceRig) -> None:
    source.require(Read.SINCE)
    if source.source_kit.cursors:
        pytest.skip(f"{source.connector.name} reads by a cursor")
    rows: list[Row] = [{"id": i, "c": i, "v": f"row {i}"} for i in range(5)]
    seeded = source.seed(shape(Kind.INT), rows, Read.SINCE)
    request = request_of(seeded, Read.SINCE)
    first = gather(seeded, request)
    assert _ids(first) == [0, 1, 2, 3, 4]
    assert _ids(gather(seeded, since(request, first.upto))) == []
    seeded.change(Insert({"id": 10, "c": 10, "v": "new"}))
    second = gather(seeded, since(request, first.upto))
    assert _ids(second) == [10]
    assert _ids(gather(seeded, since(request, second.upto))) == []


def test_settling_a_position_loses_nothing(source: SourceRig) -> None:
    """Settled or not, a reading goes by the position that the sink stored."""
    source.require(Read.SINCE)
    kind = next(iter(sorted(source.source_kit.cursors, key=lambda k: k.value)), Kind.INT)
    cursor = Cursor("c") if source.source_kit.cursors else None
    ticks = Ticks(kind if kind in TYPES else Kind.INT)
    seeded = _seed(source, ticks, 1, 2)
    request = request_of(seeded, Read.SINCE, cursor=cursor)
    upto = gather(seeded, request).upto
    assert upto is not None
    _insert(seeded, ticks, 10, 10)
    with source.source() as connected:
        connected.settle(since(request, upto), upto)
        connected.settle(since(request, upto), upto)
    assert 10 in _ids(gather(seeded, since(request, upto)))
