"""When two values are the same to a judge."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from dpone_certify.postconditions.exchange import cut
from dpone_certify.postconditions.reading import between, inside
from dpone_certify.postconditions.rows import mark, unpaired

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "left,right",
    [
        (None, None),
        (float("nan"), float("nan")),
        (float("nan"), Decimal("NaN")),
        (0.0, -0.0),
        (Decimal("1.50"), Decimal("1.5")),
        (NOON, NOON.astimezone(timezone(timedelta(hours=5)))),
        (datetime(2024, 10, 27, 1, tzinfo=UTC), datetime(2024, 10, 27, 2, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))),
        (b"a", bytearray(b"a")),
        ([None, float("nan")], (None, float("nan"))),
        ({"a": 1, "b": None}, {"b": None, "a": 1}),
    ],
)
def test_the_same(left: object, right: object) -> None:
    assert mark(left) == mark(right)
    assert hash(mark(left)) == hash(mark(right))


@pytest.mark.parametrize(
    "left,right",
    [
        (None, 0),
        (None, ""),
        (None, float("nan")),
        ("a", "A"),
        ("a", "a "),
        ("1", 1),
        (b"a", "a"),
        (NOON, NOON.replace(tzinfo=None)),
        (NOON, NOON + timedelta(microseconds=1)),
        (date(2024, 1, 1), datetime(2024, 1, 1)),  # noqa: DTZ001 - a wall clock is meant
        ([1, 2], [2, 1]),
        (None, ["null"]),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, {"a": 2}),
    ],
)
def test_not_the_same(left: object, right: object) -> None:
    assert mark(left) != mark(right)


def test_bags_are_compared_row_by_row_over_all_columns() -> None:
    a, b = {"id": 1}, {"id": 2}
    assert unpaired([a, a, b], [b, a, a]) == ([], [])
    assert unpaired([a, a], [a]) == ([a], [])
    assert unpaired([a], [{"id": 1, "v": None}]) == ([], [])
    assert unpaired([a], [{"id": 1, "v": 0}]) == ([a], [{"id": 1, "v": 0}])


def test_slices_of_instants_are_cut_in_utc() -> None:
    late = datetime(2024, 1, 1, 23, tzinfo=timezone(-timedelta(hours=2)))
    assert cut(late, "day") == cut(datetime(2024, 1, 2, tzinfo=UTC), "day")
    assert cut(late, "hour") != cut(late + timedelta(hours=1), "hour")
    assert cut(date(2024, 2, 29), "month") == cut(date(2024, 2, 1), "month")


@pytest.fixture
def _tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The clocks of this machine are those of Tokyo."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_tokyo")
def test_slices_are_the_same_wherever_the_machine_is() -> None:
    assert cut(datetime(2024, 1, 1, 23, tzinfo=UTC), "hour") == "2024-01-01T23"
    assert cut(datetime(2024, 1, 1, 23), "hour") == "2024-01-01T23"  # noqa: DTZ001 - a wall clock is meant


def test_null_is_only_ever_null() -> None:
    row = {"v": None}
    assert inside(row, [("v", "is_null", None)])
    assert not inside({"v": 1}, [("v", "is_null", None)])
    for name in ("=", "!=", "<", "<=", ">", ">=", "in", "not_in", "not_null"):
        assert not inside(row, [("v", name, (1,) if "in" in name else 1)])
    assert inside({"v": 2}, [("v", "not_in", (1, None)), ("v", "<=", 2), ("v", "!=", 3)])


def test_a_window_holds_its_start_and_not_its_end() -> None:
    assert [between(v, 1, 3) for v in (0, 1, 2, 3, None)] == [False, True, True, False, False]
    assert between(None, None, None)
    assert not between(None, None, 3)
