"""The answers of rows in memory to a probe."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal, localcontext
from typing import Any, assert_never

from dpone.probes import (
    Beyond,
    Duplicates,
    Greatest,
    Least,
    Measure,
    Measurement,
    Nulls,
    Outside,
    Probe,
    Rows,
    Total,
)
from dpone.stage import canonical, key_of
from dpone.where import Row, lies_within, matches

# Python's own context rounds to 28 digits, which is fewer than decimal(38) has
EXACT = Context(prec=10_000, traps=[])


def measure(rows: Sequence[Row], probe: Probe) -> Measurement:
    """One answer for each measure."""
    return {asked: _answer(rows, asked) for asked in probe}


def _answer(rows: Sequence[Row], asked: Measure) -> object:
    match asked:
        case Rows(where=where):
            return sum(matches(row, where) for row in rows)
        case Nulls(column=column):
            return sum(row.get(column) is None for row in rows)
        case Duplicates(columns=columns):
            keys = [key for row in rows if None not in (key := key_of(row, columns))]
            return len(keys) - len(set(keys))
        case Outside(column=column, values=values):
            allowed = {canonical(v) for v in values}
            return sum(row.get(column) is not None and canonical(row[column]) not in allowed for row in rows)
        case Beyond(column=column, lo=lo, hi=hi):
            return sum(not lies_within(row.get(column), lo, hi) for row in rows)
        case Least(column=column):
            return min(_values(rows, column), default=None)
        case Greatest(column=column):
            return max(_values(rows, column), default=None)
        case Total(column=column):
            numbers = [Decimal(v) for v in _values(rows, column)]
            return _sum(numbers) if numbers else None
        case _:
            assert_never(asked)


def _sum(numbers: Sequence[Decimal]) -> Decimal:
    with localcontext(EXACT):
        return sum(numbers, Decimal(0))


def _values(rows: Sequence[Row], column: str) -> list[Any]:
    return [value for row in rows if (value := row.get(column)) is not None]
