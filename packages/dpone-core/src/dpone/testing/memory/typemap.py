"""The types of a store in memory: core's own, each spelled as core spells it, so every field lands exactly."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Context, Decimal

from msgspec.structs import replace

from dpone.schema import Field, Kind, Landing, Type, TypeMap, Verdict, decimal, parse_type

_MICROSECONDS = 6
_NANOSECONDS = 9
_TIMES = frozenset({Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
_EXACT = Context(prec=10_000)  # Python's own context rounds to 28 digits


def _plain(native: str) -> str:
    """The spelling without the engine's name before it."""
    engine, _, spelling = native.partition(":")
    return spelling if engine in {"memory", "memory_publish"} else native


def read(native: str) -> Type:
    return parse_type(_plain(native))


def land(field: Field) -> Landing:
    """The same type, as finely as a store keeps times; a decimal of tens or hundreds as one of ones."""
    of = field.type
    if of.kind is Kind.DECIMAL and of.size is not None and (of.scale or 0) < 0:
        return Landing(str(decimal(of.size - (of.scale or 0))), Verdict.WIDENED, "it is kept to the last digit")
    if of.kind in _TIMES and _size(of) > _NANOSECONDS:
        return Landing(str(replace(of, size=_NANOSECONDS)), Verdict.LOSSY, "it is finer than a nanosecond")
    return Landing(str(of))


def widens(old: str, new: str) -> bool:
    """True when every value of `old` is one of `new`."""
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
            digits = len(str(2 ** _size(old)))
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
            return _size(old) <= _size(new) <= _MICROSECONDS
        case _:
            return False


def _size(of: Type) -> int:
    return of.size or 0


def widened(value: object, to: Type) -> object:
    """A stored value in the column's new type."""
    return Decimal(value) if to.kind is Kind.DECIMAL and isinstance(value, int) else value


def unfit(value: object, of: Type) -> str | None:  # noqa: PLR0911 - one line per kind
    """Why a value is not one of the type, or None when it is; NULL always fits."""
    if value is None:
        return None
    match of.kind:
        case Kind.BOOL:
            return _unless(isinstance(value, bool), value)
        case Kind.INT:
            half = 1 << (_size(of) - 1)
            return _unless(isinstance(value, int) and not isinstance(value, bool) and -half <= value < half, value)
        case Kind.UINT:
            return _unless(isinstance(value, int) and 0 <= value < 1 << _size(of), value)
        case Kind.FLOAT:
            return _unless(isinstance(value, float | int), value)
        case Kind.DECIMAL:
            return _unless(isinstance(value, Decimal) and _holds(value, of), value)
        case Kind.BINARY:
            return _unless(isinstance(value, bytes), value)
        case Kind.STRING:
            return _unless(isinstance(value, str) and (of.size is None or len(value) <= of.size), value)
        case Kind.DATE:
            return _unless(isinstance(value, date) and not isinstance(value, datetime), value)
        case Kind.TIME:
            return _unless(isinstance(value, time if _size(of) <= _MICROSECONDS else int), value)
        case Kind.TIMESTAMP | Kind.TIMESTAMPTZ if _size(of) > _MICROSECONDS:
            return _unless(isinstance(value, int), value)
        case Kind.TIMESTAMP:
            return _unless(isinstance(value, datetime) and value.tzinfo is None, value)
        case Kind.TIMESTAMPTZ:
            return _unless(isinstance(value, datetime) and value.tzinfo is not None, value)
        case Kind.LIST:
            return _unless(isinstance(value, list | tuple), value)
        case Kind.MAP | Kind.STRUCT:
            return _unless(isinstance(value, dict), value)
        case _:
            return _unless(isinstance(value, str), value)


def _unless(fits: bool, value: object) -> str | None:  # noqa: FBT001 - reads as `unless fits`
    return None if fits else f"a {type(value).__name__} that it cannot hold"


def _holds(value: Decimal, of: Type) -> bool:
    if of.size is None:
        return True
    if not value.is_finite():
        return False
    scale = of.scale or 0
    if not value:
        return True
    least = value.normalize(_EXACT).as_tuple().exponent
    assert isinstance(least, int)  # it is finite
    return -least <= scale and value.adjusted() < of.size - scale


TYPES = TypeMap(
    natives=(
        *("bool", "int8", "int16", "int32", "int64", "int128", "int256", "uint8", "uint16", "uint32", "uint64"),
        *("uint128", "uint256", "float32", "float64", "decimal(18,4)", "decimal(38,9)", "decimal(76,20)", "decimal"),
        *("string", "string(20)", "binary", "date", "time(6)", "time(9)", "timestamp(6)", "timestamp(9)"),
        *("timestamptz(6)", "timestamptz(9)", "interval", "uuid", "json", "opaque"),
        *("list<int64>", "map<string,int64>", "struct<a:int64,b:string>"),
    ),
    read=read,
    land=land,
    widens=widens,
)
