"""SQLite, which ships with Python: the engine on which the default rendering is held against the oracle.

SQLite has no dates, decimals or time zones of its own, so those are stored as text in one spelling each. Order and sum
of decimals are Python functions that `prepare` gives to a connection; NaN is stored as NULL.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime, time
from decimal import Context, Decimal, Inexact
from typing import ClassVar
from uuid import UUID

from dpone.ops import Grain
from dpone.schema import Field, Kind, Type
from dpone.sql.dialect import Dialect

_LENGTH = {Grain.YEAR: 4, Grain.MONTH: 7, Grain.DAY: 10, Grain.HOUR: 13}  # of the ISO text of a slice
_DECIMAL = "TEXT COLLATE DPONE_DECIMAL"
_STORED = {Kind.BOOL: "INTEGER", Kind.FLOAT: "REAL", Kind.BINARY: "BLOB", Kind.DECIMAL: _DECIMAL}
_INTEGER_BITS = 64
_EXACT = Context(prec=10_000, traps=[Inexact])  # a sum that needs more digits is an error, not a rounded value


class SqliteDialect(Dialect):
    """How values are stored and summed, and IS NOT, which versions before 3.39 have for IS DISTINCT FROM."""

    name: ClassVar[str] = "sqlite"

    def literal(self, value: object, as_type: Type | None = None) -> str:
        return super().literal(encode(value))

    def special(self, spelled: str, as_type: Type) -> str:
        return {"Infinity": "9e999", "-Infinity": "-9e999"}.get(spelled, "NULL")  # SQLite stores NaN as NULL

    def differs(self, left: str, right: str, of: Type | None = None) -> str:
        return f"{left} IS NOT {right}"

    def truncate(self, expression: str, grain: Grain, of: Type) -> str:
        return expression if grain is Grain.VALUE else f"SUBSTR({expression}, 1, {_LENGTH[grain]})"

    def total(self, expression: str, of: Type) -> str:
        return f"DPONE_TOTAL({expression})"

    def spell(self, field: Field) -> str:
        of = field.type
        if of.kind is Kind.INT and of.size is not None:
            return "INTEGER" if of.size <= _INTEGER_BITS else _DECIMAL
        if of.kind is Kind.UINT and of.size is not None:
            return "INTEGER" if of.size < _INTEGER_BITS else _DECIMAL
        return _STORED.get(of.kind, "TEXT")


def prepare(connection: sqlite3.Connection) -> None:
    """The connection orders and sums decimals, as every statement of the dialect expects."""
    connection.create_collation("DPONE_DECIMAL", _compare)
    connection.create_aggregate("DPONE_TOTAL", 1, _Total)  # type: ignore[arg-type]  # typeshed asks for an int answer


def _compare(left: str, right: str) -> int:
    one, other = Decimal(left), Decimal(right)
    if one.is_nan() or other.is_nan():
        return one.is_nan() - other.is_nan()  # the greatest, and equal to itself
    return (one > other) - (one < other)


class _Total:
    """The exact sum of what is not NULL."""

    def __init__(self) -> None:
        self._total: Decimal | None = None

    def step(self, value: object) -> None:
        if value is not None:
            self._total = _EXACT.add(self._total or Decimal(), Decimal(str(value)))

    def finalize(self) -> str | None:
        return None if self._total is None else format(self._total, "f")


def encode(value: object) -> object:
    """The value as SQLite stores it."""
    match value:
        case bool():
            return int(value)
        case int() if abs(value).bit_length() >= _INTEGER_BITS:
            return str(value)
        case Decimal():
            return _plain(value)
        case datetime() if value.tzinfo is not None:
            return value.astimezone(UTC).isoformat(" ", "microseconds")
        case datetime():
            return value.isoformat(" ", "microseconds")
        case date() | time():
            return value.isoformat()
        case UUID():
            return str(value)
        case _:
            return value


def _plain(value: Decimal) -> str:
    """The digits without zeros that mean nothing; Decimal.normalize would round to its context's precision."""
    digits = format(value, "f")
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return "0" if digits == "-0" else digits


def decode(stored: object, of: Type) -> object:
    """The value that `encode` was given, by the type of its column."""
    if stored is None:
        return None
    text = str(stored)
    match of.kind:
        case Kind.BOOL:
            return bool(stored)
        case Kind.INT | Kind.UINT:
            return int(text)
        case Kind.DECIMAL:
            return Decimal(text)
        case Kind.DATE:
            return date.fromisoformat(text)
        case Kind.TIME:
            return time.fromisoformat(text)
        case Kind.TIMESTAMP | Kind.TIMESTAMPTZ:
            return datetime.fromisoformat(text)
        case _:
            return stored
