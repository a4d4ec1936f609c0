"""The sparse wide columns of a source: of the types that it really has, about one in ten of a row not null."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache
from math import isfinite
from typing import Any

from msgspec import Struct

from dpone.batch import ARROW, Wire
from dpone.connector import Connector, SinkSpec, SourceSpec
from dpone.errors import DponeError
from dpone.schema import Field, Kind, Type, Verdict
from dpone_certify.certification.seeded import Row

SPARSE = 10  # one column in so many holds a value

_ORDINARY = frozenset(
    {
        *(Kind.BOOL, Kind.INT, Kind.UINT, Kind.FLOAT, Kind.DECIMAL, Kind.STRING, Kind.BINARY, Kind.UUID, Kind.JSON),
        *(Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ),
    }
)
_CLOCKS = frozenset({Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
_FINEST = 6  # digits of a Python time
_YEARS = range(1971, 2101)
_LONGEST = 60
_LEAST, _GREATEST = 1e-30, 1e38


class WideColumn(Struct, frozen=True):
    """A column and the values that its rows hold by turns."""

    field: Field
    values: tuple[Any, ...]


Samples = Callable[[str], Sequence[Any]]  # the values of a native type that are known for it


def wide_columns(
    source: Connector[Any], sinks: Sequence[Connector[Any]], many: int, samples: Samples
) -> Iterator[WideColumn]:
    """So many columns of the source's own types, each of which every sink keeps exactly or wider."""
    found = [
        (native, of, values)
        for native in source.types.natives
        if (of := _read(source, native)) is not None
        and of.kind in _ORDINARY
        and not (of.kind in _CLOCKS and (of.size or 0) > _FINEST)
        and _is_kept(Field("c", of, native=f"{source.name}:{native}"), source, sinks)
        and (values := tuple(v for v in samples(native) if is_ordinary(v) and not _is_raw(v, of)))
    ]
    for n in range(many if found else 0):
        native, of, values = found[n % len(found)]
        yield WideColumn(Field(f"w{n:03}", of, native=f"{source.name}:{native}"), values)


def sparse(columns: Sequence[WideColumn], number: int, version: int, seed: int) -> Row:
    """The values that this row holds; the columns that are not named hold NULL."""
    start = (number * 7 + version * 3 + seed) % SPARSE
    return {
        columns[n].field.name: columns[n].values[(number + n + version) % len(columns[n].values)]
        for n in range(start, len(columns), SPARSE)
    }


def pack(values: Row) -> str:
    """All sparse values of a row as one text, equal for equal values."""
    return json.dumps(values, sort_keys=True, ensure_ascii=False, default=_text)


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _read(source: Connector[Any], native: str) -> Type | None:
    try:
        return source.types.read(native)
    except DponeError:
        return None


def _is_kept(field: Field, source: Connector[Any], sinks: Sequence[Connector[Any]]) -> bool:
    """Every sink has a column that keeps the values, and they travel there in the format that all connectors speak."""
    try:
        landings = [sink.types.land(field) for sink in sinks]
    except DponeError:
        return False
    floors = [wire for c in (source, *sinks) for end in (c.source, c.sink) if end for wire in _wires(end)]
    return not any(
        landing.verdict is Verdict.LOSSY or any(wire.refuses(field, landing) for wire in floors) for landing in landings
    )


def _wires(end: SourceSpec[Any] | SinkSpec[Any]) -> Iterator[Wire]:
    wires = end.emits if isinstance(end, SourceSpec) else end.accepts
    return (wire for wire in wires if wire.format == ARROW)


def is_ordinary(value: object) -> bool:
    """A value that every engine holds: short, finite, of this century or the last."""
    match value:
        case bool() | int() | time():
            return True
        case float() | Decimal():
            return isfinite(value) and (value == 0 or _LEAST < abs(float(value)) < _GREATEST)
        case str():
            return len(value) <= _LONGEST and "\0" not in value
        case bytes():
            return len(value) <= _LONGEST
        case date():
            return value.year in _YEARS
        case dict() | list():
            return len(json.dumps(value, default=str)) <= _LONGEST
        case _:
            return False


def _is_raw(value: object, of: Type) -> bool:
    """Bytes that are no text, in a column that may hold either."""
    return isinstance(value, bytes) and of.kind is not Kind.BINARY


# ----------------------------------------------------------- values by type alone


@cache
def typical(of: Type) -> tuple[Any, ...]:
    """Values at the edges of what a type holds, for where no engine is at hand to tell more."""
    match of.kind:
        case Kind.BOOL:
            return True, False
        case Kind.INT | Kind.UINT:
            bits = of.size or 64
            return (0, 1, 2**bits - 1) if of.kind is Kind.UINT else (0, -1, 2 ** (bits - 1) - 1, -(2 ** (bits - 1)))
        case Kind.FLOAT:
            return 0.0, -1.5, 1024.0
        case Kind.DECIMAL:
            digits, scale = of.size or 18, of.scale or 0
            return Decimal(0), Decimal(1).scaleb(-scale), Decimal(10**digits - 1).scaleb(-scale)
        case Kind.STRING:
            return tuple(dict.fromkeys(text[: of.size] for text in ("", "a", "Ω表😀", "it's", "NULL", "\\N")))
        case Kind.BINARY:
            return (bytes(of.size or 0), b"\xff" * (of.size or 3))
        case Kind.DATE:
            return date(1971, 1, 1), date(2026, 2, 28), date(2100, 12, 31)
        case Kind.TIME:
            return time(0), time(23, 59, 59)
        case Kind.TIMESTAMP:
            return datetime(1971, 1, 1), datetime(2100, 12, 31, 23, 59, 59)  # noqa: DTZ001 - a wall clock
        case Kind.TIMESTAMPTZ:
            return datetime(1971, 1, 1, tzinfo=UTC), datetime(2100, 12, 31, 23, 59, 59, tzinfo=UTC)
        case Kind.UUID:
            return "00000000-0000-0000-0000-000000000000", "123e4567-e89b-12d3-a456-426614174000"
        case Kind.JSON:
            return '{"a": [1, null, "ü"]}', "[]"
        case _:
            return ()
