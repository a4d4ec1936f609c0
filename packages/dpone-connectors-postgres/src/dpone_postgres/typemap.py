"""How PostgreSQL's types are read, and in which of them the fields of any engine land.

A native type is spelled as `format_type` prints it under an empty search path. What has no home in core travels as
the text that the server itself prints, so that another PostgreSQL reads it back exactly.
"""

from __future__ import annotations

from dpone.schema import (
    BINARY,
    BOOL,
    DATE,
    FLOAT32,
    FLOAT64,
    INT16,
    INT32,
    INT64,
    JSON,
    OPAQUE,
    STRING,
    UUID,
    Field,
    Kind,
    Landing,
    Type,
    TypeMap,
    Verdict,
    decimal,
    list_of,
    string,
    time,
    timestamp,
    timestamptz,
)
from dpone_postgres.spelling import Spelling, parse_spelling

ENGINE = "postgres"
NATIVES: tuple[str, ...] = (
    *("boolean", "smallint", "integer", "bigint", "oid", "real", "double precision"),
    *("numeric(10,2)", "numeric", "numeric(38,9)", "numeric(3,5)", "numeric(5,-2)", "money"),
    *("text", "character varying(20)", "character varying", "character(5)", "bpchar", "name", '"char"'),
    *("bytea", "uuid", "json", "jsonb", "jsonpath", "xml"),
    *("date", "time without time zone", "time(3) without time zone", "time with time zone"),
    *("timestamp without time zone", "timestamp(3) without time zone"),
    *("timestamp with time zone", "timestamp(0) with time zone", "interval", "interval day to second(3)"),
    *("inet", "cidr", "macaddr", "macaddr8", "bit(8)", "bit varying(10)", "bit varying"),
    *("tsvector", "tsquery", "pg_lsn", "xid8", "point", "line", "lseg", "box", "path", "polygon", "circle"),
    *("int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange"),
    *("int4multirange", "int8multirange", "nummultirange", "tsmultirange", "tstzmultirange", "datemultirange"),
    *("integer[]", "bigint[]", "text[]", "boolean[]", "double precision[]", "numeric(10,2)[]", "uuid[]", "bytea[]"),
    *("timestamp with time zone[]", "date[]", "jsonb[]", "inet[]", "regclass"),
)

_FIXED: dict[str, Type] = {
    "boolean": BOOL,
    "smallint": INT16,
    "integer": INT32,
    "bigint": INT64,
    "oid": Type(Kind.UINT, 32),
    "real": FLOAT32,
    "double precision": FLOAT64,
    "text": STRING,
    "name": STRING,
    "bpchar": STRING,
    "bytea": BINARY,
    "date": DATE,
    "uuid": UUID,
    "json": JSON,
    "jsonb": JSON,
}
_MICROSECONDS = 6
_MAX_PRECISION = 1000
_MAX_LENGTH = 10485760


def read(native: str) -> Type:
    """The type in which values of a native type are read."""
    spelled = parse_spelling(native.removeprefix(f"{ENGINE}:"))
    if spelled.array and (spelled.is_user_defined or spelled.base == "box"):
        return OPAQUE  # their elements may be parted by another sign than a comma
    element = _scalar(spelled)
    return list_of(element) if spelled.array else element


def _scalar(spelled: Spelling) -> Type:
    mods = spelled.mods
    match spelled.base:
        case "numeric":
            return _numeric(mods)
        case "character varying" | "character":
            return string(mods[0] if mods else None)
        case "time without time zone":
            return time(*mods)
        case "timestamp without time zone":
            return timestamp(*mods)
        case "timestamp with time zone":
            return timestamptz(*mods)
        case base:
            return _FIXED.get(base, OPAQUE)


def _numeric(mods: tuple[int, ...]) -> Type:
    """A scale beyond the precision, or below zero, is a wider decimal that holds every value."""
    if not mods:
        return decimal()
    precision, scale = mods[0], mods[1] if len(mods) > 1 else 0
    if scale < 0:
        return decimal(precision - scale, 0)
    return decimal(max(precision, scale), scale)


def land(field: Field) -> Landing:
    """The column that a field of any engine becomes: of PostgreSQL itself, the very same type."""
    if (native := field.native_of(ENGINE)) is not None:
        return Landing(native)
    return _land(field.type)


def _land(of: Type) -> Landing:
    match of.kind:
        case Kind.BOOL:
            return Landing("boolean")
        case Kind.INT | Kind.UINT:
            return _integer(of)
        case Kind.FLOAT:
            return _widened("real", of) if of.size == 16 else Landing("real" if of.size == 32 else "double precision")  # noqa: PLR2004 - bits
        case Kind.DECIMAL:
            return _decimal(of)
        case Kind.STRING:
            length = of.size
            return Landing("text" if length is None or length > _MAX_LENGTH else f"character varying({length})")
        case Kind.BINARY:
            return Landing("bytea")
        case Kind.DATE:
            return Landing("date")
        case Kind.TIME | Kind.TIMESTAMP | Kind.TIMESTAMPTZ:
            return _clock(of)
        case Kind.INTERVAL:
            return Landing("interval")
        case Kind.UUID:
            return Landing("uuid")
        case Kind.JSON:
            return Landing("json")  # jsonb would drop repeated keys and refuse \u0000
        case Kind.LIST:
            return _list(of)
        case Kind.MAP | Kind.STRUCT:
            return Landing("json", Verdict.WIDENED, f"{of} is kept as JSON text")
        case Kind.OPAQUE:
            return Landing("text", Verdict.WIDENED, "kept as canonical text")


def _integer(of: Type) -> Landing:
    bits = of.size or 64
    signed = of.kind is Kind.INT
    for native, width in (("smallint", 16), ("integer", 32), ("bigint", 64)):
        if bits == width and signed:
            return Landing(native)
        if bits < width:
            return _widened(native, of)
    digits = len(str(2**bits))
    return _widened(f"numeric({digits},0)", of)


def _decimal(of: Type) -> Landing:
    if of.size is None:
        return Landing("numeric")
    return _widened("numeric", of) if of.size > _MAX_PRECISION else Landing(f"numeric({of.size},{of.scale or 0})")


def _clock(of: Type) -> Landing:
    word = {Kind.TIME: "time", Kind.TIMESTAMP: "timestamp", Kind.TIMESTAMPTZ: "timestamp"}[of.kind]
    zone = "with" if of.kind is Kind.TIMESTAMPTZ else "without"
    digits = _MICROSECONDS if of.size is None else of.size
    if digits > _MICROSECONDS:
        return Landing(f"{word} {zone} time zone", Verdict.LOSSY, "digits beyond microseconds are lost")
    precision = "" if digits == _MICROSECONDS else f"({digits})"
    return Landing(f"{word}{precision} {zone} time zone")


_SCALARS = frozenset(Kind) - {Kind.LIST, Kind.MAP, Kind.STRUCT}


def _list(of: Type) -> Landing:
    element = of.items[0].type
    if element.kind not in _SCALARS:
        # an array is rectangular, and an empty one has no dimensions: [[], []] would come back as []
        return Landing("json", Verdict.WIDENED, f"{of} is kept as JSON text")
    inner = _land(element)
    return Landing(f"{inner.native}[]", inner.verdict, inner.why)


def _widened(native: str, of: Type) -> Landing:
    return Landing(native, Verdict.WIDENED, f"{of} has no column type of its own")


_INTEGERS = {"smallint": 5, "integer": 10, "bigint": 19}
_RANK = {"smallint": 0, "integer": 1, "bigint": 2}
_TEXTS = {"character varying", "text"}
_ZONED = {"time without time zone", "time with time zone", "timestamp without time zone", "timestamp with time zone"}


def widens(old: str, new: str) -> bool:
    """True when a column of type `old` may take the type `new` without any stored value changing."""
    was, now = (parse_spelling(native.removeprefix(f"{ENGINE}:")) for native in (old, new))
    if was == now:
        return True
    if was.array or now.array:
        return was.array and now.array and _scalar_widens(Spelling(was.base, was.mods), Spelling(now.base, now.mods))
    return _scalar_widens(was, now)


def _scalar_widens(was: Spelling, now: Spelling) -> bool:
    if was == now:
        return True
    if was.base in _RANK and now.base in _RANK:
        return _RANK[was.base] < _RANK[now.base]
    if now.base == "numeric":
        return _numeric_widens(was, now)
    if (was.base, now.base) == ("real", "double precision"):
        return True
    if was.base in _TEXTS and now.base in _TEXTS:
        return not now.mods or bool(was.mods and was.mods[0] <= now.mods[0])
    if was.base in _ZONED and was.base == now.base:
        return (was.mods or (_MICROSECONDS,)) <= (now.mods or (_MICROSECONDS,))
    if was.base in {"bit varying", "bit"} and now.base == "bit varying":
        return not now.mods or bool(was.mods and was.mods[0] <= now.mods[0])
    return False


def _numeric_widens(was: Spelling, now: Spelling) -> bool:
    if was.base in _INTEGERS:
        precision, scale = _INTEGERS[was.base], 0
    elif was.base == "numeric" and was.mods:
        precision, scale = was.mods[0], was.mods[1] if len(was.mods) > 1 else 0
    else:
        return False
    if not now.mods:
        return True
    wide, fraction = now.mods[0], now.mods[1] if len(now.mods) > 1 else 0
    return fraction >= scale and wide - fraction >= precision - scale


TYPES = TypeMap(NATIVES, read, land, widens)
