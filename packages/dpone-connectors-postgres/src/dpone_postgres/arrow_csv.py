"""Arrow columns as COPY CSV: the text that PostgreSQL reads as the very same values."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, types

from dpone.errors import DataError
from dpone_postgres.array_text import print_array


def write_csv(batch: pa.RecordBatch, natives: Sequence[str]) -> bytes:
    """Rows of COPY CSV: NULL is nothing, a text is quoted; `natives` are the types of the columns that take them."""
    columns = [_text(batch.column(i), native, batch.schema.field(i).name) for i, native in enumerate(natives)]
    texts = pa.RecordBatch.from_arrays(columns, names=[f"c{i}" for i in range(len(columns))])
    out = BytesIO()
    csv.write_csv(texts, out, csv.WriteOptions(include_header=False))
    return out.getvalue()


def _text(values: Any, native: str, name: str) -> Any:
    of = values.type
    if types.is_dictionary(of):
        return _text(values.dictionary_decode(), native, name)
    if native in {"json", "jsonb"} and types.is_nested(of):
        return _each(values, lambda v: _json(v, name))
    if types.is_string(of) or types.is_large_string(of):
        return values.cast(pa.string())
    if types.is_binary(of) or types.is_large_binary(of) or types.is_fixed_size_binary(of):
        return _each(values, lambda v: "\\x" + bytes(v).hex())
    if types.is_date(of) or types.is_timestamp(of):
        return _moments(values)
    if types.is_list(of) or types.is_large_list(of) or types.is_fixed_size_list(of):
        return _arrays(values, native, name)
    if types.is_float16(of):
        values = values.cast(pa.float32())
    return pc.cast(values, pa.string())


def _each(values: Any, spell: Callable[[Any], str]) -> pa.Array[Any]:
    return pa.array([None if v is None else spell(v) for v in values.to_pylist()], pa.string())


def _arrays(values: Any, native: str, name: str) -> pa.Array[Any]:
    flat = _text(values.flatten(), native.removesuffix("[]"), name).to_pylist()
    found: list[str | None] = []
    at = 0
    for length in pc.list_value_length(values).to_pylist():
        if length is None:
            found.append(None)
        else:
            found.append(print_array(flat[at : at + length]))
            at += length
    return pa.array(found, pa.string())


# ------------------------------------------------------------------- dates and times

_DAY = 86_400
_FIRST, _LAST = date(1, 1, 1).toordinal(), date(9999, 12, 31).toordinal()
_EPOCH = date(1970, 1, 1).toordinal()
_ERA_YEARS, _ERA_DAYS = 400, 146_097
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def _moments(values: Any) -> Any:
    """By Arrow's own printer inside the years 1 to 9999, one by one beyond them."""
    of = values.type
    if types.is_date64(of):
        values, of = values.cast(pa.date32()), pa.date32()
    if types.is_date32(of):
        ticks = values.cast(pa.int32()).cast(pa.int64())
        per_day = 1
    else:
        values = values.cast(pa.timestamp(of.unit))  # an instant is kept in UTC, and so is the session's zone
        ticks = values.cast(pa.int64())
        per_day = _DAY * _PER_SECOND[of.unit]
    extremes: Any = pc.min_max(ticks).as_py()
    lo, hi = (_FIRST - _EPOCH) * per_day, (_LAST + 1 - _EPOCH) * per_day
    if extremes["min"] is None or (extremes["min"] >= lo and extremes["max"] < hi):
        return pc.cast(values, pa.string())
    digits = 0 if per_day == 1 else len(str(per_day // _DAY)) - 1
    return _each(ticks, lambda tick: _moment(tick, per_day, digits))


def _moment(tick: int, per_day: int, digits: int) -> str:
    days, rest = divmod(tick, per_day)
    eras, ordinal = divmod(days + _EPOCH - 1, _ERA_DAYS)
    day = date.fromordinal(ordinal + 1)
    year = day.year + eras * _ERA_YEARS
    era = " BC" if year <= 0 else ""
    text = f"{1 - year if year <= 0 else year:04d}-{day.month:02d}-{day.day:02d}"
    if per_day == 1:
        return text + era
    seconds, fraction = divmod(rest, 10**digits)
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{text} {clock}.{fraction:0{digits}d}{era}" if digits else f"{text} {clock}{era}"


# ----------------------------------------------------------------------------- JSON


def _json(value: Any, name: str) -> str:
    """JSON in which every number keeps its digits."""
    match value:
        case None | bool() | str() | int():
            return json.dumps(value, ensure_ascii=False)
        case float() if not math.isfinite(value):
            raise _not_json(name)
        case Decimal() if not value.is_finite():
            raise _not_json(name)
        case float():
            return repr(value)
        case Decimal():
            return format(value, "f")
        case bytes():
            return json.dumps(value.hex())
        case Mapping():
            return "{" + ", ".join(f"{json.dumps(str(k))}: {_json(v, name)}" for k, v in value.items()) + "}"
        case tuple() if len(value) == 2 and not isinstance(value[0], (list, dict)):  # noqa: PLR2004 - an entry of a map
            return "[" + ", ".join(_json(v, name) for v in value) + "]"
        case list() | tuple():
            return "[" + ", ".join(_json(v, name) for v in value) + "]"
        case _:
            return json.dumps(value.isoformat() if hasattr(value, "isoformat") else str(value))


def _not_json(name: str) -> DataError:
    return DataError(
        f"column {name}: JSON has no NaN and no infinity",
        code="sink.rejected_rows",
        hint="leave the column out, or cast it at the source",
    )
