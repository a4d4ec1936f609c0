"""Avro's schemas and core's types: what a column of a topic is, and the schema that a target's messages get."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from dpone.errors import PlanError
from dpone.schema import (
    BINARY,
    BOOL,
    DATE,
    FLOAT32,
    FLOAT64,
    INT32,
    INT64,
    JSON,
    STRING,
    UUID,
    Field,
    Kind,
    Type,
    decimal,
    list_of,
    map_of,
    time,
    timestamp,
    timestamptz,
)

Schema = Any  # what json.loads returns
_PLAIN = {
    "boolean": BOOL,
    "int": INT32,
    "long": INT64,
    "float": FLOAT32,
    "double": FLOAT64,
    "string": STRING,
    "bytes": BINARY,
    "enum": STRING,
    "fixed": BINARY,
}
_LOGICAL = {
    "date": DATE,
    "time-millis": time(3),
    "time-micros": time(6),
    "timestamp-millis": timestamptz(3),
    "timestamp-micros": timestamptz(6),
    "local-timestamp-millis": timestamp(3),
    "local-timestamp-micros": timestamp(6),
    "uuid": UUID,
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MICROSECONDS, _MILLISECONDS = 6, 3
_INT, _LONG = 32, 64


def fields_of(schema: Schema) -> tuple[tuple[str, Type, bool], ...]:
    """The columns of a record: name, type, and whether it may be NULL."""
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise PlanError(
            "the values of the topic are no records, so they have no columns",
            code="source.no_columns",
            hint="read it with `format: raw`",
        )
    known: dict[str, Schema] = {}
    _collect(schema, known)
    return tuple((f["name"], *_read(f["type"], known, ())) for f in schema["fields"])


def _collect(schema: Schema, known: dict[str, Schema]) -> None:
    if isinstance(schema, list):
        for part in schema:
            _collect(part, known)
    elif isinstance(schema, dict):
        if "name" in schema and schema.get("type") in {"record", "enum", "fixed"}:
            known[schema["name"].rpartition(".")[2]] = schema
        for part in (schema.get("items"), schema.get("values"), *(f["type"] for f in schema.get("fields", ()))):
            _collect(part, known)


def _read(schema: Schema, known: Mapping[str, Schema], within: tuple[str, ...]) -> tuple[Type, bool]:
    """The type, and whether it may be NULL. Unions, and records within themselves, are JSON."""
    if isinstance(schema, list):
        rest = [part for part in schema if part != "null"]
        nullable = len(rest) < len(schema)
        return (_read(rest[0], known, within)[0], nullable) if len(rest) == 1 else (JSON, nullable)
    if isinstance(schema, str):
        if schema in _PLAIN:
            return _PLAIN[schema], False
        name = schema.rpartition(".")[2]
        if schema == "null" or name in within or name not in known:
            return JSON, True
        return _read(known[name], known, within)
    match schema.get("logicalType"):
        case "decimal":
            return decimal(schema["precision"], schema.get("scale", 0)), False
        case str() as logical if logical in _LOGICAL:
            return _LOGICAL[logical], False
        case _:
            return _nested(schema, known, within), False


def _nested(schema: Schema, known: Mapping[str, Schema], within: tuple[str, ...]) -> Type:
    match schema["type"]:
        case "array":
            return list_of(_read(schema["items"], known, within)[0])
        case "map":
            return map_of(STRING, _read(schema["values"], known, within)[0])
        case "record":
            inside = (*within, schema["name"].rpartition(".")[2])
            fields = tuple(Field(f["name"], *_read(f["type"], known, inside)) for f in schema["fields"])
            return Type(Kind.STRUCT, items=fields) if fields else JSON
        case other:
            return _read(other, known, within)[0] if other not in _PLAIN else _PLAIN[other]


# --------------------------------------------------------------------------- writing


def record_of(name: str, fields: Sequence[Field]) -> str:
    """The schema of messages with these columns; each may be null, so that it evolves either way."""
    listed = [
        {"name": _legal(f.name), "type": ["null", _written(f.type, f"{name}_{f.name}")], "default": None}
        for f in fields
    ]
    return json.dumps({"type": "record", "name": name, "namespace": "dpone", "fields": listed})


def _legal(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise PlanError(
            f"column {name}: Avro and Protobuf have no such name",
            code="sink.column_name",
            hint="rename it under `columns:`, or write `format: json`",
        )
    return name


legal_name = _legal


def _written(of: Type, path: str) -> Schema:
    match of.kind:
        case Kind.BOOL:
            return "boolean"
        case Kind.INT if (of.size or 0) <= _LONG:
            return "int" if (of.size or 0) <= _INT else "long"
        case Kind.UINT if (of.size or 0) <= _INT:
            return "int" if (of.size or 0) < _INT else "long"
        case Kind.FLOAT:
            return "float" if of.size == _INT else "double"
        case Kind.DECIMAL if of.size is not None and (of.scale or 0) >= 0 and (of.scale or 0) <= of.size:
            return {"type": "bytes", "logicalType": "decimal", "precision": of.size, "scale": of.scale or 0}
        case Kind.BINARY:
            return "bytes"
        case Kind.DATE:
            return {"type": "int", "logicalType": "date"}
        case Kind.TIME if (of.size or 0) <= _MICROSECONDS:
            return {"type": "long", "logicalType": "time-micros"}
        case Kind.TIMESTAMP if (of.size or 0) <= _MICROSECONDS:
            return {"type": "long", "logicalType": "local-timestamp-micros"}
        case Kind.TIMESTAMPTZ if (of.size or 0) <= _MICROSECONDS:
            return {"type": "long", "logicalType": "timestamp-micros"}
        case Kind.LIST:
            return {"type": "array", "items": ["null", _written(of.items[0].type, f"{path}_item")]}
        case Kind.MAP if of.items[0].type.kind is Kind.STRING:
            return {"type": "map", "values": ["null", _written(of.items[1].type, f"{path}_value")]}
        case Kind.STRUCT:
            return json.loads(record_of(_legal(path), of.items))
        case _:
            return "string"
