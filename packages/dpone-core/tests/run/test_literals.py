from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from dpone.errors import UsageError
from dpone.literals import cut, literal_of
from dpone.schema import decimal, parse_type


@pytest.mark.parametrize(
    "value, kind, expected",
    [
        (7, "int64", 7),
        ("12.50", "decimal(9,2)", Decimal("12.50")),
        ("2026-01-31", "date", date(2026, 1, 31)),
        ("2026-01-31T01:02:03", "timestamp(6)", datetime(2026, 1, 31, 1, 2, 3)),  # noqa: DTZ001 -- a wall clock
        ("2026-01-31T02:02:03+01:00", "timestamptz(6)", datetime(2026, 1, 31, 1, 2, 3, tzinfo=UTC)),
        ("a", "string", "a"),
        ("00ff", "binary", b"\x00\xff"),
        (True, "bool", True),
    ],
)
def test_a_value_takes_the_type_of_its_column(value: object, kind: str, expected: object) -> None:
    assert literal_of(value, parse_type(kind), "where: c") == expected


@pytest.mark.parametrize(
    "value, kind",
    [
        (True, "int64"), ("7", "int64"), (1.5, "int64"), ("x", "decimal(9,2)"), ("2026-13-01", "date"),
        ("2026-01-31T01:02:03Z", "timestamp(6)"), ("2026-01-31T01:02:03", "timestamptz(6)"), (1, "string"), (1, "bool"),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_refused_with_an_example(value: object, kind: str) -> None:
    with pytest.raises(UsageError) as caught:
        literal_of(value, parse_type(kind), "where: c")
    assert caught.value.code == "manifest.invalid_value"
    assert caught.value.hint


def test_a_range_is_cut_without_gap_or_overlap() -> None:
    months = cut((date(2026, 1, 31), date(2026, 4, 30)), 1, "month")
    assert months == (
        (date(2026, 1, 31), date(2026, 2, 28)),
        (date(2026, 2, 28), date(2026, 3, 31)),
        (date(2026, 3, 31), date(2026, 4, 30)),
    )
    days = cut((date(2026, 2, 27), date(2026, 3, 2)), 1, "day")
    assert [str(lo) for lo, _ in days] == ["2026-02-27", "2026-02-28", "2026-03-01"]
    assert cut((0, 25), 10, "value") == ((0, 10), (10, 20), (20, 25))
    assert len(cut((date(2024, 1, 1), date(2026, 1, 1)), 1, "year")) == 2
    assert len(cut((datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)), 6, "hour")) == 4
    with pytest.raises(UsageError):
        cut((0, 10**9), 1, "value")


@pytest.mark.parametrize("value", ["NaN", "-nan", "sNaN"])
def test_a_decimal_that_is_no_number_is_no_value_to_compare_with(value: str) -> None:
    with pytest.raises(UsageError) as caught:
        literal_of(value, decimal(), "where: c")
    assert caught.value.code == "manifest.invalid_value"
