"""SQLite's types as core's and back.

SQLite has five storage classes and takes any name for a type. Tables that dpone makes say in the name what core knows
(`DECIMAL_TEXT(18,4)`, `TIMESTAMPTZ`), so that they are read back as they were written; in tables of others the usual
names are understood, and a column whose values could be anything is refused by name.
"""

from __future__ import annotations

import re

from dpone.errors import PlanError
from dpone.schema import (
    BINARY,
    BOOL,
    DATE,
    FLOAT64,
    INT64,
    JSON,
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
    timestamp,
    timestamptz,
)

_NAME = re.compile(r"\s*([A-Za-z_ ]*?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*")
_PLAIN = {
    "INTEGER": INT64,
    "REAL": FLOAT64,
    "TEXT": STRING,
    "BLOB": BINARY,
    "BOOLEAN": BOOL,
    "DATE": DATE,
    "TIME": time(),
    "TIMESTAMP": timestamp(),
    "TIMESTAMPTZ": timestamptz(),
    "UUID_TEXT": UUID,
    "JSON_TEXT": JSON,
}
# as SQLite itself decides from a part of the name: https://www.sqlite.org/datatype3.html#determination_of_column_affinity
_BY_PART = (
    ("DATETIME", timestamp()),
    ("INT", INT64),
    ("CHAR", STRING),
    ("CLOB", STRING),
    ("TEXT", STRING),
    ("BLOB", BINARY),
)
_BY_PART_REAL = ("REAL", "FLOA", "DOUB")
_BITS = 64
_DIGITS = 6
_SPELLED = {
    Kind.BOOL: "BOOLEAN",
    Kind.FLOAT: "REAL",
    Kind.BINARY: "BLOB",
    Kind.DATE: "DATE",
    Kind.TIME: "TIME",
    Kind.TIMESTAMP: "TIMESTAMP",
    Kind.TIMESTAMPTZ: "TIMESTAMPTZ",
    Kind.UUID: "UUID_TEXT",
    Kind.JSON: "JSON_TEXT",
    Kind.STRING: "TEXT",
}


def read(native: str) -> Type:
    """The type of a column declared as `native`."""
    found = _NAME.fullmatch(native)
    name = found[1].upper() if found else native.upper()
    if name == "DECIMAL_TEXT":
        return decimal() if found is None or found[2] is None else decimal(int(found[2]), int(found[3] or 0))
    if name in _PLAIN:
        return _PLAIN[name]
    for part, of in _BY_PART:
        if part in name:
            return of
    if any(part in name for part in _BY_PART_REAL):
        return FLOAT64
    raise PlanError(
        f"a column declared as {native or 'nothing'!r} may hold anything",
        code="sqlite.any_type",
        hint="declare it INTEGER, REAL, TEXT, BLOB, BOOLEAN, DATE, TIME, TIMESTAMP or DECIMAL_TEXT(p,s), or cast it",
    )


def land(field: Field) -> Landing:
    """The column that keeps every value of the field, or a verdict that says which it cannot keep."""
    if (native := field.native_of("sqlite")) is not None:
        return Landing(native)
    of = field.type
    match of.kind:
        case Kind.INT | Kind.UINT:
            bits = (of.size or _BITS) + (of.kind is Kind.UINT)
            if bits <= _BITS:
                return Landing("INTEGER", *_widened(of == INT64, "an INTEGER has 64 bits"))
            return Landing(f"DECIMAL_TEXT({len(str(1 << (of.size or _BITS)))},0)", Verdict.WIDENED, "as its digits")
        case Kind.DECIMAL if of.size is None:
            return Landing("DECIMAL_TEXT")
        case Kind.DECIMAL:
            scale = of.scale or 0
            size = (of.size or 0) - min(scale, 0)
            return Landing(f"DECIMAL_TEXT({size},{max(scale, 0)})", *_widened(scale >= 0, "kept to the last digit"))
        case Kind.FLOAT:
            return Landing("REAL", *_widened(of == FLOAT64, "a REAL has 64 bits"))
        case Kind.TIME | Kind.TIMESTAMP | Kind.TIMESTAMPTZ if (of.size or 0) > _DIGITS:
            return Landing(_SPELLED[of.kind], Verdict.LOSSY, "it is finer than a microsecond")
        case Kind.TIME | Kind.TIMESTAMP | Kind.TIMESTAMPTZ:
            return Landing(_SPELLED[of.kind], *_widened(of.size == _DIGITS, "kept to the microsecond"))
        case Kind.STRING:
            return Landing("TEXT", *_widened(of.size is None, "a TEXT has no limit"))
        case Kind.LIST | Kind.MAP | Kind.STRUCT:
            return Landing("JSON_TEXT", Verdict.LOSSY, "as JSON, which has fewer types")
        case kind if kind in _SPELLED:
            return Landing(_SPELLED[kind])
        case _:
            return Landing("TEXT", Verdict.WIDENED, "as text: the type is the source's own")


def _widened(is_exact: bool, why: str) -> tuple[Verdict, str]:  # noqa: FBT001 -- reads as `widened unless exact`
    return (Verdict.EXACT, "") if is_exact else (Verdict.WIDENED, why)


def widens(old: str, new: str) -> bool:
    """True when every stored value of `old` is one of `new` as it is stored."""
    before, after = read(old), read(new)
    if before == after:
        return True
    match before.kind, after.kind:
        case Kind.DECIMAL, Kind.DECIMAL:
            if after.size is None or before.size is None:
                return after.size is None
            scales = (before.scale or 0), (after.scale or 0)
            return scales[1] >= scales[0] and after.size - scales[1] >= before.size - scales[0]
        case Kind.INT, Kind.DECIMAL:
            return after.size is None or after.size - (after.scale or 0) >= len(str(1 << _BITS))
        case ((Kind.UUID | Kind.JSON | Kind.STRING), Kind.STRING):
            return True
        case _:
            return False


TYPES = TypeMap(
    natives=(*_PLAIN, "DECIMAL_TEXT(38,9)", "DECIMAL_TEXT"),
    read=read,
    land=land,
    widens=widens,
)
