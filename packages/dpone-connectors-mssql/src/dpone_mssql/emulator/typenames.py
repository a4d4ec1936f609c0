"""The names of types in T-SQL, and those of the types that stand for them."""

from __future__ import annotations

import re

from dpone_mssql.emulator.collations import DEFAULT, suffix
from dpone_mssql.emulator.faults import Fault
from dpone_mssql.emulator.types import BYTES, TEXT

_SAME = {
    "bigint": "int8",
    "int": "int4",
    "integer": "int4",
    "smallint": "int2",
    "real": "float4",
    "date": "date",
    "uniqueidentifier": "uuid",
    "bit": "tsql.bit",
    "tinyint": "tsql.tinyint",
    "money": "tsql.money",
    "smallmoney": "tsql.smallmoney",
    "datetime": "tsql.datetime",
    "smalldatetime": "tsql.smalldatetime",
}
_WRITTEN = re.compile(
    r"(?P<name>[a-z_0-9]+)\s*(?:\(\s*(?P<size>\d+|max)\s*(?:,\s*(?P<scale>\d+)\s*)?\))?", re.IGNORECASE
)
_UNSIZED = {
    "text",
    "ntext",
    "sysname",
    "image",
    "rowversion",
    "geography",
    "geometry",
    "xml",
    "json",
    "sql_variant",
    "hierarchyid",
}
_REAL_DIGITS = 24
OFFSET_DIGITS = 24  # what the modifier of a datetimeoffset without digits says


def type_name(written: str, collation: str = DEFAULT, *, in_cast: bool = False) -> str:
    """The PostgreSQL type for one that T-SQL calls `written`."""
    found = _WRITTEN.fullmatch(written.strip())
    if found is None:
        raise Fault(2715, f"Cannot find data type {written}.")
    name, size, scale = found["name"].lower(), found["size"], found["scale"]
    if name == "timestamp":
        name = "rowversion"
    if name in _SAME:
        return _SAME[name]
    if name in {"decimal", "numeric"}:
        return f"numeric({size or 18}, {scale or 0})"
    if name == "float":
        return "float4" if size is not None and int(size) <= _REAL_DIGITS else "float8"
    if name == "datetimeoffset":
        return f"tsql.datetimeoffset({int(size or 7) + OFFSET_DIGITS})"
    if name in {"time", "datetime2"}:
        return f"tsql.{name}({int(size or 7) + 1})"
    if name not in TEXT and name not in BYTES:
        raise Fault(2715, f"Cannot find data type {written}.")
    if name in TEXT and name not in {"xml", "json", "sql_variant", "hierarchyid"}:
        try:
            kind = suffix(collation)
        except LookupError:
            raise Fault(448, f"Invalid collation '{collation}'.") from None
        name += "" if kind == "_cyr" and name.startswith(("n", "sys")) else kind
    bare = name.removesuffix("_bin").removesuffix("_cyr")
    if bare in _UNSIZED or (size is not None and size.lower() == "max"):
        return f"tsql.{name}"
    return f"tsql.{name}({size or ('30' if in_cast else '1')})"
