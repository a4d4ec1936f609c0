"""JSON objects as columns of Arrow: a whole batch at once where type and values allow it, one by one otherwise.

Both ways take the same values, and what the first one does not take the second one looks at, so that a message which
is bad is found and named, and a batch that holds one loses nothing else.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from dpone.arrow import arrow_type
from dpone.schema import Field, Kind, Type

_BITS, _DIGITS = 64, 76
_MICROSECONDS = 6
_TEXTS = frozenset({Kind.STRING, Kind.UUID, Kind.INTERVAL, Kind.OPAQUE})
_CLOCKS = frozenset({Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)")
_LEAST_BLOCK = 1 << 20
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

Values = Sequence[bytes]


class UnfitError(ValueError):
    """A value is not one of its column's type; the text names the column and never the value."""


def read_objects(values: Values, fields: Sequence[Field]) -> list[pa.Array[Any]]:
    """The columns of these objects; fields that an object lacks are NULL. UnfitError when one of them is bad."""
    found = _at_once(values, [f for f in fields if _raw_type(f.type) is not None])
    if left := [f for f in fields if f.name not in found]:
        rows = [parse_object(value) for value in values]
        found |= {f.name: column_of([row.get(f.name) for row in rows], f) for f in left}
    return [found[f.name] for f in fields]


# ------------------------------------------------------------------------ all at once


def _raw_type(of: Type) -> pa.DataType | None:
    """The type in which a column is parsed; None when it must be looked at value by value."""
    match of.kind:
        case Kind.BOOL:
            return pa.bool_()
        case Kind.INT | Kind.UINT:
            return arrow_type(of) if (of.size or 0) <= _BITS else None
        case Kind.FLOAT:
            return pa.float64()
        case Kind.DECIMAL:
            return arrow_type(of) if of.size is not None and of.size <= _DIGITS else None
        case kind if kind in _TEXTS or kind in _CLOCKS:
            return pa.string()
        case _:
            return None


def _at_once(values: Values, fields: Sequence[Field]) -> dict[str, pa.Array[Any]]:
    """The columns by name; none of them where a value does not fit."""
    if not values or not fields:
        return {}
    # Each begins and ends as an object does, so what lies between two of them is between objects: then as many rows as
    # messages means one row for each. (The parser dies of a first value that is null; it never sees one.)
    text = b"\n".join(values)
    if not _are_objects(text, values):
        return {}
    schema = pa.schema([(f.name, t) for f in fields if (t := _raw_type(f.type)) is not None])
    try:
        table = pa.json.read_json(
            pa.BufferReader(text),  # type: ignore[arg-type]  # the stubs know files of Python alone
            read_options=pa.json.ReadOptions(use_threads=False, block_size=max(_LEAST_BLOCK, len(text) + 1)),
            parse_options=pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        )
        if table.num_rows != len(values):
            return {}
        return {f.name: _settled(_one(table.column(f.name)), f.type) for f in fields}
    except (pa.ArrowInvalid, UnicodeDecodeError):
        return {}


def _are_objects(text: bytes, values: Values) -> bool:
    """Whether each of the values begins and ends as an object does; `text` has them a line each."""
    between = len(values) - 1
    if text.count(b"\n") == between:  # no value holds a line end, so that two counts say it of all of them
        return text[:1] == b"{" and text[-1:] == b"}" and text.count(b"}\n{") == between
    return all(value[:1] == b"{" and value[-1:] == b"}" for value in values)


def _one(column: Any) -> Any:
    return column.combine_chunks()


def _settled(column: Any, of: Type) -> Any:
    """The parsed column in its own type; an error where a value does not fit."""
    wanted = arrow_type(of)
    if of.kind is Kind.TIME:
        unit = pa.timestamp("us") if (of.size or 0) <= _MICROSECONDS else pa.timestamp("ns")
        moment = pc.cast(pc.binary_join_element_wise("1970-01-01T", column, ""), unit)
        return pc.cast(moment, wanted)
    if of.kind is Kind.FLOAT and wanted != column.type:
        return pc.cast(column, wanted, safe=False)
    if pa.types.is_string(wanted):
        column.validate(full=True)
    return column if column.type == wanted else pc.cast(column, wanted)


# -------------------------------------------------------------------------- one by one


def parse_object(value: bytes) -> dict[str, Any]:
    """The object that a message is."""
    try:
        found = json.loads(value, parse_float=Decimal)
    except (ValueError, RecursionError):
        raise UnfitError("it is no JSON") from None
    if not isinstance(found, dict):
        raise UnfitError("it is JSON, and no object")
    return found


def column_of(values: Sequence[Any], field: Field) -> pa.Array[Any]:
    """Values as `json.loads` gives them, as a column of the field's type."""
    try:
        homes = [None if v is None else _home(v, field.type) for v in values]
        if field.type.kind in _CLOCKS:
            clocks: pa.Array[Any] = _settled(pa.array(homes, pa.string()), field.type)
            return clocks
        if field.type.kind is Kind.FLOAT:
            numbers: pa.Array[Any] = pc.cast(pa.array(homes, pa.float64()), arrow_type(field.type), safe=False)
            return numbers
        return pa.array(homes, arrow_type(field.type))
    except (UnfitError, pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, InvalidOperation, binascii.Error):
        raise UnfitError(f"{field.name} holds what is no {field.type}") from None


def _home(value: Any, of: Type) -> Any:
    if value is None:
        return None
    match of.kind:
        case Kind.BOOL if isinstance(value, bool):
            return value
        case Kind.INT | Kind.UINT if not isinstance(value, bool):
            number = _whole(value)
            return str(number) if (of.size or 0) > _BITS else number
        case Kind.FLOAT if not isinstance(value, bool):
            return _float(value)
        case Kind.DECIMAL if not isinstance(value, bool) and isinstance(value, int | Decimal | str):
            exact = Decimal(value)
            return str(exact) if of.size is None or of.size > _DIGITS else exact
        case Kind.JSON:
            return json_text(value)
        case Kind.BINARY if isinstance(value, bytes):
            return value
        case Kind.BINARY if isinstance(value, str):
            return base64.b64decode(value, validate=True)
        case Kind.LIST | Kind.MAP | Kind.STRUCT if isinstance(value, str):
            return _home(_parsed(value), of)
        case Kind.LIST if isinstance(value, list):
            return [_nested(v, of.items[0].type) for v in value]
        case Kind.MAP:
            return _map(value, of)
        case Kind.STRUCT if isinstance(value, dict):
            return {f.name: _nested(value.get(f.name), f.type) for f in of.items}
        case kind if isinstance(value, str) and (kind in _TEXTS or kind in _CLOCKS):
            return value
        case _:
            raise UnfitError


def _parsed(text: str) -> Any:
    """What a format without nested columns holds as text."""
    try:
        return json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError):
        raise UnfitError from None


def _whole(value: Any) -> int:
    if isinstance(value, int):
        return value
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    raise UnfitError


def _float(value: Any) -> float:
    if isinstance(value, str):
        if value in {"NaN", "Infinity", "-Infinity"}:
            return float(value)
        raise UnfitError
    if isinstance(value, int | float | Decimal):
        return float(value)
    raise UnfitError


def _map(value: Any, of: Type) -> list[tuple[Any, Any]]:
    key, item = (f.type for f in of.items)
    if isinstance(value, dict):
        return [(_nested(k, key), _nested(v, item)) for k, v in value.items()]
    if isinstance(value, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in value):  # noqa: PLR2004 - a pair
        return [(_nested(k, key), _nested(v, item)) for k, v in value]
    raise UnfitError


def _nested(value: Any, of: Type) -> Any:
    home = _home(value, of)
    if home is None or of.kind not in _CLOCKS:
        return home
    (settled,) = _settled(pa.array([home], pa.string()), of).to_pylist()
    return settled


def json_text(value: Any) -> str:
    """Parsed JSON as text again, numbers with the digits that they had."""
    try:
        return _ENCODER.encode(value)
    except TypeError:  # it holds a Decimal
        pass
    match value:
        case dict():
            inner = ",".join(f"{json.dumps(k, ensure_ascii=False)}:{json_text(v)}" for k, v in value.items())
            return f"{{{inner}}}"
        case list():
            return f"[{','.join(map(json_text, value))}]"
        case Decimal():
            return str(value)
        case _:
            return json.dumps(value, ensure_ascii=False)
