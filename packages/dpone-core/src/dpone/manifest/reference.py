"""The tables of docs/reference/manifest.md and the published schema, made from the models so that they cannot differ.

`python -m dpone.manifest.reference docs/reference` writes them.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from dpone.connector import Json
from dpone.manifest.modes import MODES
from dpone.manifest.schema import manifest_schema

_BLOCK = re.compile(r"(<!-- table: ([a-z0-9_.]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_TEXTS = {
    "cursor.lag": "a duration or a number",
    "guard.max_removed_share": "a number from 0 to 1",
    "strategy.deletes": "`hard`, `soft`, `ignore` or `{soft: column}`",
    "strategy.chunk": "a step or a number",
    "limits.statement_timeout": "a duration",
    "limits.run_timeout": "a duration",
    "limits.memory": "a size",
    "freshness.max_age": "a duration",
    "column.cast": "a type",
    "where.value": "a value, or a list of values",
    "bounds.from": "a number, a date or an instant",
    "bounds.to": "a number, a date or an instant",
    "streams.streams": "a list of mappings",
}
_PARTS = {
    "cursor": "Cursor",
    "guard": "Guard",
    "bounds": "Bounds",
    "column": "Column",
    "where": "Filter",
    "schema_evolution": "SchemaEvolution",
    "limits": "Limits",
    "accepted_values": "Accepted",
    "freshness": "Age",
}
_PLURAL = {"text": "texts", "a mapping": "mappings", "a value": "values", "a mapping or text": "texts or mappings"}


def render(text: str) -> str:
    """The text with each `<!-- table: name -->` block filled."""
    tables = _tables()
    return _BLOCK.sub(lambda found: f"{found[1]}\n{tables[found[2]]}\n\n{found[3]}", text)


def _tables() -> dict[str, str]:
    schema = manifest_schema([])
    defs = schema["$defs"]
    pipeline = defs["pipeline.complete"]
    own = {name: inner for name, inner in defs["stream.partial"]["properties"].items() if name in {"name", "skip"}}
    tables = {
        "pipeline": _table("pipeline", pipeline["properties"], pipeline["required"]),
        "streams": _table("streams", schema["then"]["properties"], schema["then"]["required"]),
        "stream": _table("stream", own, []),
        "modes": "\n".join(["| mode | what it does |", "|---|---|", *(f"| `{m}` | {w} |" for m, w in MODES.items())]),
        "strategy": _strategy(defs["strategy.complete"]["allOf"]),
        "checks": _checks(
            [defs[ref["$ref"].rpartition("/")[2]] for ref in pipeline["properties"]["checks"]["items"]["oneOf"]]
        ),
    }
    for name, part in _PARTS.items():
        tables[name] = _table(name, defs[part]["properties"], defs[part].get("required", []))
    return tables


def _strategy(cases: list[Json]) -> str:
    """One row for each key of any mode, with the modes that have it; those that need it in bold."""
    rows: dict[str, tuple[Json, list[str]]] = {}
    for case in cases:
        mode = case["if"].get("properties", {}).get("mode", {}).get("const")
        for name, inner in case["then"]["properties"].items() if mode else ():
            if name != "mode":
                needed = name in case["then"]["required"]
                rows.setdefault(name, (inner, []))[1].append(f"**{mode}**" if needed else mode)
    lines = ["| key | value | default | modes | meaning |", "|---|---|---|---|---|"]
    for name, (inner, modes) in rows.items():
        what = _kind(f"strategy.{name}", inner)
        lines.append(f"| `{name}` | {what} | {_default(inner)} | {', '.join(modes)} | {inner['description']} |")
    return _even(lines)


def _checks(checks: list[Json]) -> str:
    rows = [
        f"| `{name}` | {_kind(f'checks.{name}', inner)} | {inner['description']} |"
        for check in checks
        for name, inner in check["properties"].items()
    ]
    return _even(["| check | value | meaning |", "|---|---|---|", *rows])


def _table(part: str, properties: Json, required: list[str]) -> str:
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for name, inner in properties.items():
        default = "required" if name in required else _default(inner)
        lines.append(f"| `{name}` | {_kind(f'{part}.{name}', inner)} | {default} | {inner.get('description', '')} |")
    return _even(lines)


def keys_of(schema: Json) -> str:
    """The table of the keys that a model takes, whose JSON Schema is given; `null` stands for what is not there."""
    properties = {name: _present(inner) for name, inner in schema["properties"].items()}
    return _table(schema["title"], properties, schema.get("required", []))


def _present(schema: Json) -> Json:
    choices = [choice for choice in schema.get("anyOf", []) if choice.get("type") != "null"]
    if not choices:
        return schema
    outside = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**choices[0], **outside} if len(choices) == 1 else {**outside, "anyOf": choices}


def _even(lines: list[str]) -> str:
    return "\n".join(lines).replace("|  |", "| |").replace("|  |", "| |")


def _default(schema: Json) -> str:
    default = schema.get("default")
    if default in (None, [], {}):
        return ""
    if isinstance(default, dict):
        return "see below" if "how" not in default else f"`{default['how']}`"
    return f"`{json.dumps(default)}`" if not isinstance(default, str) else f"`{default}`"


def _kind(path: str, schema: Any) -> str:
    """What may be written, in words."""
    if path in _TEXTS:
        return _TEXTS[path]
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "$ref" in schema or schema.get("type") == "object":
        return "a mapping"
    if "anyOf" in schema or "oneOf" in schema:
        kinds = dict.fromkeys(_kind("", choice) for choice in schema.get("anyOf", schema.get("oneOf", [])))
        return " or ".join(kinds)
    if schema.get("type") == "array":
        items = _kind("", schema.get("items", {}))
        return f"a list of {_PLURAL.get(items, items)}"
    if isinstance(schema.get("type"), list):
        return "a value"
    words = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "`true`, `false`"}
    return words.get(schema.get("type", ""), "a mapping")


def print_schema() -> str:
    """The schema of manifests whatever connectors there are, as it is published."""
    return json.dumps(manifest_schema([]), indent=1, ensure_ascii=False) + "\n"


def main(folder: Path) -> None:
    """The page and the schema in this folder are those of the models as they are now."""
    page = folder / "manifest.md"
    page.write_text(render(page.read_text(encoding="utf-8")), encoding="utf-8")
    (folder / "schemas").mkdir(exist_ok=True)
    (folder / "schemas/manifest.schema.json").write_text(print_schema(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
