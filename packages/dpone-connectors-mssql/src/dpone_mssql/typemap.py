"""What SQL Server's types mean in core's words, and which of them a field of any engine lands in.

A verdict speaks of the values that land. What a column of the chosen type cannot hold at all (NaN in `real`, a number
beyond `decimal`) SQL Server refuses with an error; it never becomes another value. So a column is called lossy when its
own type promises values that would be refused or rounded, and not because a float might be NaN.
"""

from __future__ import annotations

import re

from msgspec import Struct

from dpone.errors import PlanError
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
    string,
    time,
    timestamp,
    timestamptz,
)

ENGINE = "mssql"

MAX_DIGITS = 38  # of decimal
FINEST = 7  # fractional digits of time, datetime2 and datetimeoffset
NVARCHAR_UNITS = 4000  # beyond it, only nvarchar(max)
VARBINARY_BYTES = 8000  # beyond it, only varbinary(max)
REAL_BITS = 24  # up to this significand, float(n) is real
_SINGLE, _DOUBLE = 32, 64

NATIVES = (
    "bit",
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "decimal(18,0)",
    "decimal(38,9)",
    "numeric(5,2)",
    "money",
    "smallmoney",
    "real",
    "float(24)",
    "float(53)",
    "date",
    "time(0)",
    "time(7)",
    "smalldatetime",
    "datetime",
    "datetime2(0)",
    "datetime2(3)",
    "datetime2(7)",
    "datetimeoffset(0)",
    "datetimeoffset(7)",
    "char(10)",
    "varchar(50)",
    "varchar(50) collate Cyrillic_General_CI_AS",
    "varchar(max)",
    "nchar(10)",
    "nvarchar(50)",
    "nvarchar(max)",
    "sysname",
    "text",
    "ntext",
    "binary(16)",
    "varbinary(8000)",
    "varbinary(max)",
    "image",
    "rowversion",
    "uniqueidentifier",
    "xml",
    "json",
    "sql_variant",
    "hierarchyid",
    "geography",
    "geometry",
)


class Native(Struct, frozen=True):
    """A spelling taken apart. `size` is None where none is written and -1 for max."""

    name: str
    size: int | None = None
    scale: int | None = None
    collation: str = ""


_SPELLING = re.compile(
    r"\s*(?P<name>[a-z_]+[0-9]*)\s*(?:\(\s*(?P<size>\d+|max)\s*(?:,\s*(?P<scale>\d+)\s*)?\))?"
    r"(?:\s+collate\s+(?P<collation>\w+))?\s*",
    re.IGNORECASE,
)
_MAX = -1

_PLAIN = {
    "bit": BOOL,
    "tinyint": Type(Kind.UINT, 8),
    "smallint": INT16,
    "int": INT32,
    "bigint": INT64,
    "money": decimal(19, 4),
    "smallmoney": decimal(10, 4),
    "real": FLOAT32,
    "date": DATE,
    "smalldatetime": timestamp(0),
    "datetime": timestamp(3),  # 1/300 s: every value prints exactly with three digits
    "sysname": string(128),
    "text": STRING,
    "ntext": STRING,
    "image": BINARY,
    "rowversion": Type(Kind.BINARY, 8),
    "timestamp": Type(Kind.BINARY, 8),  # the old name of rowversion
    "uniqueidentifier": UUID,
    "xml": OPAQUE,
    "json": JSON,  # from SQL Server 2025 on
    "sql_variant": OPAQUE,
    "hierarchyid": OPAQUE,
    "geography": BINARY,  # its documented serialisation; well-known text would lose the SRID
    "geometry": BINARY,
}


def parse(native: str) -> Native:
    """The spelling taken apart, with or without the engine's name before it; names in lower case."""
    found = _SPELLING.fullmatch(native.removeprefix(f"{ENGINE}:"))
    if found is None:
        raise _unknown(native)
    size = found["size"]
    return Native(
        found["name"].lower(),
        None if size is None else _MAX if size.lower() == "max" else int(size),
        None if found["scale"] is None else int(found["scale"]),
        found["collation"] or "",
    )


def read(native: str) -> Type:
    """The type that a column of this native type holds."""
    spelled = parse(native)
    if plain := _PLAIN.get(spelled.name):
        return plain
    size = spelled.size
    match spelled.name:
        case "decimal" | "numeric":
            return decimal(18 if size is None else size, spelled.scale or 0)
        case "float":
            return FLOAT64 if size is None or size > REAL_BITS else FLOAT32
        case "time":
            return time(FINEST if size is None else size)
        case "datetime2":
            return timestamp(FINEST if size is None else size)
        case "datetimeoffset":
            return timestamptz(FINEST if size is None else size)
        case "char" | "varchar" | "nchar" | "nvarchar":
            return STRING if size == _MAX else string(size or 1)
        case "binary" | "varbinary":
            return BINARY if size == _MAX else Type(Kind.BINARY, size or 1)
        case _:
            raise _unknown(native)


def land(field: Field) -> Landing:
    """The column that SQL Server makes of a field."""
    own = field.native_of(ENGINE)
    if own is not None and read(own) == field.type:
        return _land_own(own)
    return _land_type(field.type)


def _land_own(native: str) -> Landing:
    match parse(native).name:
        case "rowversion" | "timestamp":
            return Landing(
                "binary(8)", Verdict.WIDENED, "only the server writes a rowversion; its eight bytes are kept"
            )
        case "sql_variant":
            return Landing(native, Verdict.LOSSY, "the base type of each value is lost: it travels as text")
        case _:
            return Landing(native)


# Where one native type serves every field of a kind.
_LANDINGS = {
    Kind.BOOL: Landing("bit"),
    Kind.DATE: Landing("date"),
    Kind.UUID: Landing("uniqueidentifier"),
    Kind.JSON: Landing("nvarchar(max)", Verdict.WIDENED, "as text: there is no JSON type before SQL Server 2025"),
    Kind.LIST: Landing("nvarchar(max)", Verdict.WIDENED, "as JSON text: there are no nested types"),
    Kind.MAP: Landing("nvarchar(max)", Verdict.WIDENED, "as JSON text: there are no nested types"),
    Kind.STRUCT: Landing("nvarchar(max)", Verdict.WIDENED, "as JSON text: there are no nested types"),
    Kind.INTERVAL: Landing("nvarchar(max)", Verdict.WIDENED, "as text: there is no type for intervals"),
    Kind.OPAQUE: Landing("nvarchar(max)", Verdict.WIDENED, "as text: the type is the source's own"),
}


def _land_type(of: Type) -> Landing:
    match of.kind:
        case Kind.INT | Kind.UINT:
            return _land_integer(of)
        case Kind.FLOAT:
            return _land_float(of.size or 64)
        case Kind.DECIMAL:
            return _land_decimal(of.size, of.scale or 0)
        case Kind.STRING:
            return _land_string(of.size)
        case Kind.BINARY:
            return _land_binary(of.size)
        case Kind.TIME:
            return _land_clock("time", of.size or 0)
        case Kind.TIMESTAMP:
            return _land_clock("datetime2", of.size or 0)
        case Kind.TIMESTAMPTZ:
            return _land_clock("datetimeoffset", of.size or 0)
        case _:
            return _LANDINGS[of.kind]


# The least integer type that holds every value of a signed or an unsigned integer of so many bits.
_INTEGERS = {
    (Kind.UINT, 8): "tinyint",
    (Kind.INT, 8): "smallint",
    (Kind.INT, 16): "smallint",
    (Kind.UINT, 16): "int",
    (Kind.INT, 32): "int",
    (Kind.UINT, 32): "bigint",
    (Kind.INT, 64): "bigint",
    (Kind.UINT, 64): "decimal(20,0)",
}


def _land_integer(of: Type) -> Landing:
    native = _INTEGERS.get((of.kind, of.size or 64))
    if native is None:
        return Landing(f"decimal({MAX_DIGITS},0)", Verdict.LOSSY, f"{of} has numbers of more than {MAX_DIGITS} digits")
    if read(native) == of:
        return Landing(native)
    return Landing(native, Verdict.WIDENED, f"the least type that holds every {of}")


def _land_float(bits: int) -> Landing:
    why = "NaN and infinities are refused"
    if bits == _DOUBLE:
        return Landing("float(53)", why=why)
    return Landing("real", Verdict.EXACT if bits == _SINGLE else Verdict.WIDENED, why)


def _land_decimal(precision: int | None, scale: int) -> Landing:
    """Digits before the point are kept before those behind it. A scale may be negative or beyond the precision."""
    if precision is None:
        return Landing(
            f"decimal({MAX_DIGITS},9)", Verdict.LOSSY, f"the source sets no bound, decimal ends at {MAX_DIGITS} digits"
        )
    whole, behind = max(precision - scale, 0), max(scale, 0)
    if whole + behind > MAX_DIGITS:
        native = f"decimal({MAX_DIGITS},{max(MAX_DIGITS - whole, 0)})"
        return Landing(native, Verdict.LOSSY, f"{whole + behind} digits, of which decimal holds {MAX_DIGITS}")
    if (whole + behind, behind) == (precision, scale):
        return Landing(f"decimal({precision},{scale})")
    return Landing(
        f"decimal({max(whole + behind, 1)},{behind})", Verdict.WIDENED, "a scale lies between 0 and the precision"
    )


def _land_string(length: int | None) -> Landing:
    if not length:
        return Landing("nvarchar(max)")
    units = 2 * length
    native = f"nvarchar({units})" if units <= NVARCHAR_UNITS else "nvarchar(max)"
    return Landing(native, Verdict.WIDENED, "nvarchar counts UTF-16 units, and a character takes up to two")


def _land_binary(length: int | None) -> Landing:
    if not length:
        return Landing("varbinary(max)")
    if length > VARBINARY_BYTES:
        return Landing("varbinary(max)", Verdict.WIDENED, f"a limit beyond {VARBINARY_BYTES} bytes is not kept")
    return Landing(f"varbinary({length})")


def _land_clock(name: str, digits: int) -> Landing:
    if digits <= FINEST:
        return Landing(f"{name}({digits})")
    return Landing(f"{name}({FINEST})", Verdict.LOSSY, f"{digits} fractional digits, of which {FINEST} are kept")


_INTEGER_DIGITS = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 19}
_INTEGER_ORDER = tuple(_INTEGER_DIGITS)
_INTO_NVARCHAR = {"varchar", "nvarchar", "sysname"}
_INTO_VARBINARY = {"binary", "varbinary", "rowversion", "timestamp"}


def widens(old: str, new: str) -> bool:
    """True when ALTER COLUMN from `old` to `new` changes no stored value."""
    if old == new:
        return True
    was, now = parse(old), parse(new)
    held, wanted = read(old), read(new)
    match now.name:
        case "smallint" | "int" | "bigint":
            return was.name in _INTEGER_ORDER and _INTEGER_ORDER.index(was.name) <= _INTEGER_ORDER.index(now.name)
        case "decimal" | "numeric":
            return _fits_decimal(was, held, wanted)
        case "float":
            return held.kind is Kind.FLOAT and (held.size or 0) <= (wanted.size or 0)
        case "time" | "datetimeoffset":
            return held.kind is wanted.kind and (held.size or 0) <= (wanted.size or 0)
        case "datetime2":
            # a datetime keeps thirds of a millisecond: only three digits show what reading it shows
            if was.name == "datetime":
                return wanted.size == held.size
            return held.kind is Kind.TIMESTAMP and (held.size or 0) <= (wanted.size or 0)
        case "varchar":
            return was.name == "varchar" and was.collation == now.collation and _fits(held, wanted)
        case "nvarchar":
            return was.name in _INTO_NVARCHAR and _fits(held, wanted)
        case "varbinary":
            return was.name in _INTO_VARBINARY and _fits(held, wanted)
        case _:
            return False


def _fits(held: Type, wanted: Type) -> bool:
    return wanted.size is None or (held.size is not None and held.size <= wanted.size)


def _fits_decimal(was: Native, held: Type, wanted: Type) -> bool:
    whole = (wanted.size or 0) - (wanted.scale or 0)
    if digits := _INTEGER_DIGITS.get(was.name):
        return digits <= whole
    if held.kind is not Kind.DECIMAL:
        return False
    return (held.size or 0) - (held.scale or 0) <= whole and (held.scale or 0) <= (wanted.scale or 0)


def _unknown(native: str) -> PlanError:
    return PlanError(
        f"not a type of SQL Server that dpone reads: {native}",
        code="plan.unknown_type",
        hint="leave the column out under `columns:`, or convert it in a `query`",
    )


TYPES = TypeMap(NATIVES, read, land, widens)
