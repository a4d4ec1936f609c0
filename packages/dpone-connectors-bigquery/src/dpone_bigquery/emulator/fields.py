"""Columns: BigQuery's description of them, DuckDB's types, and how a value is spelled in an answer."""

from __future__ import annotations

import base64
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sqlglot import exp

from dpone_bigquery.emulator.answers import Json, invalid
from dpone_bigquery.emulator.numbers import spelled

_ALIASES = {
    "INT64": "INTEGER",
    "FLOAT64": "FLOAT",
    "BOOL": "BOOLEAN",
    "STRUCT": "RECORD",
    "DECIMAL": "NUMERIC",
    "BIGDECIMAL": "BIGNUMERIC",
}
_DUCK = {
    "INTEGER": "BIGINT",
    "FLOAT": "DOUBLE",
    "NUMERIC": "DECIMAL(38, 9)",
    "BIGNUMERIC": "BIGNUM",
    "STRING": "VARCHAR",
    "BYTES": "BLOB",
    "BOOLEAN": "BOOLEAN",
    "DATE": "DATE",
    "DATETIME": "TIMESTAMP",
    "TIMESTAMP": "TIMESTAMPTZ",
    "TIME": "TIME",
    "JSON": "JSON",
    "GEOGRAPHY": "VARCHAR",
    "INTERVAL": "INTERVAL",
    "RANGE": "VARCHAR",
}
_FROM_DUCK = {
    "bigint": "INTEGER",
    "integer": "INTEGER",
    "smallint": "INTEGER",
    "tinyint": "INTEGER",
    "hugeint": "INTEGER",
    "uhugeint": "INTEGER",
    "ubigint": "NUMERIC",
    "bignum": "BIGNUMERIC",
    "uinteger": "INTEGER",
    "usmallint": "INTEGER",
    "utinyint": "INTEGER",
    "double": "FLOAT",
    "float": "FLOAT",
    "boolean": "BOOLEAN",
    "varchar": "STRING",
    "blob": "BYTES",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "DATETIME",
    "timestamp_ns": "DATETIME",
    "timestamp with time zone": "TIMESTAMP",
    "interval": "INTERVAL",
    '"null"': "INTEGER",
}
_NUMERIC_WHOLE, _NUMERIC_SCALE = 29, 9
_MOST = {"NUMERIC": (_NUMERIC_WHOLE, _NUMERIC_SCALE), "BIGNUMERIC": (38, 38)}  # before the point and behind it
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def kind_of(field: Json) -> str:
    kind = str(field["type"]).upper()
    return _ALIASES.get(kind, kind)


def _sizes(field: Json) -> tuple[int, int]:
    """Precision and scale, where both are what the type admits."""
    digits, behind = int(field["precision"]), int(field.get("scale") or 0)
    whole, finest = _MOST[kind_of(field)]
    if not (0 <= behind <= finest and max(behind, 1) <= digits <= whole + behind):
        raise invalid(f"{kind_of(field)}({digits}, {behind}) is not a type")
    return digits, behind


def duck_type(field: Json) -> str:
    """The column's type in DuckDB."""
    kind = kind_of(field)
    if kind == "RECORD":
        inner = ", ".join(f"{quoted(f['name'])} {duck_type(f)}" for f in field["fields"])
        spelled = f"STRUCT({inner})"
    elif kind == "NUMERIC" and field.get("precision"):
        spelled = "DECIMAL({}, {})".format(*_sizes(field))
    elif kind in _DUCK:
        spelled = _DUCK[kind]
    else:
        raise invalid(f"Unsupported type {kind}")
    return f"{spelled}[]" if field.get("mode") == "REPEATED" else spelled


def definition(field: Json) -> str:
    """The column of a CREATE TABLE, limits of text and bytes among its checks."""
    name = quoted(field["name"])
    text = f"{name} {duck_type(field)}"
    if field.get("mode") == "REQUIRED":
        text += " NOT NULL"
    if (most := field.get("maxLength")) and field.get("mode") != "REPEATED":
        length = "octet_length" if kind_of(field) == "BYTES" else "length"
        text += f" CHECK ({length}({name}) <= {int(most)})"
    return text


def stored(query: str, fields: list[Json]) -> str:
    """The query, its columns as those of the table hold them: DuckDB casts all but BIGNUMERIC by itself."""
    if not any(map(_holds_big, fields)):
        return query
    names = ", ".join(quoted(field["name"]) for field in fields)
    values = ", ".join(f"{held(quoted(field['name']), field)} AS {quoted(field['name'])}" for field in fields)
    return f"SELECT {values} FROM ({query}) AS __stored ({names})"  # noqa: S608 - all quoted


def held(value: str, field: Json, *, repeated: bool = True) -> str:
    """The value as the column holds it."""
    if not _holds_big(field):
        return value
    if repeated and field.get("mode") == "REPEATED":
        return f"list_transform({value}, lambda __item: {held('__item', field, repeated=False)})"
    if kind_of(field) == "RECORD":
        names = [(quoted(part["name"]), part) for part in field["fields"]]
        parts = ", ".join(f"{name} := {held(f'({value}).{name}', part)}" for name, part in names)
        return f"CASE WHEN {value} IS NULL THEN NULL ELSE struct_pack({parts}) END"
    number = f"__emulator.bignumeric({value})"
    return f"__emulator.bounded({number}, {', '.join(map(str, _sizes(field)))})" if field.get("precision") else number


def _holds_big(field: Json) -> bool:
    return kind_of(field) == "BIGNUMERIC" or any(map(_holds_big, field.get("fields") or ()))


def field_of(name: str, kind: Any, mode: str = "NULLABLE") -> Json:
    """The description of a query's column, of its type in DuckDB."""
    if kind.id in {"list", "array"}:
        return field_of(name, kind.children[0][1], "REPEATED")
    if kind.id == "struct":
        inner = [field_of(n, k) for n, k in kind.children]
        return {"name": name, "type": "RECORD", "mode": mode, "fields": inner}
    if kind.id == "decimal":
        precision, scale = (int(part[1]) for part in kind.children)
        fits = scale <= _NUMERIC_SCALE and precision - scale <= _NUMERIC_WHOLE
        return {"name": name, "type": "NUMERIC" if fits else "BIGNUMERIC", "mode": mode}
    found = "JSON" if str(kind).upper() == "JSON" else _FROM_DUCK.get(kind.id, "STRING")
    return {"name": name, "type": found, "mode": mode}


def declared_field(column: exp.ColumnDef) -> Json:
    """The description of a column as a CREATE TABLE declares it."""
    required = any(isinstance(c.kind, exp.NotNullColumnConstraint) for c in column.constraints)
    return typed_field(column.name, column.args["kind"], "REQUIRED" if required else "NULLABLE")


def typed_field(name: str, kind: exp.DataType, mode: str = "NULLABLE") -> Json:
    """The description of a column of a type that a statement spells."""
    word = str(kind.this.value if isinstance(kind.this, exp.DataType.Type) else kind.this).upper()
    inner = kind.expressions
    if word == "ARRAY":
        return typed_field(name, inner[0], "REPEATED")
    if word == "STRUCT":
        fields = [typed_field(part.name, part.args["kind"]) for part in inner]
        return {"name": name, "type": "RECORD", "mode": mode, "fields": fields}
    spelled = exp.DataType(this=kind.this).sql(dialect="bigquery").upper()
    found: Json = {"name": name, "type": _ALIASES.get(spelled, spelled), "mode": mode}
    sizes = [int(part.name) for part in inner if isinstance(part, exp.DataTypeParam)]
    if sizes and found["type"] in {"STRING", "BYTES"}:
        found["maxLength"] = str(sizes[0])
    elif sizes:
        found["precision"] = str(sizes[0])
        if len(sizes) > 1:
            found["scale"] = str(sizes[1])
    return found


def cell(value: Any, field: Json, *, repeated: bool = True) -> Any:
    """A value as the interface answers it."""
    if repeated and field.get("mode") == "REPEATED":
        return [{"v": cell(v, field, repeated=False)} for v in value or ()]
    if value is None:
        return None
    match kind_of(field), value:
        case "RECORD", dict():
            return {"f": [{"v": cell(value.get(f["name"]), f)} for f in field["fields"]]}
        case "TIMESTAMP", datetime():
            aware = value if value.tzinfo else value.replace(tzinfo=UTC)
            return str((aware - _EPOCH) // timedelta(microseconds=1))
        case _, bool():
            return "true" if value else "false"
        case _, bytes():
            return base64.b64encode(value).decode()
        case _, float():
            return _float(value)
        case _, Decimal():
            digits = format(value, "f")
            return digits.rstrip("0").rstrip(".") if "." in digits else digits
        case "BIGNUMERIC", str():
            return spelled(value)
        case _, date() | datetime() | time():
            return value.isoformat()
        case _:
            return str(value)


def _float(value: float) -> str:
    if value != value:  # noqa: PLR0124 - NaN is the one value unequal to itself
        return "NaN"
    return repr(value).replace("inf", "Infinity") if abs(value) == float("inf") else repr(value)
