"""SQLite, which ships with Python: the engine on which the default rendering is held against the oracle.

SQLite has no dates, decimals or time zones of its own, so those are stored as text in one spelling each: equality is
then exact everywhere, order is right for dates, times and instants, and sums and order of decimals are not offered.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from typing_extensions import override

from dpone.ops import Grain
from dpone.schema import Field, Kind, Type
from dpone.sql.dialect import Dialect

_LENGTH = {Grain.YEAR: 4, Grain.MONTH: 7, Grain.DAY: 10, Grain.HOUR: 13}  # of the ISO text of a slice
_AFFINITY = {Kind.BOOL: "INTEGER", Kind.FLOAT: "REAL", Kind.BINARY: "BLOB"}


class SqliteDialect(Dialect):
    """Six differences, all of spelling: how values are stored, IS NOT for IS DISTINCT FROM (older than 3.39)."""

    name: ClassVar[str] = "sqlite"

    @override
    def literal(self, value: object, as_type: Type | None = None) -> str:
        return super().literal(encode(value), as_type)

    @override
    def boolean(self, value: bool) -> str:
        return str(int(value))

    @override
    def special(self, spelled: str, as_type: Type) -> str:
        return {"Infinity": "9e999", "-Infinity": "-9e999"}.get(spelled, "NULL")  # SQLite stores NaN as NULL

    @override
    def differs(self, left: str, right: str, of: Type | None = None) -> str:
        return f"{left} IS NOT {right}"

    @override
    def truncate(self, expression: str, grain: Grain, of: Type) -> str:
        return expression if grain is Grain.VALUE else f"SUBSTR({expression}, 1, {_LENGTH[grain]})"

    @override
    def total(self, expression: str, of: Type) -> str:
        return f"SUM({expression})"

    @override
    def spell(self, field: Field) -> str:
        if field.type.kind in {Kind.INT, Kind.UINT} and field.type.size is not None and field.type.size <= 64:  # noqa: PLR2004 - bits
            return "INTEGER"
        return _AFFINITY.get(field.type.kind, "TEXT")


def encode(value: object) -> object:
    """The value as SQLite stores it."""
    match value:
        case bool():
            return int(value)
        case Decimal():
            return format(value.normalize() + 0, "f") if value.is_finite() else str(value)
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


def decode(stored: object, of: Type) -> object:
    """The value that `encode` was given, by the type of its column."""
    if stored is None:
        return None
    text = str(stored)
    match of.kind:
        case Kind.BOOL:
            return bool(stored)
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
