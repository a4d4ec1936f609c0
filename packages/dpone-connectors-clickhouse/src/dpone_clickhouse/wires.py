"""The wire formats that ClickHouse speaks, best first, and why a column must not travel in one.

What is said here of TabSeparated was seen on a server (26.9): a number too large for its column wraps around, digits
beyond a scale are cut, both without an error; `[1,2]` and not `{1,2}` is an array; bytes are taken as they are. All
else that does not fit is refused by the server.
"""

from __future__ import annotations

from dpone.batch import ARROW, CH_NATIVE, PG_TEXT, Wire
from dpone.schema import Field, Kind, Landing, Verdict
from dpone_clickhouse.native import ENGINE, parse_native
from dpone_clickhouse.typemap import land
from dpone_clickhouse.widening import widens

# Kinds whose text, as COPY writes it, the server reads as the same value.
_READ_AS_TEXT = frozenset(
    {
        *(Kind.BOOL, Kind.INT, Kind.UINT, Kind.FLOAT, Kind.DECIMAL, Kind.STRING, Kind.DATE),
        *(Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.UUID, Kind.JSON, Kind.OPAQUE),
    }
)
_NO_COMMON_TEXT = {
    Kind.BINARY: "COPY writes bytes as hexadecimal digits, and ClickHouse would keep the digits",
    Kind.INTERVAL: "how COPY writes an interval is a setting of the session",
    Kind.LIST: "COPY writes an array as {1,2}, ClickHouse reads [1,2]",
    Kind.MAP: "the two write nested values differently",
    Kind.STRUCT: "the two write nested values differently",
}

# Families that print, in TabSeparated, what another engine reads as the same value in COPY text.
_PRINTED = frozenset(
    {
        *("Bool", "Float32", "Float64", "BFloat16", "Decimal", "String", "Enum8", "Enum16", "UUID", "IPv4", "IPv6"),
        *("Date", "Date32", "Time", "Time64", "DateTime", "DateTime64", "JSON"),
        *(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64, 128, 256)),
    }
)
_WRAPPERS = frozenset({"Nullable", "LowCardinality"})


def native_refusal(field: Field, _landing: Landing) -> str | None:
    """Why a block of ClickHouse would not hold the column."""
    return None if field.native_of(ENGINE) is not None else "the column does not come from ClickHouse"


def accepted_text_refusal(field: Field, landing: Landing) -> str | None:
    """Why the text of a column would not be read as the same value."""
    if field.type.kind not in _READ_AS_TEXT:
        return _NO_COMMON_TEXT[field.type.kind]
    if field.type.kind is Kind.TIME and parse_native(landing.native).family == "String":
        return "COPY leaves out the zeros at the end of a time, and the text is what would be kept"
    if landing.verdict is Verdict.LOSSY:
        return "what does not fit would be cut or wrapped around without an error"
    expected = land(field).native
    if not widens(expected, landing.native):
        return f"{landing.native} does not hold what {expected} holds, and no error would say so"
    return None


def emitted_text_refusal(field: Field, _landing: Landing) -> str | None:
    """Why the server's text of a column is not that of COPY."""
    native = field.native_of(ENGINE)
    of = parse_native(native or "Nothing")
    while of.family in _WRAPPERS and of.types:
        of = of.types[0]
    return None if of.family in _PRINTED else f"{of} is written otherwise than COPY would write it"


def arrow_refusal(field: Field, _landing: Landing) -> str | None:
    """Why Arrow would not hold the column."""
    native = field.native_of(ENGINE)
    if native is not None and parse_native(native).family == "AggregateFunction":
        return "the state of an aggregate function means something to ClickHouse alone"
    return None


EMITS = (Wire(CH_NATIVE, native_refusal), Wire(PG_TEXT, emitted_text_refusal), Wire(ARROW, arrow_refusal))
ACCEPTS = (Wire(CH_NATIVE, native_refusal), Wire(PG_TEXT, accepted_text_refusal), Wire(ARROW))
