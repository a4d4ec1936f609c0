"""Probes as SQL answer what a count by hand answers."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpone.errors import PlanError
from dpone.probes import Beyond, Duplicates, Greatest, Least, Nulls, Outside, Probe, Rows, Total
from dpone.schema import FLOAT64, INT64, STRING, Field, decimal
from dpone.sql.dialect import Dialect
from dpone.sql.probe import read_probe, render_probe
from dpone.sql.rehearsal import Rehearsal
from dpone.where import Compare, Condition, Row, matches

NUMBER = 'i "'
COLUMNS = (Field(NUMBER, INT64), Field("v", STRING))
WHERE = (Condition(NUMBER, Compare.GE, 2), Condition("v", Compare.NE, "b"))
PROBE: Probe = (
    Rows(),
    Rows(WHERE),
    Nulls("v"),
    Duplicates((NUMBER,)),
    Duplicates((NUMBER, "v")),
    Outside("v", ("a", "it's", None)),
    Outside("v", ()),
    Beyond(NUMBER, 1, 3),
    Least(NUMBER),
    Greatest(NUMBER),
    Total(NUMBER),
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {NUMBER: st.sampled_from([None, 0, 1, 2, 3, 2**61]), "v": st.sampled_from([None, "", "a", "b", "it's"])}
    ),
    max_size=8,
)


def _duplicates(rows: list[Row], key: tuple[str, ...]) -> int:
    keys = Counter(tuple(row[c] for c in key) for row in rows)
    return sum(n - 1 for key_, n in keys.items() if None not in key_)


@given(ROWS)
def test_a_probe_counts_what_is_there(rows: list[Row]) -> None:
    with Rehearsal(COLUMNS, rows=rows) as rehearsal:
        query = render_probe(PROBE, rehearsal.dialect.table(("target ☂",)), COLUMNS, rehearsal.dialect)
        found = read_probe(PROBE, rehearsal.ask(query))
    numbers = [n for row in rows if isinstance(n := row[NUMBER], int)]
    assert list(found.values()) == [
        len(rows),
        sum(matches(row, WHERE) for row in rows),
        sum(row["v"] is None for row in rows),
        _duplicates(rows, (NUMBER,)),
        _duplicates(rows, (NUMBER, "v")),
        sum(row["v"] not in {None, "a", "it's"} for row in rows),
        sum(row["v"] is not None for row in rows),
        sum(row[NUMBER] not in {1, 2} for row in rows),
        min(numbers, default=None),
        max(numbers, default=None),
        Decimal(sum(numbers)) if numbers else None,
    ]


def test_a_total_is_an_exact_decimal_whatever_the_engine_answers() -> None:
    for answer in (3, "3", Decimal(3)):
        assert read_probe((Total("i"),), (answer,)) == {Total("i"): Decimal(3)}
        assert read_probe((Rows(),), (answer,)) == {Rows(): 3}
    assert "DECIMAL(38, 4)" in render_probe((Total("d"),), "T", [Field("d", decimal(30, 4))], Dialect())


def test_sqlite_orders_and_sums_decimals_exactly() -> None:
    columns = (Field("d", decimal(40, 4)),)
    values = [Decimal(10), Decimal(9), Decimal(-100), Decimal("9999999999999999999999999999.0001"), None]
    probe: Probe = (Least("d"), Greatest("d"), Total("d"), Beyond("d", Decimal(9), Decimal(11)))
    with Rehearsal(columns, rows=[{"d": value} for value in values]) as rehearsal:
        query = render_probe(probe, rehearsal.dialect.table(("target ☂",)), columns, rehearsal.dialect)
        least, greatest, total, beyond = read_probe(probe, rehearsal.ask(query)).values()
    assert (least, greatest) == ("-100", "9999999999999999999999999999.0001")
    assert (total, beyond) == (Decimal("9999999999999999999999999918.0001"), 3)


def test_a_float_has_no_exact_sum() -> None:
    with pytest.raises(PlanError) as caught:
        render_probe((Total("f"),), "T", [Field("f", FLOAT64)], Dialect())
    assert (caught.value.code, caught.value.message) == ("plan.no_exact_sum", "f has no exact sum: it is float64")


def test_an_answer_that_is_not_the_probe_s_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        read_probe((Rows(), Nulls("v")), (1,))
