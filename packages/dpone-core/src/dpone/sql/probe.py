"""Probes as SQL: every measure of a probe in one SELECT, and the answer read back."""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals, by the dialect

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import assert_never

from dpone.errors import PlanError
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
from dpone.schema import Field, Kind, Type
from dpone.sql.dialect import Dialect

_EXACT = frozenset({Kind.INT, Kind.UINT, Kind.DECIMAL})


def render_probe(probe: Probe, table: str, columns: Sequence[Field], dialect: Dialect) -> str:
    """A query of one row with one column per measure, over the rows of `table`."""
    return f"SELECT {', '.join(_expression(m, table, columns, dialect) for m in probe)} FROM {table} AS t"


def read_probe(probe: Probe, answer: Sequence[object]) -> Measurement:
    """The measurement that the one row of the query amounts to."""
    return {m: _value(m, found) for m, found in zip(probe, answer, strict=True)}


def _expression(measure: Measure, table: str, columns: Sequence[Field], dialect: Dialect) -> str:
    types = {f.name: f.type for f in columns}
    match measure:
        case Rows(where=()):
            return "COUNT(*)"
        case Rows(where=where):
            return _count(dialect.where(where, "t", columns))
        case Nulls(column=name):
            return f"COUNT(*) - COUNT(t.{dialect.quote(name)})"
        case Duplicates(columns=key):
            return _duplicates({name: types.get(name) for name in key}, table, dialect)
        case Outside(column=name, values=values):
            column = f"t.{dialect.quote(name)}"
            return _count(f"{column} IS NOT NULL AND {dialect.among(column, values, types.get(name), inside=False)}")
        case Beyond(column=name, lo=lo, hi=hi):
            column, low, high = f"t.{dialect.quote(name)}", *(dialect.literal(v, types.get(name)) for v in (lo, hi))
            return _count(f"{column} >= {low} AND {column} < {high}", true=0, otherwise=1)
        case Least(column=name):
            return f"MIN(t.{dialect.quote(name)})"
        case Greatest(column=name):
            return f"MAX(t.{dialect.quote(name)})"
        case Total(column=name):
            if (of := types[name]).kind not in _EXACT:
                raise PlanError(f"{name} has no exact sum: it is {of}", code="plan.no_exact_sum")
            return dialect.total(f"t.{dialect.quote(name)}", of)
        case _:
            assert_never(measure)


def _count(condition: str, true: int = 1, otherwise: int = 0) -> str:
    return f"COALESCE(SUM(CASE WHEN {condition} THEN {true} ELSE {otherwise} END), 0)"


def _duplicates(key: Mapping[str, Type | None], table: str, dialect: Dialect) -> str:
    quoted = {f"d.{dialect.quote(name)}": of for name, of in key.items()}
    known = " AND ".join(f"{column} IS NOT NULL" for column in quoted)
    terms = ", ".join(dialect.grouped(column, of) for column, of in quoted.items())
    groups = f"SELECT COUNT(*) AS n FROM {table} AS d WHERE {known} GROUP BY {terms} HAVING COUNT(*) > 1"
    return f"(SELECT COALESCE(SUM(g.n - 1), 0) FROM ({groups}) AS g)"


def _value(measure: Measure, found: object) -> object:
    match measure:
        case Least() | Greatest():
            return found
        case Total():
            return None if found is None else Decimal(str(found))
        case _:
            return int(str(found))  # engines answer a sum as int or Decimal
