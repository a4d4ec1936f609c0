"""The server's own text of values as Arrow columns: exact, or refused by the column's name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from dpone.arrow import arrow_schema, arrow_type, unfit
from dpone.errors import DataError
from dpone.schema import Field, Kind, Type
from dpone_postgres.array_text import parse_array

Texts = Sequence[str | None]


def read_csv(data: bytes, fields: Sequence[Field]) -> pa.RecordBatch:
    """Rows of COPY CSV, in which an unquoted nothing is NULL and a quoted one an empty text."""
    names = [f.name for f in fields]
    table = csv.read_csv(
        BytesIO(data),
        read_options=csv.ReadOptions(column_names=names, use_threads=False, block_size=len(data) + 1),
        parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    ).combine_chunks()
    columns = [table.column(i).combine_chunks() for i in range(len(names))]
    return typed(columns, fields)


def typed(columns: Sequence[pa.Array[Any]], fields: Sequence[Field]) -> pa.RecordBatch:
    """Columns of text in the types of the fields."""
    arrays = [_column(texts, field) for texts, field in zip(columns, fields, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(fields))


def _column(texts: pa.Array[Any], field: Field) -> pa.Array[Any]:
    to = arrow_type(field.type)
    if to == pa.string():
        return texts
    try:
        return _converted(texts, field.type, to)
    except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError, OverflowError) as error:
        raise _unfit(field, error) from None


def _unfit(field: Field, error: Exception) -> DataError:
    found = unfit(field, error)
    found.hint = (
        "Arrow has no such value (NaN or infinity in a decimal, an infinite date, an array with other bounds); "
        "cast the column to text in a `query`, or leave it out"
    )
    return found


def _converted(texts: pa.Array[Any], of: Type, to: pa.DataType) -> pa.Array[Any]:
    match of.kind:
        case Kind.BOOL:
            return pc.equal(texts, pa.scalar("t"))
        case Kind.BINARY:
            return pa.array([None if t is None else bytes.fromhex(t[2:]) for t in texts.to_pylist()], pa.binary())
        case Kind.DATE | Kind.TIME | Kind.TIMESTAMP | Kind.TIMESTAMPTZ:
            return _temporal(texts, of, to)
        case Kind.LIST:
            return _list(texts, of, to)
        case _:
            return pc.cast(texts, to, safe=True)


# ------------------------------------------------------------------- dates and times

_DAY = 86_400_000_000
_MOMENT = re.compile(r"(\d{4,})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:\+00)?)?( BC)?")
_TIME = re.compile(r"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?")


def _temporal(texts: pa.Array[Any], of: Type, to: pa.DataType) -> pa.Array[Any]:
    """By Arrow's own parser where it can; it knows neither years beyond 9999 nor before Christ, so then one by one."""
    try:
        return pc.cast(texts, to, safe=True)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass
    number: Callable[[str], int] = {Kind.DATE: _days, Kind.TIME: _time_of_day}.get(of.kind, _microseconds)
    values = [None if t is None else number(t) for t in texts.to_pylist()]
    plain = pa.int32() if of.kind is Kind.DATE else pa.int64()
    return pa.array(values, plain).cast(to)


def _days(text: str) -> int:
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError(text)
    year, month, day = (int(part) for part in found.groups()[:3])
    return days_from_civil(1 - year if found[8] else year, month, day)


def _microseconds(text: str) -> int:
    found = _MOMENT.fullmatch(text)
    if found is None or found[4] is None:
        raise ValueError(text)
    return _days(text) * _DAY + _clock(found[4], found[5], found[6], found[7])


def _time_of_day(text: str) -> int:
    found = _TIME.fullmatch(text)
    if found is None or (value := _clock(*found.groups())) >= _DAY:  # 24:00:00 is a time here, and none in Arrow
        raise ValueError(text)
    return value


def _clock(hours: str, minutes: str, seconds: str, fraction: str | None) -> int:
    return ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1_000_000 + int((fraction or "0").ljust(6, "0"))


_ERA_YEARS, _ERA_DAYS = 400, 146_097


def days_from_civil(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the proleptic Gregorian calendar with a year zero."""
    eras, rest = divmod(year - 1, _ERA_YEARS)
    return date(rest + 1, month, day).toordinal() + eras * _ERA_DAYS - date(1970, 1, 1).toordinal()


# ----------------------------------------------------------------------------- arrays


def _list(texts: pa.Array[Any], of: Type, to: pa.DataType) -> pa.Array[Any]:
    """Elements are converted as a column of their own, and cut into lists again."""
    element = of.items[0].type
    offsets: list[int | None] = [0]
    flat: list[str | None] = []
    valid: list[bool] = []
    for text in texts.to_pylist():
        if text is not None:
            flat += parse_array(text)
        valid.append(text is not None)
        offsets.append(len(flat))
    strings = pa.array(flat, pa.string())
    inner = arrow_type(element)
    values = strings if inner == pa.string() else _converted(strings, element, inner)
    mask = pa.array([not v for v in valid], pa.bool_())
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, mask=mask).cast(to)
