"""When one ClickHouse type may become another without any stored value changing."""

from __future__ import annotations

import re

from dpone_clickhouse.native import Native, parse_native, read_string, says_nullable

_INTEGER = re.compile(r"(U?)Int(\d+)")
_FLOATS = ("BFloat16", "Float32", "Float64")
_CLOCKS_ALL_YEARS = 7  # a DateTime64 of more digits ends before the year 9999


def widens(old: str, new: str) -> bool:
    """True when MODIFY COLUMN from `old` to `new` changes no stored value."""
    return _widens(parse_native(old), parse_native(new))


def _widens(old: Native, new: Native) -> bool:
    if old.args == new.args and old.family == new.family:
        return True
    if says_nullable(old) and not says_nullable(new):
        return False
    was, now = _bare(old), _bare(new)
    if was.family == now.family and was.args == now.args:
        return True
    match was.family, now.family:
        case ("Array", "Array") | ("Map", "Map"):
            return len(was.types) == len(now.types) and all(map(_widens, was.types, now.types))
        case ("Tuple", "Tuple") | ("Nested", "Nested"):
            names = [e.name for e in was.types] == [e.name for e in now.types]
            return names and all(map(_widens, was.types, now.types))
        case (("Enum8" | "Enum16"), ("Enum8" | "Enum16")):
            return _values(was) <= _values(now)
        case (("Enum8" | "Enum16"), "String"):
            return True
        case ("Date", "Date32") | ("Time", "Time64"):
            return True
        case (("DateTime" | "DateTime64"), ("DateTime" | "DateTime64")):
            return _clock_widens(was, now)
        case _, "Decimal":
            return _fits_decimal(was, now)
        case _ if was.family in _FLOATS and now.family in _FLOATS:
            return _FLOATS.index(was.family) <= _FLOATS.index(now.family)
        case _:
            return _integer_widens(was.family, now.family)


def _bare(of: Native) -> Native:
    """The type below LowCardinality and Nullable, which change how values are kept and not what they are."""
    while of.family in {"LowCardinality", "Nullable"} and of.types:
        of = of.types[0]
    return of


def _values(enum: Native) -> frozenset[tuple[str, int]]:
    pairs = (str(word).rpartition("=") for word in enum.args)
    return frozenset((read_string(name.strip()), int(value)) for name, _, value in pairs)


def _clock_widens(was: Native, now: Native) -> bool:
    """The zone only says how an instant is shown; more digits leave room for fewer years."""
    if now.family == "DateTime":
        return was.family == "DateTime"
    digits = now.number(0, 3)
    if was.family == "DateTime":
        return True
    held = was.number(0, 3)
    return held == digits or held < digits <= _CLOCKS_ALL_YEARS


def _fits_decimal(was: Native, now: Native) -> bool:
    scale = now.number(1, 0)
    whole = now.number(0, 10) - scale
    if found := _INTEGER.fullmatch(was.family):
        return len(str(2 ** (int(found[2]) - (not found[1])))) <= whole
    if was.family != "Decimal":
        return False
    return was.number(1, 0) <= scale and was.number(0, 10) - was.number(1, 0) <= whole


def _integer_widens(old: str, new: str) -> bool:
    was, now = _INTEGER.fullmatch(old), _INTEGER.fullmatch(new)
    if was is None or now is None:
        return False
    held, wanted = int(was[2]), int(now[2])
    return held <= wanted if was[1] == now[1] else bool(was[1]) and held < wanted
