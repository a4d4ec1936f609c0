"""A filter says the same of a row wherever it is read: NULL is only ever null."""

from __future__ import annotations

from datetime import date

import pytest

from dpone.where import ORDERED, Compare, Condition, matches


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
