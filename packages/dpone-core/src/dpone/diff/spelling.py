"""The texts by which values are compared: the definition of each form, and the form that two columns share."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from math import isfinite
from typing import Any

from dpone.plan import ChangeKind, PlannedColumn
from dpone.schema import Field, Kind, Type
from dpone.segments import FREE, NULL, Form

_NUMBERS = frozenset({Kind.INT, Kind.UINT, Kind.DECIMAL})
_MOMENTS = frozenset({Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
# kinds of a source whose own text is what a target keeps that keeps text
_AS_TEXT = frozenset({Kind.STRING, Kind.JSON, Kind.OPAQUE, Kind.INTERVAL, Kind.UUID})
_PLAIN = {
    Kind.FLOAT: Form.FLOAT,
    Kind.BOOL: Form.BOOL,
    Kind.DATE: Form.DATE,
    Kind.TIME: Form.TIME,
    Kind.UUID: Form.UUID,
    Kind.BINARY: Form.BYTES,
    Kind.STRING: Form.TEXT,
}
_KEEPS_TEXT = frozenset({"postgres:json"})  # native types of JSON that keep the text that they were given


def common_form(column: PlannedColumn, landed: Field) -> Form | str:
    """The form in which the source's column and the target's can be compared on their servers, or why there is none."""
    if (change := column.change) is not None and not _keeps_values(column):
        return f"its values are changed on the way ({change.kind.value})"
    came, lands = column.found, landed
    if {came.type.kind, lands.type.kind} <= _NUMBERS:
        return Form.NUMBER
    if {came.type.kind, lands.type.kind} <= _MOMENTS:
        return Form.MOMENT
    if came.type.kind is lands.type.kind and came.type.kind in _PLAIN:
        return _PLAIN[came.type.kind]
    if came.native is not None and came.native == lands.native:
        return Form.OWN
    if lands.type.kind is Kind.STRING or lands.native in _KEEPS_TEXT:
        if came.type.kind in _AS_TEXT:
            return Form.TEXT
        if came.type.kind is Kind.BINARY:
            return Form.BYTES
    return f"{came.native or came.type} and {lands.native or lands.type} have no common text"


def _keeps_values(column: PlannedColumn) -> bool:
    """A safe cast between whole numbers and decimals, or between times, changes no value."""
    assert column.change is not None
    if column.change.kind is not ChangeKind.CAST:
        return False
    kinds = {column.found.type.kind, column.field.type.kind}
    return kinds <= _NUMBERS or (len(kinds) == 1 and kinds <= {*_MOMENTS, Kind.FLOAT, Kind.STRING})


def form_of(of: Type) -> Form:
    """The form of values that were read here, which are of one type whatever the engine."""
    if of.kind in _NUMBERS:
        return Form.NUMBER
    return Form.MOMENT if of.kind in _MOMENTS else _PLAIN.get(of.kind, Form.TEXT)


# ------------------------------------------------------------------------- values


def spell(value: Any, form: Form) -> str | None:
    """The text of a value; None for NULL. Times finer than Python's own come as whole nanoseconds."""
    if value is None:
        return None
    if isinstance(value, str) and form in {Form.TIME, Form.MOMENT}:  # out of JSON
        return _trimmed(value.replace("T", " ")) if "." in value else value.replace("T", " ")
    match form:
        case Form.NUMBER:
            return _number(value)
        case Form.FLOAT:
            return "nan" if value != value else struct.pack(">d", float(value) + 0.0).hex()  # noqa: PLR0124 -- NaN is unlike itself
        case Form.BOOL:
            return "true" if value else "false"
        case Form.DATE:
            return value.date().isoformat() if isinstance(value, datetime) else str(value)
        case Form.TIME:
            return _time(value)
        case Form.MOMENT:
            return _moment(value)
        case Form.UUID:
            return str(value).lower()
        case Form.BYTES:
            return (value.encode() if isinstance(value, str) else bytes(value)).hex()
        case Form.TEXT | Form.OWN:
            return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _number(value: Any) -> str:
    if isinstance(value, int):
        return str(int(value))
    number = Decimal(str(value))
    if not number.is_finite():
        return str(number)  # NaN, Infinity, -Infinity
    digits = format(number, "f")
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return "0" if digits == "-0" else digits


def _time(value: time | int) -> str:
    if isinstance(value, int):
        seconds, fraction = divmod(value, 10**9)
        return _trimmed(f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{fraction:09d}")
    return _trimmed(value.isoformat("microseconds"))


def _moment(value: datetime | date | int) -> str:
    if isinstance(value, int):
        seconds, fraction = divmod(value, 10**9)
        return _trimmed(f"{datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat(' ')}.{fraction:09d}")
    if not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return _trimmed(value.isoformat(" ", "microseconds"))


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".")


def written(text: str | None, of: Type) -> int | float | bool | str | None:
    """A value by its text, as people and `dpone resync --key` write it."""
    match of.kind:
        case _ if text is None:
            return None
        case Kind.INT | Kind.UINT:
            return int(text)
        case Kind.BOOL:
            return text == "true"
        case Kind.FLOAT if text == "nan":
            return "NaN"
        case Kind.FLOAT:
            number: float = struct.unpack(">d", bytes.fromhex(text))[0]
            return number if isfinite(number) else str(number)
        case Kind.TIMESTAMP | Kind.TIMESTAMPTZ:
            return text.replace(" ", "T") + ("Z" if of.kind is Kind.TIMESTAMPTZ else "")
        case _:
            return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


# ------------------------------------------------------- values of nested types


def spell_as(value: Any, of: Type) -> str | None:
    """The text of a value that was read here, whichever shape the engine gave it: nested ones as JSON."""
    return speller(of)(value)


def speller(of: Type) -> Callable[[Any], str | None]:
    """What spells the values of a column of this type."""
    if of.kind is not Kind.JSON and not of.items:
        form = form_of(of)
        return lambda value: spell(value, form)
    return lambda value: None if value is None else json.dumps(_nested(value, of), sort_keys=True, ensure_ascii=False)


def _nested(value: Any, of: Type) -> Any:
    if value is None:
        return None
    if isinstance(value, str | bytes) and (of.items or of.kind is Kind.JSON):
        value = json.loads(value, parse_float=Decimal, parse_int=Decimal)
    match of.kind:
        case Kind.JSON:
            return _json(value)
        case Kind.LIST:
            return [_nested(v, of.items[0].type) for v in value]
        case Kind.MAP:
            key, item = (f.type for f in of.items)
            pairs = value.items() if isinstance(value, Mapping) else value
            return sorted([spell_as(k, key), _nested(v, item)] for k, v in pairs)
        case Kind.STRUCT:
            return [_nested(value.get(f.name), f.type) for f in of.items]
        case _:
            return spell(value, form_of(of))


def _json(value: Any) -> Any:
    """Numbers by their digits, marked, so that 1 and "1" are not the same."""
    match value:
        case bool() | None | str():
            return value
        case Mapping():
            return {str(k): _json(v) for k, v in value.items()}
        case list() | tuple():
            return [_json(v) for v in value]
        case _:
            return {"number": _number(value)}


# --------------------------------------------------------------------------- rows


def row_text(texts: Sequence[str | None], forms: Sequence[Form]) -> str:
    """The text of a row, from which it can be told column by column."""
    return "|".join(_part(text, form) for text, form in zip(texts, forms, strict=True))


def _part(text: str | None, form: Form) -> str:
    if text is None:
        return NULL
    return f"{len(text.encode('utf-8', 'surrogateescape'))}:{text}" if form in FREE else text


def hash_of(text: str) -> int:
    """The first 60 bits of the MD5."""
    digest = hashlib.md5(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big") >> 4
