"""Arrow on its way into ClickHouse: every value is made to fit its column here, where a misfit is an error.

The server itself would wrap an integer around, cut fractions of a second or of a decimal, and move an instant to the
nearest one that it knows (seen on 26.9).
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dpone.arrow import arrow_type, unfit
from dpone.schema import Field, Kind, Type
from dpone_clickhouse.native import parse_native
from dpone_clickhouse.typemap import read

_UNITS: dict[int, Any] = {0: "s", 1: "ms", 2: "ms", 3: "ms", 4: "us", 5: "us", 6: "us"}
_LAST_SECOND = 2**32 - 1  # of a DateTime


class ArrowStream:
    """One IPC stream, in pieces: each batch adds to it, `end` closes it. Columns take these names and types."""

    def __init__(self, natives: Sequence[tuple[str, str]]) -> None:
        self._natives = natives
        self._pieces = _Pieces()
        self._writer: Any = None

    def add(self, batch: pa.RecordBatch) -> bytes:
        """The batch as the next piece of the stream; every value fits the column that it goes to."""
        arrays = [
            fitted(column, Field(name, read(native)), native)
            for column, (name, native) in zip(batch.columns, self._natives, strict=True)
        ]
        made = pa.RecordBatch.from_arrays(arrays, names=[name for name, _ in self._natives])
        if self._writer is None:
            self._writer = pa.ipc.new_stream(self._pieces, made.schema)
        self._writer.write_batch(made)
        return self._pieces.take()

    def end(self) -> bytes:
        """The last piece."""
        if self._writer is not None:
            self._writer.close()
        return self._pieces.take()


class _Pieces(io.RawIOBase):
    """A file that hands over what was written to it."""

    def __init__(self) -> None:
        super().__init__()
        self._held: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._held.append(piece)
        return len(piece)

    def take(self) -> bytes:
        taken = b"".join(self._held)
        self._held = []
        return taken


def fitted(column: pa.Array[Any], field: Field, native: str) -> pa.Array[Any]:
    """The column as an Arrow type that the server takes without changing a value."""
    try:
        return _fitted(column, field.type, native)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, OverflowError, ValueError) as error:
        raise unfit(field, error) from None


def _fitted(column: pa.Array[Any], of: Type, native: str) -> pa.Array[Any]:
    if of.kind in {Kind.STRING, Kind.JSON, Kind.OPAQUE}:
        return _text(column)
    if of.kind is Kind.TIMESTAMPTZ:
        instants: pa.Array[Any] = _instants(column, of, native)
        return instants
    if _family(native) == "Time":
        return column.cast(pa.time32("s"), safe=True).cast(pa.string())  # the server takes no Arrow type for it
    wanted = arrow_type(of)
    return column if column.type == wanted else column.cast(wanted, safe=True)


def _text(column: pa.Array[Any]) -> pa.Array[Any]:
    if pa.types.is_nested(column.type):
        values = [None if v is None else json.dumps(v, default=str, ensure_ascii=False) for v in column.to_pylist()]
        return pa.array(values, pa.string())
    if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
        return column
    return column.cast(pa.string(), safe=True)


def _instants(column: Any, of: Type, native: str) -> Any:
    """Instants in UTC, in whole units of the column."""
    if not pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us"), safe=True)
    if column.type.tz is None:
        column = pc.assume_timezone(column, "UTC")
    unit = _UNITS.get(of.size or 0, "ns")
    digits = of.size or 0
    fine = column.cast(pa.timestamp(unit, tz="UTC"), safe=True)
    _refuse_fractions(fine, unit, digits)
    if _family(native) == "DateTime":
        _refuse_outside(fine)
    return fine if unit != "s" else fine.cast(pa.timestamp("ms", tz="UTC"))


def _family(native: str) -> str:
    of = parse_native(native)
    while of.family in {"Nullable", "LowCardinality"} and of.types:
        of = of.types[0]
    return of.family


def _refuse_fractions(column: pa.Array[Any], unit: str, digits: int) -> None:
    """Raises when a value has more digits than the column keeps, where Arrow has no unit of that many."""
    held = {"s": 0, "ms": 3, "us": 6, "ns": 9}[unit]
    if held == digits:
        return
    numbers: Any = column.cast(pa.int64())
    step = 10 ** (held - digits)
    whole: Any = pc.multiply(pc.divide(numbers, step), step)
    if not numbers.equals(whole):
        raise ValueError(digits)


def _refuse_outside(column: pa.Array[Any]) -> None:
    limits: Any = pc.min_max(column.cast(pa.int64()))
    least, greatest = limits["min"].as_py(), limits["max"].as_py()
    if least is not None and not (least >= 0 and greatest <= _LAST_SECOND):
        raise ValueError(greatest)
