"""What ClickHouse's types mean in core's words, and which of them a field of any engine lands in.

NULL: `native` does not say Nullable of the column itself, the field's own `nullable` does, and the dialect writes it
into the DDL (see `native`). Array and Map have no NULL, and Tuple has none on most servers: a nullable field that lands
there is lossy, because its NULL becomes an empty value.

Time: a DateTime of ClickHouse is always an instant; the zone in its type, or else the server's, only says how it is
shown. So every DateTime is read as an instant, and a clock without zone lands with the digits it shows, in UTC, where
no summer time can move them.

A verdict speaks of the values that land. A date beyond the years that the server knows is refused by the sink.
"""

from __future__ import annotations

from msgspec.structs import replace

from dpone.schema import (
    BOOL,
    DATE,
    FLOAT32,
    FLOAT64,
    INTERVAL,
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
    time,
    timestamptz,
)
from dpone_clickhouse.native import ENGINE, Native, parse_native, says_nullable, unknown, with_null, without_null
from dpone_clickhouse.widening import widens

MAX_DIGITS = 76  # of Decimal
FINEST = 9  # fractional digits of DateTime64

NATIVES = (
    "Bool",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "Int128",
    "Int256",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "UInt128",
    "UInt256",
    "BFloat16",
    "Float32",
    "Float64",
    "Decimal(9, 2)",
    "Decimal(38, 9)",
    "Decimal(76, 38)",
    "String",
    "FixedString(16)",
    "LowCardinality(String)",
    "Enum8('b\\'c' = -2, 'a' = 1)",
    "Enum16('x' = 300)",
    "UUID",
    "IPv4",
    "IPv6",
    "Date",
    "Date32",
    "Time",
    "Time64(6)",
    "DateTime",
    "DateTime('Europe/Berlin')",
    "DateTime64(3)",
    "DateTime64(6, 'UTC')",
    "DateTime64(9, 'Asia/Kolkata')",
    "IntervalDay",
    "JSON",
    "JSON(max_dynamic_paths=8, `a.b` UInt32, SKIP x)",
    "Dynamic",
    "Variant(Int8, String)",
    "Array(Nullable(Int8))",
    "Array(Array(String))",
    "Map(String, UInt64)",
    "Tuple(a Int8, `b c` Nullable(String))",
    "Tuple(Int8, String)",
    "Nested(a Int8, b String)",
    "Point",
    "Ring",
    "LineString",
    "MultiLineString",
    "Polygon",
    "MultiPolygon",
    "SimpleAggregateFunction(sum, UInt64)",
    "AggregateFunction(quantile(0.5), Float64)",
)

_POINT = Type(Kind.STRUCT, items=(Field("1", FLOAT64, nullable=False), Field("2", FLOAT64, nullable=False)))


def _array(item: Type, *, nullable: bool = False) -> Type:
    return Type(Kind.LIST, items=(Field("item", item, nullable=nullable),))


_INTEGERS = {
    prefix + str(bits): Type(kind, bits)
    for prefix, kind in (("Int", Kind.INT), ("UInt", Kind.UINT))
    for bits in (8, 16, 32, 64, 128, 256)
}
_PLAIN = {
    **_INTEGERS,
    "Bool": BOOL,
    "BFloat16": FLOAT32,
    "Float32": FLOAT32,
    "Float64": FLOAT64,
    "String": STRING,
    "Enum8": STRING,
    "Enum16": STRING,
    "UUID": UUID,
    "IPv4": OPAQUE,
    "IPv6": OPAQUE,
    "Date": DATE,
    "Date32": DATE,
    "Time": time(0),
    "DateTime": timestamptz(0),
    "JSON": JSON,
    "Dynamic": OPAQUE,
    "Variant": OPAQUE,
    "AggregateFunction": OPAQUE,  # a state: it travels between ClickHouse servers only, see `wires`
    "Point": _POINT,
    "Ring": _array(_POINT),
    "LineString": _array(_POINT),
    "MultiLineString": _array(_array(_POINT)),
    "Polygon": _array(_array(_POINT)),
    "MultiPolygon": _array(_array(_array(_POINT))),
}
_INTERVALS = (
    "Nanosecond",
    "Microsecond",
    "Millisecond",
    "Second",
    "Minute",
    "Hour",
    "Day",
    "Week",
    "Month",
    "Quarter",
    "Year",
)
_PLAIN |= {f"Interval{unit}": INTERVAL for unit in _INTERVALS}


def read(native: str) -> Type:
    """The type that a column of this native type holds."""
    return _read(parse_native(native))


def _read(of: Native) -> Type:
    if plain := _PLAIN.get(of.family):
        return plain
    match of.family, of.types:
        case "FixedString", _:
            return Type(Kind.BINARY, of.number(0, 1))  # bytes, padded with zeros: rarely what a text column wants
        case "Decimal", _:
            return decimal(of.number(0, 10), of.number(1, 0))
        case "DateTime64", _:
            return timestamptz(of.number(0, 3))
        case "Time64", _:
            return time(of.number(0, 3))
        case (("Nullable" | "LowCardinality"), (inner,)):
            return _read(inner)
        case "SimpleAggregateFunction", _ if len(of.args) > 1:
            return read(str(of.args[1]))  # the function says how rows merge, not what they hold
        case "Array", (inner,):
            return Type(Kind.LIST, items=(_item("item", inner),))
        case "Map", (key, value):
            return Type(Kind.MAP, items=(_item("key", key), _item("value", value)))
        case "Tuple", elements if elements:
            return _struct(elements)
        case "Nested", elements if elements:
            return _array(_struct(elements))
        case _:
            raise unknown(str(of))


def _struct(elements: tuple[Native, ...]) -> Type:
    """Elements without names are called 1, 2, ... as ClickHouse itself does."""
    return Type(Kind.STRUCT, items=tuple(_item(e.name or str(at), e) for at, e in enumerate(elements, 1)))


def _item(name: str, of: Native) -> Field:
    return Field(name, _read(of), nullable=says_nullable(of))


def land(field: Field) -> Landing:
    """The column that ClickHouse makes of a field."""
    own = field.native_of(ENGINE)
    if own is not None and read(own) == field.type:
        return Landing(str(without_null(parse_native(own))))
    return _land(field)


# Where one native type serves every field of a kind.
_YEARS = "years that the server does not know are refused"
_LANDINGS = {
    Kind.BOOL: Landing("Bool"),
    Kind.UUID: Landing("UUID"),
    Kind.DATE: Landing("Date32", why=_YEARS),
    Kind.BINARY: Landing("String", Verdict.WIDENED, "a String is bytes, and holds any"),
    Kind.INTERVAL: Landing("String", Verdict.WIDENED, "as text: an interval there has one unit only"),
    Kind.JSON: Landing("String", Verdict.WIDENED, "as text: JSON there drops nulls and holds objects only"),
    Kind.OPAQUE: Landing("String", Verdict.WIDENED, "as text: the type is the source's own"),
}


def _land(field: Field) -> Landing:
    of = field.type
    match of.kind:
        case Kind.INT | Kind.UINT:
            return Landing(f"{'U' if of.kind is Kind.UINT else ''}Int{of.size or 64}")
        case Kind.FLOAT:
            return Landing("Float64") if of.size == FLOAT64.size else _land_short_float(of)
        case Kind.DECIMAL:
            return _land_decimal(of.size, of.scale or 0)
        case Kind.STRING:
            return Landing("String", Verdict.WIDENED, "a String has no limit") if of.size else Landing("String")
        case Kind.TIMESTAMP:
            return _land_clock(of.size or 0)
        case Kind.TIMESTAMPTZ:
            return _land_instant(of.size or 0)
        case Kind.TIME:
            return _land_time(of.size or 0)
        case Kind.LIST:
            return _nested(field, "Array", _element(of.items[0]))
        case Kind.MAP:
            return _land_map(field)
        case Kind.STRUCT:
            return _land_struct(field)
        case _:
            return _LANDINGS[of.kind]


def _land_short_float(of: Type) -> Landing:
    return Landing("Float32") if of == FLOAT32 else Landing("Float32", Verdict.WIDENED, "the least float is Float32")


def _land_decimal(precision: int | None, scale: int) -> Landing:
    """Digits before the point are kept before those behind it. A scale may be negative or beyond the precision."""
    if precision is None:
        why = f"the source sets no bound, Decimal ends at {MAX_DIGITS} digits"
        return Landing(f"Decimal({MAX_DIGITS}, {MAX_DIGITS // 2})", Verdict.LOSSY, why)
    whole, behind = max(precision - scale, 0), max(scale, 0)
    if whole + behind > MAX_DIGITS:
        native = f"Decimal({MAX_DIGITS}, {max(MAX_DIGITS - whole, 0)})"
        return Landing(native, Verdict.LOSSY, f"{whole + behind} digits, of which Decimal holds {MAX_DIGITS}")
    if (whole + behind, behind) == (precision, scale):
        return Landing(f"Decimal({precision}, {scale})")
    why = "a scale lies between 0 and the precision"
    return Landing(f"Decimal({max(whole + behind, 1)}, {behind})", Verdict.WIDENED, why)


def _land_instant(digits: int) -> Landing:
    if digits > FINEST:
        why = f"{digits} fractional digits, of which {FINEST} are kept"
        return Landing(f"DateTime64({FINEST}, 'UTC')", Verdict.LOSSY, why)
    return Landing(f"DateTime64({digits}, 'UTC')", why=_YEARS)


def _land_time(digits: int) -> Landing:
    if digits > FINEST:
        return Landing(f"Time64({FINEST})", Verdict.LOSSY, f"{digits} fractional digits, of which {FINEST} are kept")
    return Landing(f"Time64({digits})")


def _land_clock(digits: int) -> Landing:
    landing = _land_instant(digits)
    if landing.verdict is Verdict.LOSSY:
        return landing
    return replace(landing, verdict=Verdict.WIDENED, why="there is no clock without zone: the same digits, as UTC")


def _element(field: Field) -> tuple[Native, Landing]:
    """An element inside a nested type: there Nullable is part of the type."""
    landing = _land(field)
    native = parse_native(landing.native)
    return (with_null(native) if field.nullable else native), landing


_SEVERITY = (Verdict.EXACT, Verdict.WIDENED, Verdict.LOSSY)


def _nested(field: Field, family: str, *elements: tuple[Native, Landing]) -> Landing:
    """The nested type; its verdict is the worst of its elements' and of what becomes of a NULL."""
    native = str(Native(family, tuple(native for native, _ in elements), called=True))
    if field.nullable:
        return Landing(native, Verdict.LOSSY, f"NULL becomes an empty value: a column of {family} holds none")
    worst = max(
        (landing for _, landing in elements), key=lambda landing: _SEVERITY.index(landing.verdict), default=None
    )
    return Landing(native) if worst is None else Landing(native, worst.verdict, worst.why)


# What every supported server takes as the key of a Map.
_KEYS = frozenset({Kind.BOOL, Kind.INT, Kind.UINT, Kind.STRING, Kind.UUID, Kind.DATE})


def _land_map(field: Field) -> Landing:
    key, value = field.type.items
    if key.nullable or key.type.kind not in _KEYS:
        return Landing("String", Verdict.WIDENED, f"as JSON text: {key.type} is no key of a Map")
    return _nested(field, "Map", _element(key), _element(value))


def _land_struct(field: Field) -> Landing:
    names = [item.name for item in field.type.items]
    if not names or "null" in names or "" in names or len(set(names)) < len(names):
        return Landing("String", Verdict.WIDENED, "as JSON text: a Tuple wants distinct names, none of them null")
    elements = []
    for item in field.type.items:
        native, landing = _element(item)
        elements.append((replace(native, name=item.name), landing))
    return _nested(field, "Tuple", *elements)


TYPES = TypeMap(NATIVES, read, land, widens)
