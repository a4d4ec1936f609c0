"""Columns of Arrow as the text of JSON objects, a column at a time.

What JSON has no form for is text that reads back as the same value: decimals, dates, times, instants in UTC, bytes as
base64, numbers that are not finite. A value of a JSON column stands in the object as itself.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dpone.errors import RemoteError
from dpone.schema import Field, Kind, Type

_QUOTED = frozenset(
    {
        *(Kind.DECIMAL, Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ),
        *(Kind.STRING, Kind.UUID, Kind.INTERVAL, Kind.OPAQUE),
    }
)
_SPECIAL = '["\\\\\\x00-\\x1f]'


def json_objects(columns: Sequence[pa.Array[Any]], fields: Sequence[Field]) -> pa.Array[Any]:
    """One object a row, every column in it, as text."""
    if not fields:
        raise ValueError("an object without fields")
    parts: list[Any] = []
    literal = "{"
    for column, field in zip(columns, fields, strict=True):
        before, texts, behind = _value(column, field)
        parts += [pa.scalar(f"{literal}{json.dumps(field.name, ensure_ascii=False)}:{before}"), texts]
        literal = f"{behind},"
    joined: pa.Array[Any] = pc.binary_join_element_wise(*parts, pa.scalar(f"{literal[:-1]}}}"), pa.scalar(""))
    return joined


def json_values(column: pa.Array[Any], field: Field) -> pa.Array[Any]:
    """Each value as JSON, NULL as null."""
    before, texts, behind = _value(column, field)
    found: pa.Array[Any] = _between(before, texts, behind) if before else texts
    return found


def _value(column: pa.Array[Any], field: Field) -> tuple[str, Any, str]:
    """What stands before each value, its text, and what stands behind it: to join each column by itself would cost."""
    try:
        texts = _texts(column, field.type)
    except ValueError:
        raise RemoteError(
            f"column {field.name}: a value is no JSON, or is its null, which a reader takes for NULL ({field.type})",
            code="sink.rejected_rows",
            hint="cast the column to string under `columns:`, or leave it out",
        ) from None
    if field.type.kind in _QUOTED:
        quotes = '"', 'Z"' if field.type.kind is Kind.TIMESTAMPTZ else '"'
        if not column.null_count:
            return quotes[0], texts, quotes[1]
        texts = _between(quotes[0], texts, quotes[1])
    return "", texts.fill_null("null"), ""


def _texts(column: pa.Array[Any], of: Type) -> Any:
    """Each value as JSON, without the quotes of those that are `_QUOTED`."""
    match of.kind:
        case Kind.BOOL:
            return pc.if_else(column, "true", "false")
        case Kind.INT | Kind.UINT:
            return column if pa.types.is_string(column.type) else pc.cast(column, pa.string())
        case Kind.FLOAT:
            return _floats(column)
        case Kind.DECIMAL | Kind.DATE | Kind.TIME:
            return pc.cast(column, pa.string())
        case Kind.TIMESTAMP | Kind.TIMESTAMPTZ:
            clock = pc.cast(pc.cast(column, pa.timestamp(column.type.unit)), pa.string())
            return pc.replace_substring(clock, " ", "T")
        case Kind.STRING | Kind.UUID | Kind.INTERVAL | Kind.OPAQUE:
            return _escaped(column)
        case Kind.BINARY:
            return _python(column, lambda value: f'"{base64.b64encode(value).decode()}"')
        case Kind.JSON:
            return _python(column, _checked)
        case _:
            return _python(column, lambda value: json.dumps(plain_value(value, of), ensure_ascii=False))


def _between(before: str, texts: Any, behind: str) -> Any:
    return pc.binary_join_element_wise(pa.scalar(before), texts, pa.scalar(behind), pa.scalar(""))


def _floats(column: Any) -> Any:
    if column.type == pa.float16():
        column = pc.cast(column, pa.float32())
    texts = pc.cast(column, pa.string())
    finite = pc.is_finite(column)
    if pc.all(finite, min_count=0).as_py() is not False:
        return texts
    positive = pc.greater(column, pa.scalar(0.0, column.type))
    named = pc.if_else(pc.is_nan(column), '"NaN"', pc.if_else(positive, '"Infinity"', '"-Infinity"'))
    return pc.if_else(finite, texts, named)


def _escaped(column: Any) -> Any:
    special: Any = pc.match_substring_regex(column, _SPECIAL)
    if not pc.any(special).as_py():
        return column
    special = pc.and_(special, pc.is_valid(column))
    replaced = [json.dumps(text, ensure_ascii=False)[1:-1] for text in column.filter(special).to_pylist()]
    return pc.replace_with_mask(column, special, pa.array(replaced, pa.string()))


def _python(column: Any, write: Any) -> Any:
    return pa.array([None if value is None else write(value) for value in column.to_pylist()], pa.string())


def _checked(text: str) -> str:
    if json.loads(text) is None:  # ValueError where it is no JSON at all
        raise ValueError
    return text


def plain_value(value: Any, of: Type) -> Any:
    """A nested value as what `json.dumps` takes."""
    if value is None:
        return None
    match of.kind:
        case Kind.LIST:
            return [plain_value(v, of.items[0].type) for v in value]
        case Kind.MAP:
            key, item = (f.type for f in of.items)
            pairs = list(value.items() if isinstance(value, dict) else value)
            if key.kind in {Kind.STRING, Kind.UUID}:
                return {k: plain_value(v, item) for k, v in pairs}
            return [[plain_value(k, key), plain_value(v, item)] for k, v in pairs]
        case Kind.STRUCT:
            return {f.name: plain_value(value.get(f.name), f.type) for f in of.items}
        case Kind.FLOAT:
            if math.isfinite(value):
                return value
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case Kind.INT | Kind.UINT:
            return int(value)
        case Kind.BINARY:
            return base64.b64encode(value).decode()
        case Kind.JSON:
            return json.loads(value)
        case _:
            return _text(value)


def _text(value: Any) -> Any:
    match value:
        case bool():
            return value
        case datetime() if value.tzinfo is not None:
            return value.isoformat().replace("+00:00", "Z")
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal():
            return str(value)
        case _:
            return value
