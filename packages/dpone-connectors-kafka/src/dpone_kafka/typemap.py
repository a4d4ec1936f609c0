"""What the columns of a topic are.

A topic has no types of its own: the format of its messages does. So a native type is spelled as core spells it, and the
formats encode each of core's types. JSON, which is the default and knows the least, writes as text what it has no form
for, and with the schema at hand the text is read back as the same value. What a format cannot hold at all it refuses
when its schema is made.
"""

from __future__ import annotations

from dpone.errors import UsageError
from dpone.schema import JSON, Field, Kind, Landing, Type, TypeMap, Verdict, decimal, parse_type

ENGINE = "kafka"

NATIVES = (
    *("bool", "int8", "int16", "int32", "int64", "int128", "int256"),
    *("uint8", "uint16", "uint32", "uint64", "uint128", "uint256", "float16", "float32", "float64"),
    *("decimal(18,4)", "decimal(76,38)", "decimal", "string", "string(20)", "binary", "uuid", "json", "opaque"),
    *("date", "time(6)", "time(9)", "timestamp(3)", "timestamp(6)", "timestamptz(6)", "timestamptz(9)", "interval"),
    *("list<int64>", "map<string,decimal(18,4)>", "struct<a:int64,b:list<string>>"),
)

_TEXT_IN_JSON = frozenset(
    {
        *(Kind.DECIMAL, Kind.BINARY, Kind.UUID, Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ),
        *(Kind.INTERVAL, Kind.OPAQUE),
    }
)


def read(native: str) -> Type:
    """The type that a column of this native type holds."""
    return parse_type(native.removeprefix(f"{ENGINE}:"))


def land(field: Field) -> Landing:
    """The column that a topic makes of a field."""
    if field.type.kind is Kind.OPAQUE and field.native_of(ENGINE) is None:
        return Landing("opaque", Verdict.WIDENED, "as text: the type is the source's own")
    scale = field.type.scale or 0
    if field.type.kind is Kind.DECIMAL and field.type.size is not None and scale < 0:
        digits = decimal(field.type.size - scale, 0)
        return Landing(str(digits), Verdict.WIDENED, "no format has a scale below zero")
    if any(map(_has_negative_scale, field.type.items)):
        return Landing(str(JSON), Verdict.WIDENED, "as JSON: no format has a scale below zero")
    spelled = str(field.type)
    if not _is_spelled(spelled):
        return Landing(str(JSON), Verdict.WIDENED, "as JSON: the name of a field in it is no plain word")
    return Landing(spelled, why="text, where the format is JSON" if field.type.kind in _TEXT_IN_JSON else "")


def _has_negative_scale(field: Field) -> bool:
    return (field.type.scale or 0) < 0 or any(map(_has_negative_scale, field.type.items))


def _is_spelled(text: str) -> bool:
    try:
        return str(parse_type(text)) == text
    except UsageError:
        return False


def widens(old: str, new: str) -> bool:
    """True when every value of `old` is one of `new`, so that messages of both can be read as `new`."""
    return _widens(read(old), read(new))


def _widens(old: Type, new: Type) -> bool:
    if old == new:
        return True
    match old.kind, new.kind:
        case (Kind.INT, Kind.INT) | (Kind.UINT, Kind.UINT) | (Kind.FLOAT, Kind.FLOAT):
            return _size(old) <= _size(new)
        case Kind.UINT, Kind.INT:
            return _size(old) < _size(new)
        case ((Kind.INT | Kind.UINT), Kind.DECIMAL):
            digits = len(str(2 ** (_size(old) - (old.kind is Kind.INT))))
            return new.size is None or new.size - (new.scale or 0) >= digits
        case Kind.DECIMAL, Kind.DECIMAL:
            return new.size is None or (
                old.size is not None
                and (new.scale or 0) >= (old.scale or 0)
                and new.size - (new.scale or 0) >= old.size - (old.scale or 0)
            )
        case (Kind.STRING, Kind.STRING) | (Kind.BINARY, Kind.BINARY):
            return new.size is None or (old.size is not None and old.size <= new.size)
        case (Kind.TIME, Kind.TIME) | (Kind.TIMESTAMP, Kind.TIMESTAMP) | (Kind.TIMESTAMPTZ, Kind.TIMESTAMPTZ):
            return _size(old) <= _size(new)
        case (Kind.LIST, Kind.LIST) | (Kind.MAP, Kind.MAP):
            return all(_widens(was.type, now.type) for was, now in zip(old.items, new.items, strict=True))
        case Kind.STRUCT, Kind.STRUCT:
            was, now = ({f.name: f.type for f in of.items} for of in (old, new))
            return all(name in now and _widens(of, now[name]) for name, of in was.items())
        case _:
            return False


def _size(of: Type) -> int:
    return of.size or 0


TYPES = TypeMap(NATIVES, read, land, widens)
