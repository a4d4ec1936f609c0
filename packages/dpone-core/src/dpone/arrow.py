"""Core's types as Arrow, the floor that every connector speaks.

Where Arrow has no exact home the floor is canonical text: unbounded decimals, integers beyond 64 bits, intervals,
UUIDs, JSON and whatever has no other type. Casts are always safe: a value that does not fit is an error that names
the column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from dpone.errors import DataError
from dpone.schema import Field, Kind, Schema, Type

_MICROSECONDS = 6
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
            arrays.append(pa.array(columns[field.name], type=arrow_type(field.type)))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise unfit(field, error) from None
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(fields))


def unfit(field: Field, error: Exception) -> DataError:
    return DataError(
        f"column {field.name}: a value does not fit {field.type}",
        code="source.value_unfit",
        hint="cast the column to a wider type under `columns:`, or leave it out",
        cause=type(error).__name__,
    )
