"""Values on their way between Arrow and SQLite's storage classes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dpone.batch import ARROW, Batch
from dpone.errors import DataError, RemoteError
from dpone.probes import Greatest, Least, Measurement, Probe
from dpone.schema import Field, Kind, Type
from dpone.sql.probe import read_probe
from dpone.sql.sqlite import decode, encode

if TYPE_CHECKING:
    import pyarrow as pa

_NAN = "NaN"  # as a number SQLite would store it as NULL
_ARROW_DIGITS = 76


def packed(rows: Sequence[Sequence[Any]], fields: Sequence[Field]) -> Batch:
    """Stored rows as an Arrow batch."""
    from dpone.arrow import record_batch  # here, so that a declaration needs no Arrow

    columns: dict[str, list[Any]] = {}
    for position, field in enumerate(fields):
        columns[field.name] = [_out(row[position], field) for row in rows]
    data = record_batch(columns, fields)
    return Batch(ARROW, data, data.num_rows, data.nbytes)


def _out(stored: Any, field: Field) -> Any:
    """What a stored value is; one that is none of its column's type is an error, since SQLite would keep anything."""
    try:
        value = math.nan if stored == _NAN and field.type.kind is Kind.FLOAT else decode(stored, field.type)
        if value is not None and not _is(value, field.type):
            raise ValueError  # noqa: TRY301 -- the one refusal is below
    except (ValueError, ArithmeticError):
        raise DataError(
            f"column {field.name} is declared {field.native_of('sqlite') or field.type} and holds {stored!r:.60}",
            code="source.value_unfit",
            hint="correct the value, or cast the column in a query",
        ) from None
    of = field.type
    if of.kind is Kind.DECIMAL and value is not None and (of.size is None or of.size > _ARROW_DIGITS):
        return str(value)
    return value


def _is(value: Any, of: Type) -> bool:
    match of.kind:
        case Kind.STRING | Kind.JSON | Kind.UUID:
            return isinstance(value, str)
        case Kind.BINARY:
            return isinstance(value, bytes)
        case Kind.FLOAT:
            return isinstance(value, float | int)
        case Kind.BOOL:
            return isinstance(value, bool)
        case _:
            return True


def answered(probe: Probe, row: Sequence[Any], columns: Sequence[Field]) -> Measurement:
    """What one row of answers says, values of columns as Python has them."""
    types = {f.name: f.type for f in columns}
    found = read_probe(probe, row)
    return {m: decode(v, types[m.column]) if isinstance(m, Least | Greatest) else v for m, v in found.items()}


def unpacked(batch: Batch, fields: Sequence[Field]) -> list[tuple[Any, ...]]:
    """The rows of an Arrow batch as SQLite stores them."""
    data: pa.RecordBatch = batch.data
    if data.num_columns != len(fields):
        raise RemoteError(
            f"a batch of {data.num_columns} columns came, the stage has {len(fields)}", code="sink.rejected_rows"
        )
    columns = [_column(data.column(at), field) for at, field in enumerate(fields)]
    return list(zip(*columns, strict=True))


def _column(column: pa.Array[Any], field: Field) -> list[Any]:
    import pyarrow as pa

    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)  # the verdict said that it is lossy
    elif pa.types.is_time64(column.type) and column.type.unit == "ns":
        column = column.cast(pa.time64("us"), safe=False)  # likewise
    stored = _stored(field)
    return [None if value is None else stored(value) for value in column.to_pylist()]


def _stored(field: Field) -> Callable[[Any], object]:
    """How a value of the column that is not NULL is stored."""
    match field.type.kind:
        case Kind.LIST | Kind.MAP | Kind.STRUCT:
            return lambda value: json.dumps(value, ensure_ascii=False, default=str)
        case Kind.DECIMAL:
            return lambda value: encode(value if isinstance(value, Decimal) else Decimal(value))
        case Kind.INT | Kind.UINT:
            return lambda value: encode(int(value))
        case Kind.FLOAT:
            return lambda value: _NAN if math.isnan(value) else value
        case _:
            return encode
