"""What BigQuery's types mean in core's words, and which of them a field of any engine lands in.

NULL: a column of ARRAY has none, and an array with a NULL element cannot be stored. A field that admits one of the two
is lossy there; whether it does is in its type, and a source that knows better says so.

A verdict speaks of the values that land. A number beyond NUMERIC, a date before year 1 or a text that is not UTF-8
BigQuery refuses with an error; it never becomes another value.
"""

from __future__ import annotations

import re

from dpone.schema import (
    BINARY,
    BOOL,
    DATE,
    FLOAT64,
    INT64,
    INTERVAL,
    JSON,
    OPAQUE,
    STRING,
    Field,
    Kind,
    Landing,
    Type,
    TypeMap,
    Verdict,
    decimal,
    string,
    time,
    timestamp,
    timestamptz,
)
from dpone_bigquery.native import ENGINE, Native, parse_native, unknown

NUMERIC_SCALE, NUMERIC_WHOLE = 9, 29  # digits behind and before the point
BIGNUMERIC_SCALE, BIGNUMERIC_WHOLE = 38, 38
FINEST = 6  # fractional digits of TIME, DATETIME and TIMESTAMP
DEEPEST = 15  # levels of nested STRUCT

NATIVES = (
    "BOOL",
    "INT64",
    "FLOAT64",
    "NUMERIC",
    "NUMERIC(10, 2)",
    "NUMERIC(20)",
    "BIGNUMERIC",
    "BIGNUMERIC(60, 30)",
    "STRING",
    "STRING(20)",
    "BYTES",
    "BYTES(16)",
    "DATE",
    "TIME",
    "DATETIME",
    "TIMESTAMP",
    "INTERVAL",
    "JSON",
    "GEOGRAPHY",
    "RANGE<DATE>",
    "RANGE<TIMESTAMP>",
    "ARRAY<INT64>",
    "ARRAY<STRUCT<a INT64, b STRING>>",
    "STRUCT<a INT64, `select` ARRAY<STRING>>",
)

_PLAIN = {
    "BOOL": BOOL,
    "INT64": INT64,
    "FLOAT64": FLOAT64,
    "DATE": DATE,
    "TIME": time(FINEST),
    "DATETIME": timestamp(FINEST),
    "TIMESTAMP": timestamptz(FINEST),
    "INTERVAL": INTERVAL,
    "JSON": JSON,
    "GEOGRAPHY": OPAQUE,
    "NUMERIC": decimal(NUMERIC_WHOLE + NUMERIC_SCALE, NUMERIC_SCALE),
    "BIGNUMERIC": decimal(BIGNUMERIC_WHOLE + BIGNUMERIC_SCALE, BIGNUMERIC_SCALE),
    "STRING": STRING,
    "BYTES": BINARY,
}


def read(native: str) -> Type:
    """The type that a column of this native type holds."""
    return _read(parse_native(native))


def _read(of: Native) -> Type:
    plain = _PLAIN.get(of.word)
    match of.word, of.sizes, of.inner:
        case "RANGE", (), (_,):
            return OPAQUE
        case _, (), () if plain is not None:
            return plain
        case (("NUMERIC" | "BIGNUMERIC"), ((precision,) | (precision, _)), ()):
            return decimal(precision, of.sizes[1] if len(of.sizes) > 1 else 0)
        case "STRING", (length,), ():
            return string(length)
        case "BYTES", (length,), ():
            return Type(Kind.BINARY, length)
        case "ARRAY", (), (element,):
            return Type(Kind.LIST, items=(Field("item", _read(element), nullable=False),))
        case "STRUCT", (), fields if fields:
            return Type(Kind.STRUCT, items=tuple(Field(f.name or f"_{i}", _read(f)) for i, f in enumerate(fields, 1)))
        case _:
            raise unknown(str(of))


def land(field: Field) -> Landing:
    """The column that BigQuery makes of a field."""
    own = field.native_of(ENGINE)
    if own is not None and read(own) == field.type:
        return Landing(str(parse_native(own)))
    return _land(field)


# Where one native type serves every field of a kind.
_LANDINGS = {
    Kind.BOOL: Landing("BOOL"),
    Kind.DATE: Landing("DATE"),
    Kind.UUID: Landing("STRING", Verdict.WIDENED, "as text: there is no type for UUIDs"),
    Kind.JSON: Landing("JSON", why="a number that a double cannot hold is refused"),
    Kind.INTERVAL: Landing("STRING", Verdict.WIDENED, "as text: load jobs take no INTERVAL"),
    Kind.OPAQUE: Landing("STRING", Verdict.WIDENED, "as text: the type is the source's own"),
}
_CLOCKS = {Kind.TIME: "TIME", Kind.TIMESTAMP: "DATETIME", Kind.TIMESTAMPTZ: "TIMESTAMP"}


def _land(field: Field) -> Landing:
    of = field.type
    match of.kind:
        case Kind.INT | Kind.UINT:
            return _land_integer(of)
        case Kind.FLOAT:
            return Landing("FLOAT64") if of == FLOAT64 else Landing("FLOAT64", Verdict.WIDENED, "the only float")
        case Kind.DECIMAL:
            return _land_decimal(of.size, of.scale or 0)
        case Kind.STRING:
            return Landing(f"STRING({of.size})" if of.size else "STRING")
        case Kind.BINARY:
            return Landing(f"BYTES({of.size})" if of.size else "BYTES")
        case Kind.TIME | Kind.TIMESTAMP | Kind.TIMESTAMPTZ:
            return _land_clock(_CLOCKS[of.kind], of.size or 0)
        case Kind.LIST | Kind.MAP | Kind.STRUCT:
            return _land_nested(field)
        case _:
            return _LANDINGS[of.kind]


_INT64_BITS = 64


def _land_integer(of: Type) -> Landing:
    bits = of.size or _INT64_BITS
    if of == INT64:
        return Landing("INT64")
    if bits < _INT64_BITS:
        return Landing("INT64", Verdict.WIDENED, "the only integer")
    if bits == _INT64_BITS:
        return Landing("NUMERIC(20)", Verdict.WIDENED, f"INT64 ends at half of {of}")
    why = f"{of} has numbers of more than {BIGNUMERIC_WHOLE} digits"
    return Landing(f"BIGNUMERIC({BIGNUMERIC_WHOLE})", Verdict.LOSSY, why)


def _land_decimal(precision: int | None, scale: int) -> Landing:
    """NUMERIC where it suffices. Digits before the point are kept before those behind it."""
    if precision is None:
        return Landing("BIGNUMERIC", Verdict.LOSSY, "the source sets no bound, BIGNUMERIC has 38 digits on each side")
    whole, behind = max(precision - scale, 0), max(scale, 0)
    if whole > BIGNUMERIC_WHOLE or behind > BIGNUMERIC_SCALE:
        why = f"{whole} digits before and {behind} behind the point, of which BIGNUMERIC holds 38 each"
        return Landing("BIGNUMERIC", Verdict.LOSSY, why)
    word = "NUMERIC" if whole <= NUMERIC_WHOLE and behind <= NUMERIC_SCALE else "BIGNUMERIC"
    digits = max(whole + behind, 1)
    native = str(Native(word, (digits, behind) if behind else (digits,)))
    if (digits, behind) == (precision, scale):
        return Landing(native)
    return Landing(native, Verdict.WIDENED, "a scale lies between 0 and the precision")


def _land_clock(word: str, digits: int) -> Landing:
    if digits > FINEST:
        return Landing(word, Verdict.LOSSY, f"{digits} fractional digits, of which {FINEST} are kept")
    return Landing(word) if digits == FINEST else Landing(word, Verdict.WIDENED, f"{word} has {FINEST} digits")


def _land_nested(field: Field) -> Landing:
    """ARRAY and STRUCT, or JSON for what they cannot be: arrays of arrays, fields without a name of their own."""
    if reason := _no_home(field.type):
        return Landing("JSON", Verdict.WIDENED, f"as JSON: {reason}")
    native, verdict, why = _nest(field)
    return Landing(str(native), verdict, why)


_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]{0,299}")


def _no_home(of: Type, depth: int = 1) -> str | None:
    """Why the type is not made of ARRAY and STRUCT, or None when it is."""
    if depth > DEEPEST:
        return f"more than {DEEPEST} levels"
    match of.kind:
        case Kind.LIST if of.items[0].type.kind in {Kind.LIST, Kind.MAP}:
            return "there are no arrays of arrays"
        case Kind.STRUCT:
            names = [f.name.lower() for f in of.items]
            if not names or len(set(names)) < len(names):
                return "a STRUCT has fields, and their names differ in more than case"
            if not all(map(_FIELD_NAME.fullmatch, names)):
                return "the name of a field is made of letters, digits and underscores"
        case _:
            pass
    return next((reason for item in of.items if (reason := _no_home(item.type, depth + 1))), None)


_Nested = tuple[Native, Verdict, str]
_SEVERITY = (Verdict.EXACT, Verdict.WIDENED, Verdict.LOSSY)


def _nest(field: Field) -> _Nested:
    of = field.type
    parts = [_nest(item) for item in of.items]
    match of.kind:
        case Kind.LIST:
            native = Native("ARRAY", inner=(parts[0][0],))
            return _worst((native, *_array_loss(field, of.items[0])), *parts)
        case Kind.MAP:
            pair = tuple(Native(p[0].word, p[0].sizes, p[0].inner, name) for p, name in zip(parts, _PAIR, strict=True))
            native = Native("ARRAY", inner=(Native("STRUCT", inner=pair),))
            return _worst(
                (native, Verdict.WIDENED, "as an array of keys and values"), (native, *_array_loss(field)), *parts
            )
        case Kind.STRUCT:
            named = zip(parts, of.items, strict=True)
            fields = tuple(Native(p[0].word, p[0].sizes, p[0].inner, item.name) for p, item in named)
            return _worst((Native("STRUCT", inner=fields), Verdict.EXACT, ""), *parts)
        case _:
            landing = _land(field)
            return parse_native(landing.native), landing.verdict, landing.why


_PAIR = ("key", "value")


def _array_loss(field: Field, item: Field | None = None) -> tuple[Verdict, str]:
    if field.nullable:
        return Verdict.LOSSY, "NULL becomes an empty array: there is no other"
    if item is not None and item.nullable:
        return Verdict.LOSSY, "an array holds no NULL"
    return Verdict.EXACT, ""


def _worst(first: _Nested, *others: _Nested) -> _Nested:
    """The first's native type with the worst verdict of all."""
    verdict, why = max(((v, w) for _, v, w in (first, *others)), key=lambda found: _SEVERITY.index(found[0]))
    return first[0], verdict, why


def widens(old: str, new: str) -> bool:
    """True when ALTER COLUMN SET DATA TYPE from `old` to `new` is offered and changes no stored value.

    BigQuery would also turn any number into FLOAT64, which rounds.
    """
    was, now = parse_native(old), parse_native(new)
    if was == now:
        return True
    match was.word, now.word:
        case ("STRING", "STRING") | ("BYTES", "BYTES"):
            return not now.sizes or bool(was.sizes and was.sizes[0] <= now.sizes[0])
        case (("INT64" | "NUMERIC" | "BIGNUMERIC"), ("NUMERIC" | "BIGNUMERIC")):
            if (was.word, now.word) == ("BIGNUMERIC", "NUMERIC"):
                return False
            held, wanted = (decimal(19) if was.word == "INT64" else _read(was)), _read(now)
            behind, room = held.scale or 0, wanted.scale or 0
            return behind <= room and (held.size or 0) - behind <= (wanted.size or 0) - room
        case _:
            return False


TYPES = TypeMap(NATIVES, read, land, widens)
