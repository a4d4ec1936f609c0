"""Core's types as Arrow, the floor that every connector speaks.

Where Arrow has no exact home the floor is canonical text: unbounded decimals, integers beyond 64 bits, intervals,
UUIDs, JSON and whatever has no other type. Casts are always safe: a value that does not fit is an error that names
the column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from math import isfinite
from types import NoneType
from typing import Any

import pyarrow as pa

from dpone.errors import DataError
from dpone.schema import FLOAT64, Field, Kind, Schema, Type

_MICROSECONDS = 6
_GREATEST = {16: 65504.0, 32: 3.4028234663852886e38}  # of short floats
_ARROW_BITS = 64
_DECIMAL128 = 38
_DECIMAL256 = 76


def arrow_type(of: Type) -> pa.DataType:
    """The Arrow type in which values of `of` travel."""
    match of.kind:
        case Kind.BOOL:
            return pa.bool_()
        case Kind.INT | Kind.UINT if of.size is not None and of.size <= _ARROW_BITS:
            integer: pa.DataType = getattr(pa, of.kind.value + str(of.size))()
            return integer
        case Kind.FLOAT:
            return {16: pa.float16(), 32: pa.float32(), 64: pa.float64()}[of.size or 64]
        case Kind.DECIMAL if of.size is not None and of.size <= _DECIMAL128:
            return pa.decimal128(of.size, of.scale or 0)
        case Kind.DECIMAL if of.size is not None and of.size <= _DECIMAL256:
            return pa.decimal256(of.size, of.scale or 0)
        case Kind.BINARY:
            return pa.binary()
        case Kind.DATE:
            return pa.date32()
        case Kind.TIME:
            return pa.time64("us" if (of.size or 0) <= _MICROSECONDS else "ns")
        case Kind.TIMESTAMP:
            return pa.timestamp("us" if (of.size or 0) <= _MICROSECONDS else "ns")
        case Kind.TIMESTAMPTZ:
            return pa.timestamp("us" if (of.size or 0) <= _MICROSECONDS else "ns", tz="UTC")
        case Kind.LIST:
            return pa.list_(arrow_type(of.items[0].type))
        case Kind.MAP:
            return pa.map_(arrow_type(of.items[0].type), arrow_type(of.items[1].type))
        case Kind.STRUCT:
            return pa.struct([(f.name, arrow_type(f.type)) for f in of.items])
        case _:
            return pa.string()


def arrow_schema(fields: Schema | Iterable[Field]) -> pa.Schema:
    """The Arrow schema of a batch; every column is nullable on the wire, promises are kept by the sink."""
    return pa.schema([pa.field(f.name, arrow_type(f.type)) for f in fields])


def record_batch(columns: Mapping[str, Sequence[Any]], fields: Schema | Iterable[Field]) -> pa.RecordBatch:
    """A batch of Python values, each column checked against its type."""
    arrays = []
    for field in fields:
        try:
            refuse_changed(columns[field.name], field.type)
            arrays.append(pa.array(columns[field.name], type=arrow_type(field.type)))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise unfit(field, error) from None
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(fields))


def refuse_changed(values: Sequence[Any], of: Type) -> None:
    """Raises where Arrow would take a value and make another one of it.

    It cuts fractions off to make whole numbers, drops the time of day and the zone, and makes great numbers infinite.
    """
    match of.kind:
        case Kind.LIST:
            refuse_changed([item for value in values if value is not None for item in value], of.items[0].type)
        case Kind.MAP:
            pairs = [p for v in values if v is not None for p in (v.items() if isinstance(v, Mapping) else v)]
            for at, item in enumerate(of.items):
                refuse_changed([pair[at] for pair in pairs], item.type)
        case Kind.STRUCT:
            _refuse_changed_parts([v for v in values if v is not None], of)
        case kind if kind in _EXACT:
            strange = set(map(type, values)) - _EXACT[kind]
            if strange and any(type(v) in strange and not _is_kept(v, of) for v in values):
                raise pa.ArrowInvalid(f"{', '.join(sorted(t.__name__ for t in strange))} for {of}")
        case _:
            pass


def _refuse_changed_parts(values: Sequence[Any], of: Type) -> None:
    names = {item.name for item in of.items}
    if any(isinstance(v, Mapping) and not v.keys() <= names for v in values):
        raise pa.ArrowInvalid(f"parts beyond those of {of}")
    for at, item in enumerate(of.items):
        refuse_changed([v.get(item.name) if isinstance(v, Mapping) else v[at] for v in values], item.type)


# Values of these classes Arrow keeps or refuses; of any other class each is looked at.
_EXACT: Mapping[Kind, frozenset[type]] = {
    Kind.INT: frozenset({int, bool, str, NoneType}),
    Kind.UINT: frozenset({int, bool, str, NoneType}),
    Kind.FLOAT: frozenset({int, NoneType}),
    Kind.DATE: frozenset({date, str, NoneType}),
    Kind.TIME: frozenset({NoneType}),
    Kind.TIMESTAMP: frozenset({NoneType}),
    Kind.TIMESTAMPTZ: frozenset({NoneType, datetime}),
}


def _is_kept(value: Any, of: Type) -> bool:
    """Arrow keeps the value, or refuses it by itself."""
    match of.kind, value:
        case ((Kind.INT | Kind.UINT), (float() | Decimal())):
            return not isfinite(value) or value == int(value)
        case Kind.FLOAT, float():
            return of.size == FLOAT64.size or not isfinite(value) or abs(value) <= _GREATEST[of.size or 64]
        case Kind.DATE, datetime():
            return value.tzinfo is None and value.time() == time()
        case ((Kind.TIMESTAMP | Kind.TIMESTAMPTZ | Kind.TIME), int()) if (of.size or 0) > _MICROSECONDS:
            return True  # nanoseconds, which no class of Python's own holds
        case ((Kind.DATE | Kind.TIMESTAMP | Kind.TIMESTAMPTZ | Kind.TIME), (int() | float() | Decimal())):
            return False  # a number of days or of microseconds, which is not what anybody means
        case ((Kind.TIME | Kind.TIMESTAMP), (time() | datetime())):
            return value.tzinfo is None
        case _:
            return True


def unfit(field: Field, error: Exception) -> DataError:
    return DataError(
        f"column {field.name}: a value does not fit {field.type}",
        code="source.value_unfit",
        hint="cast the column to a wider type under `columns:`, or leave it out",
        cause=type(error).__name__,
    )
