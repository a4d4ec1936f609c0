"""Arrow as the server sends it, made what core says: every value checked, since the server checks none."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dpone.arrow import arrow_schema, arrow_type, unfit
from dpone.schema import Field, Kind

_DAY = 86_400


def read_batches(pieces: Iterator[bytes], fields: Sequence[Field], most: int) -> Iterator[pa.RecordBatch]:
    """The batches of an ArrowStream that comes in pieces, none much larger than `most` bytes; a stream that ends early
    is an error.
    """
    schema = arrow_schema(fields)
    with pa.ipc.open_stream(_File(pieces)) as stream:
        for batch in stream:
            arrays = [_checked(column, field) for column, field in zip(batch.columns, fields, strict=True)]
            whole = pa.RecordBatch.from_arrays(arrays, schema=schema)
            rows = max(1, whole.num_rows * most // max(1, whole.nbytes))
            yield from (whole.slice(at, rows) for at in range(0, whole.num_rows, rows))


class _File(io.RawIOBase):
    """Pieces as a file that is read once, for Arrow's reader."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._held = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        held = [self._held]
        have = len(self._held)
        while size < 0 or have < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            held.append(piece)
            have += len(piece)
        data = b"".join(held)
        end = len(data) if size < 0 else size
        self._held = data[end:]
        return data[:end]


def _checked(column: pa.Array[Any], field: Field) -> Any:
    try:
        made = _conform(column, field)
        made.validate(full=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, ValueError) as error:
        raise unfit(field, error) from None
    if field.type.kind is Kind.TIME:
        _refuse_beyond_day(made, field)
    return made


def _conform(column: Any, field: Field) -> Any:
    """The column in core's Arrow type; a tuple's elements go by their places, since the server may not name them."""
    of = field.type
    wanted: Any = arrow_type(of)
    if column.type == wanted:
        return column
    match of.kind:
        case Kind.STRUCT:
            parts = [_conform(column.field(n), item) for n, item in enumerate(of.items)]
            return pa.StructArray.from_arrays(parts, fields=list(wanted), mask=pc.is_null(column))
        case Kind.LIST:
            values = _conform(column.flatten(), of.items[0])
            offsets = pc.subtract(column.offsets, column.offsets[0])
            return pa.ListArray.from_arrays(offsets, values, mask=pc.is_null(column) if column.null_count else None)
        case Kind.MAP:
            keys, values = _conform(column.keys, of.items[0]), _conform(column.items, of.items[1])
            return pa.MapArray.from_arrays(column.offsets, keys, values).cast(wanted)
        case _:
            return column.cast(wanted, safe=True)


def _refuse_beyond_day(column: Any, field: Field) -> None:
    unit = 10**6 if column.type.unit == "us" else 10**9
    limits: Any = pc.min_max(column.cast(pa.int64()))
    least, greatest = limits["min"].as_py(), limits["max"].as_py()
    if least is not None and not (least >= 0 and greatest < _DAY * unit):
        raise unfit(field, ValueError())
