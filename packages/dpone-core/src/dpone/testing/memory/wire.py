"""The two wire formats of a store in memory: its own rows, and Arrow, which is imported when it is first used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dpone.batch import ARROW, Batch, Format, Wire
from dpone.schema import Field, Kind, Type

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = Format("rows")  # Batch.data is a list of tuples of Python values
WIRES = (Wire(ROWS), Wire(ARROW))

_NESTED = frozenset({Kind.LIST, Kind.MAP, Kind.STRUCT})
_ARROW_BITS = 64
_ARROW_DIGITS = 76
_MICROSECONDS = 6


def pack(rows: Sequence[tuple[Any, ...]], fields: Sequence[Field], form: Format) -> Batch:
    """The rows in a format; `fields` are those of the tuples, change fields among them."""
    if form == ROWS:
        return Batch(ROWS, list(rows), len(rows), 0)
    from dpone.arrow import record_batch

    columns = zip(*rows, strict=True) if rows else ([] for _ in fields)
    travelling = {f.name: _out_column(values, f.type) for f, values in zip(fields, columns, strict=True)}
    data = record_batch(travelling, fields)
    return Batch(ARROW, data, data.num_rows, data.nbytes)


def unpack(batch: Batch, fields: Sequence[Field]) -> list[tuple[Any, ...]]:
    """The rows of a batch, as values of these fields."""
    if batch.format == ROWS:
        return [tuple(row) for row in batch.data]
    data: pa.RecordBatch = batch.data
    columns = [_home_column(data.column(i), f.type) for i, f in enumerate(fields)]
    return list(zip(*columns, strict=True))


def _travels_as_text(of: Type) -> bool:
    match of.kind:
        case Kind.INT | Kind.UINT:
            return (of.size or 0) > _ARROW_BITS
        case Kind.DECIMAL:
            return of.size is None or of.size > _ARROW_DIGITS
        case _:
            return False


def _out_column(values: Sequence[Any], of: Type) -> list[Any]:
    if of.kind not in _NESTED and not _travels_as_text(of):
        return list(values)
    return [_out(value, of) for value in values]


def _out(value: Any, of: Type) -> Any:
    if value is None:
        return None
    if _travels_as_text(of):
        return str(value)
    match of.kind:
        case Kind.LIST:
            return [_out(v, of.items[0].type) for v in value]
        case Kind.MAP:
            return [(_out(k, of.items[0].type), _out(v, of.items[1].type)) for k, v in value.items()]
        case Kind.STRUCT:
            return {f.name: _out(value.get(f.name), f.type) for f in of.items}
        case _:
            return value


def _home_column(column: pa.Array[Any], of: Type) -> list[Any]:
    if of.kind in {Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ}:
        import pyarrow as pa

        exact = pa.types.is_time64(column.type) or pa.types.is_timestamp(column.type)
        if (of.size or 0) > _MICROSECONDS and exact:
            unit = pa.time64("ns") if pa.types.is_time64(column.type) else pa.timestamp("ns", column.type.tz)
            return column.cast(unit).cast(pa.int64()).to_pylist()
    return [home(value, of) for value in column.to_pylist()]


def home(value: Any, of: Type) -> Any:
    """A value as Arrow gives it, as the store keeps it."""
    if value is None:
        return None
    match of.kind:
        case Kind.INT | Kind.UINT if isinstance(value, str):
            return int(value)
        case Kind.DECIMAL if isinstance(value, str | int):
            return Decimal(value)
        case Kind.TIMESTAMPTZ if isinstance(value, datetime):
            return value.astimezone(UTC)
        case Kind.LIST:
            return [home(v, of.items[0].type) for v in value]
        case Kind.MAP:
            pairs = value.items() if isinstance(value, Mapping) else value
            return {home(k, of.items[0].type): home(v, of.items[1].type) for k, v in pairs}
        case Kind.STRUCT:
            return {f.name: home(value.get(f.name), f.type) for f in of.items}
        case _:
            return value
