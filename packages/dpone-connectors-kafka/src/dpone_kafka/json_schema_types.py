"""JSON Schema and core's types: what a column of a topic is, and the schema that a target's messages get."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dpone.errors import PlanError
from dpone.schema import (
    BOOL,
    DATE,
    FLOAT64,
    INT64,
    JSON,
    STRING,
    UUID,
    Field,
    Kind,
    Type,
    list_of,
    timestamptz,
)

Schema = Any  # what json.loads returns
_PLAIN = {"boolean": BOOL, "integer": INT64, "number": FLOAT64, "string": STRING}
_FORMATS = {"date": DATE, "date-time": timestamptz(9), "uuid": UUID}


def fields_of(schema: Schema) -> tuple[tuple[str, Type, bool], ...]:
    """The columns of an object: name, type, and whether it may be NULL."""
    whole = _resolved(schema, schema)
    properties = whole.get("properties")
    if not isinstance(properties, dict) or not properties:
        raise PlanError(
            "the schema of the topic names no properties, so it has no columns",
            code="source.no_columns",
            hint="declare them: `columns: {id: int64, name: string}`, with `format: json`",
        )
    required = set(whole.get("required", ()))
    return tuple((name, *_column(part, schema, required=name in required)) for name, part in properties.items())


def _column(part: Schema, root: Schema, *, required: bool) -> tuple[Type, bool]:
    of, nullable = _read(part, root, 0)
    return of, nullable or not required


def _resolved(part: Schema, root: Schema) -> Schema:
    reference = part.get("$ref") if isinstance(part, dict) else None
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return part
    found = root
    for step in reference[2:].split("/"):
        found = found.get(step, {}) if isinstance(found, dict) else {}
    return found


_DEEP = 8  # a schema may hold itself


def _read(part: Schema, root: Schema, depth: int) -> tuple[Type, bool]:
    part = _resolved(part, root)
    if not isinstance(part, dict) or depth > _DEEP:
        return JSON, True
    for several in ("oneOf", "anyOf"):
        if isinstance(part.get(several), list):
            rest = [p for p in part[several] if p != {"type": "null"}]
            nullable = len(rest) < len(part[several])
            return (_read(rest[0], root, depth + 1)[0], nullable) if len(rest) == 1 else (JSON, nullable)
    kinds = part.get("type")
    listed = kinds if isinstance(kinds, list) else [kinds]
    rest = [kind for kind in listed if kind != "null"]
    nullable = len(rest) < len(listed)
    if len(rest) != 1:
        return JSON, True
    return _one(rest[0], part, root, depth), nullable


def _one(kind: Any, part: Mapping[str, Any], root: Schema, depth: int) -> Type:
    match kind:
        case "string":
            return _FORMATS.get(part.get("format", ""), STRING)
        case "array" if isinstance(part.get("items"), dict):
            return list_of(_read(part["items"], root, depth + 1)[0])
        case "object" if isinstance(part.get("properties"), dict) and part["properties"]:
            fields = tuple(Field(n, *_read(p, root, depth + 1)) for n, p in part["properties"].items())
            return Type(Kind.STRUCT, items=fields)
        case str() if kind in _PLAIN:
            return _PLAIN[kind]
        case _:
            return JSON


# --------------------------------------------------------------------------- writing


def object_of(name: str, fields: Sequence[Field]) -> str:
    """The schema of messages with these columns; each may be null."""
    properties = {f.name: _written(f.type) for f in fields}
    return json.dumps(
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "title": name,
            "type": "object",
            "properties": properties,
        }
    )


def _written(of: Type) -> Schema:
    match of.kind:
        case Kind.BOOL:
            return {"type": ["null", "boolean"]}
        case Kind.INT | Kind.UINT:
            return {"type": ["null", "integer"]}
        case Kind.FLOAT:
            return {"type": ["null", "number", "string"]}  # NaN and the infinities are text
        case Kind.DATE:
            return {"type": ["null", "string"], "format": "date"}
        case Kind.TIMESTAMPTZ:
            return {"type": ["null", "string"], "format": "date-time"}
        case Kind.UUID:
            return {"type": ["null", "string"], "format": "uuid"}
        case Kind.JSON:
            return {}
        case Kind.LIST:
            return {"type": ["null", "array"], "items": _written(of.items[0].type)}
        case Kind.MAP:
            return {"type": ["null", "object", "array"]}
        case Kind.STRUCT:
            return {"type": ["null", "object"], "properties": {f.name: _written(f.type) for f in of.items}}
        case _:
            return {"type": ["null", "string"]}
