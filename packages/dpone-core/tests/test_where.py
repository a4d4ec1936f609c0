"""A filter says the same of a row wherever it is read: NULL is only ever null."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from dpone.errors import UsageError
from dpone.where import ORDERED, Compare, Condition, lies_within, matches


@pytest.mark.parametrize(
    "op,value,true_of",
    [
        (Compare.EQ, 2, [2]),
        (Compare.NE, 2, [1, 3]),
        (Compare.LT, 2, [1]),
        (Compare.LE, 2, [1, 2]),
        (Compare.GT, 2, [3]),
        (Compare.GE, 2, [2, 3]),
        (Compare.IN, (1, 3, None), [1, 3]),
        (Compare.IN, (), []),
        (Compare.NOT_IN, (1, None), [2, 3]),
        (Compare.NOT_IN, (), [1, 2, 3]),
        (Compare.IS_NULL, None, [None]),
        (Compare.NOT_NULL, None, [1, 2, 3]),
        (Compare.EQ, None, []),
    ],
)
def test_a_condition_is_true_of(op: Compare, value: object, true_of: list[object]) -> None:
    found = [v for v in (None, 1, 2, 3) if matches({"c": v}, (Condition("c", op, value),))]
    assert found == true_of


@pytest.mark.parametrize("nan", [float("nan"), Decimal("NaN")], ids=["float", "decimal"])
def test_nan_has_no_place_in_an_order_and_is_unlike_every_number(nan: object) -> None:
    of: Any = type(nan)
    for op in ORDERED:
        assert not matches({"c": nan}, (Condition("c", op, of(2)),))
    true = {
        op.value
        for op, value in (
            (Compare.EQ, of(2)),
            (Compare.NE, of(2)),
            (Compare.IN, (of(2),)),
            (Compare.NOT_IN, (of(2),)),
            (Compare.IS_NULL, None),
            (Compare.NOT_NULL, None),
        )
        if matches({"c": nan}, (Condition("c", op, value),))
    }
    assert true == {"!=", "not_in", "not_null"}
    assert not lies_within(nan, of("-inf"), of("inf"))


@pytest.mark.parametrize("value", [float("nan"), Decimal("NaN"), (1.5, float("nan"))], ids=str)
def test_nothing_is_compared_with_nan(value: object) -> None:
    with pytest.raises(UsageError, match="c: ") as caught:
        Condition("c", Compare.IN if isinstance(value, tuple) else Compare.EQ, value)
    assert caught.value.code == "manifest.invalid_value"
    wrong = value[1] if isinstance(value, tuple) else value
    assert caught.value.message == f"c: {wrong!r} is not a value of {type(wrong).__name__}"
    assert caught.value.hint == "nothing is compared with NaN: compare with a number, or leave the condition out"


def test_a_range_is_half_open_and_null_lies_in_none() -> None:
    assert [v for v in (None, 1, 2, 3) if lies_within(v, 1, 3)] == [1, 2]


def test_a_row_matches_when_every_condition_is_true() -> None:
    where = (Condition("a", Compare.GE, date(2024, 1, 1)), Condition("b", Compare.EQ, "x"))
    assert matches({"a": date(2024, 1, 1), "b": "x"}, where)
    assert not matches({"a": date(2024, 1, 1), "b": "y"}, where)
    assert not matches({"a": None, "b": "x"}, where)
    assert matches({"a": None}, ())


def test_only_four_comparisons_ask_for_an_order() -> None:
    assert {op.value for op in ORDERED} == {"<", "<=", ">", ">="}


def test_a_condition_is_printed_as_it_is_written() -> None:
    assert str(Condition("a", Compare.GE, 2)) == "a >= 2"
    assert str(Condition("a", Compare.IS_NULL)) == "a is_null"
