"""The JSON Schema of manifests, for editors: what the loader accepts, as far as a schema can say it.

It cannot see names that must be found elsewhere (connections), nor conditions across keys; those the loader refuses.
In a list of streams with defaults, what a stream needs may stand in either, so neither must have it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from dpone.connector import Connector, Json
from dpone.manifest.configs import is_secret
from dpone.manifest.loader import MAX_PARALLEL, VERSION
from dpone.manifest.models import Settings
from dpone.manifest.modes import MODELS, MODES
from dpone.manifest.scalars import PIPELINE_PATTERN
from dpone.manifest.secrets import REFERENCE_PATTERN

Schema = dict[str, Any]
Defs = dict[str, Schema]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
FILE = "dpone.schema.json"
_COMPOSED = ("required", "oneOf", "anyOf", "allOf", "not", "if", "then", "else")
_REFERENCE = {"type": "string", "pattern": REFERENCE_PATTERN}
_NAME = {"type": "string", "minLength": 1, "maxLength": 255}


def modeline(location: str = f"./{FILE}") -> str:
    """The first line of a manifest, by which editors find the schema."""
    return f"# yaml-language-server: $schema={location}"


def manifest_schema(connectors: Iterable[Connector[Any]]) -> Json:
    """The schema of manifests between these connectors; with none of them, the ends are open."""
    known = sorted(connectors, key=lambda c: c.name)
    defs: Defs = {}
    settings = _hoisted(Settings, defs, "")
    parts = {
        "complete": _stream(settings, known, defs, complete=True),
        "partial": _stream(settings, known, defs, complete=False),
    }
    head = {
        "version": {"const": VERSION, "description": "the version of the manifest's format"},
        "name": {
            "type": "string",
            "pattern": PIPELINE_PATTERN,
            "description": "the name under which positions are stored",
        },
    }
    for name, properties in parts.items():
        required = ["source", "sink", "strategy"] if name == "complete" else []
        defs[f"pipeline.{name}"] = _closed({**head, **properties}, ["version", "name", *required])
        own = {
            "name": {**_NAME, "description": "the name of the stream; by default that of its table"},
            "skip": _skip(),
        }
        defs[f"stream.{name}"] = _closed({**own, **properties}, required)
    defs["defaults"] = _closed(parts["partial"], [])
    del defs["pipeline.partial"]
    schema = {
        "$schema": DIALECT,
        "title": "dpone manifest",
        "type": "object",
        "required": ["version", "name"],
        "if": {"anyOf": [{"required": ["streams"]}, {"required": ["defaults"]}]},
        "then": _many(head),
        "else": {"$ref": "#/$defs/pipeline.complete"},
        "$defs": dict(sorted(defs.items())),
    }
    return json.loads(json.dumps(schema))


def _closed(properties: Schema, required: Sequence[str]) -> Schema:
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**found, "required": list(required)} if required else found


def _many(head: Schema) -> Schema:
    streams = {"type": "array", "minItems": 1, "description": "the streams, each laid over the defaults"}
    properties = {
        **head,
        "parallel": {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_PARALLEL,
            "default": 1,
            "description": "how many streams run at the same time",
        },
        "defaults": {"$ref": "#/$defs/defaults", "description": "what each stream has unless it says otherwise"},
        "streams": streams,
    }
    items = {
        name: {"properties": {"streams": {"items": {"$ref": f"#/$defs/stream.{name}"}}}}
        for name in ("partial", "complete")
    }
    return {
        **_closed(properties, ["version", "name", "streams"]),
        "if": {"required": ["defaults"]},
        "then": items["partial"],
        "else": items["complete"],
    }


def _skip() -> Schema:
    item = {"type": "string", "minLength": 1}
    return {
        "type": "array",
        "items": item,
        "minItems": 1,
        "description": "tables that a wildcard leaves out, as `public.tmp_*`",
    }


def _stream(settings: Schema, connectors: Sequence[Connector[Any]], defs: Defs, *, complete: bool) -> Schema:
    """The properties of a stream."""
    kind = "complete" if complete else "partial"
    for side in ("source", "sink"):
        defs[f"{side}.{kind}"] = _end(side, connectors, defs, complete=complete)
    defs[f"strategy.{kind}"] = _strategy(defs, complete=complete)
    ends = {
        part: {"$ref": f"#/$defs/{part}.{kind}", "description": words}
        for part, words in (
            ("source", "where rows come from: `type`, `connection`, and the connector's own keys"),
            ("sink", "where they go to: likewise"),
            ("strategy", "how they are loaded; there is no default"),
        )
    }
    return {**ends, **settings["properties"]}


# ---------------------------------------------------------------------- models


def _hoisted(model: type[BaseModel], defs: Defs, prefix: str, *, nulls: bool = False) -> Schema:
    """The schema of a model; what it refers to goes to `defs`. Without `nulls`, a key has a value or is not there."""
    schema = model.model_json_schema(by_alias=True, ref_template=f"#/$defs/{prefix}{{model}}")
    found: Schema = _tidy(schema, nulls=nulls)
    for name, inner in found.pop("$defs", {}).items():
        defs[f"{prefix}{name}"] = inner
    return found


def _tidy(schema: Any, *, nulls: bool) -> Any:
    """Without the titles that pydantic makes up, and without null where the loader takes none."""
    if isinstance(schema, list):
        return [_tidy(item, nulls=nulls) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept: Schema = {}
    for key, value in schema.items():
        if key in {"properties", "$defs"}:
            kept[key] = {name: _tidy(inner, nulls=nulls) for name, inner in value.items()}
        elif not (key == "title" and isinstance(value, str)) and not (key == "default" and value is None):
            kept[key] = value if key in {"default", "enum", "const"} else _tidy(value, nulls=nulls)
    choices: Any = kept.get("anyOf", [])
    if nulls or {"type": "null"} not in choices:
        return kept
    kept["anyOf"] = [choice for choice in choices if choice != {"type": "null"}]
    return {**kept.pop("anyOf")[0], **kept} if len(kept["anyOf"]) == 1 else kept


def _partial(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key not in _COMPOSED}


def _one_by_one(key: str, cases: dict[str, Schema], otherwise: Schema) -> list[Schema]:
    """A case for each value of a key, and one for its absence."""
    found: list[Schema] = [
        {"if": {"properties": {key: {"const": value}}, "required": [key]}, "then": then}
        for value, then in cases.items()
    ]
    return [*found, {"if": {"not": {"required": [key]}}, "then": otherwise}]


# ------------------------------------------------------------------- the parts


def _strategy(defs: Defs, *, complete: bool) -> Schema:
    modes: Schema = {"oneOf": [{"const": mode, "description": words} for mode, words in MODES.items()]}
    cases = {mode: _hoisted(model, defs, "") for mode, model in MODELS.items()}
    if not complete:
        cases = {mode: _partial(case) for mode, case in cases.items()}
    any_key = {name: inner for case in cases.values() for name, inner in case["properties"].items()}
    found: Schema = {
        "type": "object",
        "properties": {"mode": modes},
        "allOf": _one_by_one("mode", cases, _closed({**any_key, "mode": True}, [])),
    }
    return {**found, "required": ["mode"]} if complete else found


def _end(side: str, connectors: Sequence[Connector[Any]], defs: Defs, *, complete: bool) -> Schema:
    kind: Schema = {"type": "string", "minLength": 1, "description": "the name of a connector"}
    cases: dict[str, Schema] = {}
    for connector in connectors:
        spec = connector.source if side == "source" else connector.sink
        if spec is not None:
            options = _hoisted(spec.options, defs, f"{connector.name}.{side}.", nulls=True)
            cases[connector.name] = _case(options, connector, defs, complete=complete)
    found: Schema = {"type": "object", "properties": {"type": kind, "connection": _connection(None)}}
    if connectors:
        found["properties"]["type"] = {"enum": list(cases), "description": kind["description"]}
        absent = {"anyOf": list(cases.values())} if cases else {}
        found["allOf"] = _one_by_one("type", cases, absent)
    return {**found, "required": ["type"]} if complete else found


def _case(options: Schema, connector: Connector[Any], defs: Defs, *, complete: bool) -> Schema:
    """The end of one connector: its own options and what every end has."""
    required = [*options.get("required", []), *(["connection"] if _needs_connection(connector) else [])]
    common = {"type": True, "connection": _connection(_inline(connector, defs))}
    whole = {**options, "properties": {**options.get("properties", {}), **common}, "required": required}
    return whole if complete else _partial(whole)


def _needs_connection(connector: Connector[Any]) -> bool:
    try:
        connector.config.model_validate({})
    except ValidationError:
        return True
    return False


def _connection(inline: Schema | None) -> Schema:
    name: Schema = {"type": "string", "minLength": 1, "not": {"pattern": "://"}}
    return {
        "description": "the name of a connection, or a mapping with its fields",
        "anyOf": [name, inline or {"type": "object"}],
    }


def _inline(connector: Connector[Any], defs: Defs) -> Schema:
    """A connection that is written into the manifest: any field may be a reference, a secret must be one."""
    config = _hoisted(connector.config, defs, f"{connector.name}.connection.", nulls=True)
    properties = {}
    for name, inner in config.get("properties", {}).items():
        value = _without_literals(inner) if is_secret(connector.config, name) else {"anyOf": [inner, _REFERENCE]}
        properties[name] = {**value, **{k: v for k, v in inner.items() if k == "description"}}
    return _closed(properties, config.get("required", []))


def _without_literals(schema: Any) -> Any:
    """The schema of a secret field, every text in it a reference."""
    if isinstance(schema, list):
        return [_without_literals(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "string":
        return _REFERENCE
    return {key: _without_literals(value) for key, value in schema.items()}
