"""The columns that a sample of records has. What is found here holds for the whole reading: nothing is guessed twice.

A column's type is the narrowest that every value of the sample has; a column whose values have nothing in common, or
which is NULL throughout, is JSON, which holds whatever comes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from dpone.schema import Field, Schema
from dpone_rest.answers import Record
from dpone_rest.typemap import ENGINE, read

_DAY = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.([0-9]{1,9}))?"
_DATE = re.compile(_DAY)
_INSTANT = re.compile(rf"{_DAY}[T ]{_CLOCK}(?:Z|[+-][0-9]{{2}}:?[0-9]{{2}})")
_WALL_CLOCK = re.compile(rf"{_DAY}[T ]{_CLOCK}")
_MICROSECONDS = 6
_LEAST, _GREATEST = -(2**63), 2**63 - 1


class Sample:
    """What the records so far have in common."""

    def __init__(self) -> None:
        self._natives: dict[str, set[str]] = {}
        self.records = 0

    def add(self, records: Iterable[Record]) -> None:
        for record in records:
            self.records += 1
            for name, value in record.items():
                known = self._natives.setdefault(name, set())
                if value is not None:
                    known.add(_native_of(value))

    def schema(self, key: tuple[str, ...] | None) -> Schema:
        fields = tuple(_field(name, _common(natives)) for name, natives in self._natives.items())
        held = key if key is not None and all(name in self._natives for name in key) else ()
        return Schema(fields, held).not_null(held)


def _field(name: str, native: str) -> Field:
    return Field(name, read(native), native=f"{ENGINE}:{native}")


def _native_of(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer" if _LEAST <= value <= _GREATEST else "decimal"
        case bytes() | Decimal():  # with a fraction
            return "number"
        case str():
            return _text(value)
        case list():
            return "array"
        case _:
            return "object"


def _text(value: str) -> str:
    if _DATE.fullmatch(value):
        return "date"
    for name, pattern in (("timestamptz", _INSTANT), ("timestamp", _WALL_CLOCK)):
        if found := pattern.fullmatch(value):
            return f"{name}({_MICROSECONDS if len(found[1] or '') <= _MICROSECONDS else 9})"
    return "string"


_TEXTS = frozenset(
    {"string", "date", "timestamp(6)", "timestamp(9)", "timestamptz(6)", "timestamptz(9)"},
)
_NUMBERS = frozenset({"integer", "number", "decimal"})


def _common(natives: set[str]) -> str:
    """The one type that holds what all of these hold."""
    if len(natives) == 1:
        return next(iter(natives))
    if natives and natives <= _NUMBERS:
        return "decimal" if "decimal" in natives else "number"
    for name in ("timestamp", "timestamptz"):
        if natives == {f"{name}(6)", f"{name}(9)"}:
            return f"{name}(9)"
    return "string" if natives and natives <= _TEXTS else "json"
