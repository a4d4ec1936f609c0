"""Arrow on its way into a table: every value is made to fit its column here, where a misfit is an error.

Bulk copy itself would cut fractions of a second without a word.
"""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dpone.arrow import unfit
from dpone.schema import Field, Kind
from dpone_mssql.typemap import parse

_UNITS: dict[int, Any] = {0: "s", 1: "ms", 2: "ms", 3: "ms", 4: "us", 5: "us", 6: "us", 7: "ns"}
_HELD = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_INTEGERS: dict[str, Any] = {
    "tinyint": pa.uint8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "float": pa.float64(),
    "bit": pa.bool_(),
    "date": pa.date32(),
}
_ALIGNMENT = 16  # bytes: of the widest number, a decimal128
_DIGITS = {"money": (19, 4), "smallmoney": (10, 4)}


def fitted(column: Any, field: Field, native: str) -> Any:
    """The column as an Arrow type that bulk copy takes for a column of this native type."""
    try:
        return _aligned(_fitted(column, field, native))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, OverflowError, ValueError) as error:
        raise unfit(field, error) from None


def _aligned(column: Any) -> Any:
    """The column in memory that bulk copy reads directly; what comes out of a stream may lie anywhere."""
    if all(buffer is None or buffer.address % _ALIGNMENT == 0 for buffer in column.buffers()):
        return column
    return column.take(pa.array(range(len(column)), pa.int64()))


def _fitted(column: Any, field: Field, native: str) -> Any:
    spelled = parse(native.replace(" COLLATE ", " collate "))
    name = spelled.name
    if name in _INTEGERS:
        return _cast(column, _INTEGERS[name])
    if name in {"decimal", "numeric"}:
        return _cast(_digits(column), pa.decimal128(spelled.size or 18, spelled.scale or 0))
    if name in _DIGITS:
        return _cast(column, pa.decimal128(*_DIGITS[name]))
    if name in {"datetime2", "datetimeoffset", "time"}:
        return _clock(column, name, 7 if spelled.size is None else spelled.size)
    if name == "datetime":
        return _clock(column, "datetime2", 3)
    if name == "smalldatetime":
        return _clock(column, "datetime2", 0)
    if name in {"binary", "varbinary", "image", "rowversion"}:
        return _cast(column, pa.binary())
    if name == "uniqueidentifier":
        return column
    return _text(column, field)


def _cast(column: Any, wanted: Any) -> Any:
    return column if column.type == wanted else column.cast(wanted, safe=True)


def _digits(column: Any) -> Any:
    """Integers by way of a decimal that has room for all of them."""
    if pa.types.is_integer(column.type):
        return column.cast(pa.decimal128(20, 0))
    return column


def _clock(column: Any, name: str, digits: int) -> Any:
    if name == "time":
        unit = "us" if digits <= 6 else "ns"  # noqa: PLR2004 - of microseconds
        found = _cast(column, pa.time64(unit))
    else:
        unit = "us" if digits <= 6 else "ns"  # noqa: PLR2004 - of microseconds
        zone = "UTC" if name == "datetimeoffset" else None
        found = _cast(column, pa.timestamp(unit, tz=zone))
    _refuse_fractions(found, unit, digits)
    return found


def _refuse_fractions(column: Any, unit: str, digits: int) -> None:
    """Raises when a value has more digits than the column keeps."""
    held = _HELD[unit]
    if held == digits:
        return
    numbers = column.cast(pa.int64())
    step = 10 ** (held - digits)
    if not numbers.equals(pc.multiply(pc.divide(numbers, step), step)):
        raise ValueError(digits)


def _text(column: Any, field: Field) -> Any:
    """Text, or what stands for a value as text."""
    if pa.types.is_nested(column.type):
        values = [None if v is None else json.dumps(v, default=str, ensure_ascii=False) for v in column.to_pylist()]
        return pa.array(values, pa.string())
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return column
    if pa.types.is_timestamp(column.type):
        return _moments(column, field)
    return _cast(column, pa.string())


def _moments(column: Any, field: Field) -> Any:
    """Moments as SQL Server reads them, with as many digits as the unit has."""
    text = pc.strftime(column.cast(pa.timestamp(column.type.unit, tz=column.type.tz)), format="%Y-%m-%d %H:%M:%S")
    if column.type.unit == "ns" and field.type.kind in {Kind.TIMESTAMP, Kind.TIMESTAMPTZ}:
        numbers = column.cast(pa.int64())
        if not numbers.equals(pc.multiply(pc.divide(numbers, 100), 100)):
            raise ValueError(field.name)
        text = pc.utf8_slice_codeunits(text, 0, 27)
    return pc.binary_join_element_wise(text, "+00:00", " ") if column.type.tz else text
