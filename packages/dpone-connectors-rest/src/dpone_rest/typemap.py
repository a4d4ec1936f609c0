"""What the fields of JSON records are: the six types of JSON where inferred, core's own where declared."""

from __future__ import annotations

from dpone.errors import PlanError
from dpone.schema import BOOL, FLOAT64, INT64, JSON, STRING, Field, Landing, Type, TypeMap, parse_type

ENGINE = "rest"

# A whole number beyond 64 bits, or one with more digits than a double has, does not fit what is inferred: the source
# then says so, and the column is declared as a decimal.
_JSON = {
    "boolean": BOOL,
    "integer": INT64,
    "number": FLOAT64,
    "string": STRING,
    "array": JSON,
    "object": JSON,
}

NATIVES = (
    *_JSON,
    *("int32", "uint64", "decimal(18,4)", "decimal", "string(20)", "binary", "uuid", "date", "time(6)"),
    *("timestamp(6)", "timestamp(9)", "timestamptz(3)", "timestamptz(6)", "timestamptz(9)", "interval", "opaque"),
    *("json", "float32", "list<string>", "map<string,int64>", "struct<a:int64,b:string>"),
)


def read(native: str) -> Type:
    """The type that a field of this native type holds."""
    spelled = native.removeprefix(f"{ENGINE}:")
    return _JSON.get(spelled) or parse_type(spelled)


def land(field: Field) -> Landing:
    """A field of a record of our own as it is; nothing is ever written to a REST API."""
    own = field.native_of(ENGINE)
    if own is None:
        raise PlanError(
            f"{field.name} cannot land in a REST API: it is a source alone",
            code="plan.not_an_end",
            hint="`dpone connectors --details` shows which connectors are sinks",
        )
    return Landing(own)


def widens(old: str, new: str) -> bool:
    """True when a declared type may take the place of an inferred one: only itself, since records are never altered."""
    return read(old) == read(new)


TYPES = TypeMap(NATIVES, read, land, widens)
