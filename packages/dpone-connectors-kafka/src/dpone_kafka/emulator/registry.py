"""A schema registry: subjects and their versions, references, configuration, compatibility of Avro schemas.

Its state is one file. Avro's rules are asked of the package `avro`, Protobuf's text is compiled by Protobuf's own
compiler and given as a descriptor to who asks for `format=serialized`; whether JSON Schema and Protobuf schemas are
compatible with those before is not judged, since no package does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from dpone.errors import PlanError
from dpone_kafka.proto_text import FORMAT, compiled, encoded, is_descriptor

Json = Any  # what json.loads returns
Query = Mapping[str, list[str]]
_UNPROCESSABLE, _CONFLICT, _MISSING = 422, 409, 404


class RefusalError(Exception):
    """What the registry answers when it does not do as it is asked."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error_code": code, "message": message}


class Registry:
    """Every change is in the file before it is answered."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._state: dict[str, Any] = {"schemas": [], "subjects": {}, "config": {"": "BACKWARD"}}
        if path.exists():
            self._state = json.loads(path.read_text("utf-8"))

    def answer(self, method: str, target: str, body: Json) -> tuple[int, Json]:
        """The status and the body of the answer to one request."""
        parts = urlsplit(target)
        for known, pattern, handle in _ROUTES:
            if known == method and (found := pattern.fullmatch(parts.path)):
                try:
                    with self._lock:
                        return 200, handle(self, parse_qs(parts.query), body, *map(unquote, found.groups()))
                except RefusalError as refusal:
                    return refusal.status, refusal.body
        return _MISSING, {"error_code": _MISSING, "message": "HTTP 404 Not Found"}

    def _save(self) -> None:
        beside = self._path.with_suffix(".new")
        beside.write_text(json.dumps(self._state), "utf-8")
        beside.replace(self._path)

    # ------------------------------------------------------------------- schemas

    def _find(self, given: Json) -> tuple[int | None, Json]:
        """The id of a schema that is known already, and what it is known by."""
        kind = given.get("schemaType") or "AVRO"
        try:
            text = given["schema"].strip()
            canonical = text if kind == "PROTOBUF" else json.dumps(json.loads(text), separators=(",", ":"))
        except (KeyError, ValueError) as error:
            raise RefusalError(_UNPROCESSABLE, 42201, f"Invalid schema: {error}") from None
        if kind == "AVRO" and not given.get("references"):
            _parse_avro(text)
        if kind == "PROTOBUF":
            self._descriptor(text, given.get("references") or [])
        key = [kind, canonical, given.get("references") or []]
        known = (i for i, schema in enumerate(self._state["schemas"], 1) if schema["key"] == key)
        return next(known, None), key

    def _schema(self, query: Query, number: str) -> Json:
        if not 1 <= int(number) <= len(self._state["schemas"]):
            raise RefusalError(_MISSING, 40403, f"Schema {number} not found")
        return self._shown(self._state["schemas"][int(number) - 1], query)

    def _descriptor(self, text: str, references: list[Json]) -> str:
        """A Protobuf schema as a file's descriptor in base64, whichever of the two it is."""
        if is_descriptor(text):
            return text
        imports: dict[str, str] = {}
        self._gather(references, imports)
        try:
            return encoded(compiled(text, imports))
        except PlanError as error:
            raise RefusalError(_UNPROCESSABLE, 42201, f"Invalid schema: {error}") from None

    def _gather(self, references: list[Json], imports: dict[str, str]) -> None:
        for reference in references:
            found = self._version(reference["subject"], str(reference["version"]))
            schema = self._state["schemas"][found["id"] - 1]
            imports[reference["name"]] = schema["schema"]
            self._gather(schema["references"], imports)

    def _shown(self, schema: Json, query: Query) -> dict[str, Any]:
        shown = _shown(schema)
        if schema["type"] == "PROTOBUF" and query.get("format") == [FORMAT]:
            shown["schema"] = self._descriptor(schema["schema"], schema["references"])
        return shown

    def _register(self, subject: str, given: Json) -> Json:
        number, key = self._find(given)
        versions = self._state["subjects"].setdefault(subject, [])
        if any(v["id"] == number and not v.get("deleted") for v in versions):
            return {"id": number}
        fits, why = self._fits(subject, given)
        if not fits:
            message = f"Schema being registered is incompatible with an earlier schema for subject {subject}: {why}"
            raise RefusalError(_CONFLICT, _CONFLICT, message)
        if number is None:
            kind, _, references = key
            schemas = self._state["schemas"]
            schemas.append({"key": key, "schema": given["schema"], "type": kind, "references": references})
            number = len(schemas)
        versions.append({"version": (versions[-1]["version"] if versions else 0) + 1, "id": number})
        self._save()
        return {"id": number}

    def _look_up(self, query: Query, subject: str, given: Json) -> Json:
        live = self._live(subject)
        number, _ = self._find(given)
        for version in live:
            if version["id"] == number:
                return self._described(query, subject, version)
        raise RefusalError(_MISSING, 40403, "Schema not found")

    # ------------------------------------------------------------------ subjects

    def _subjects(self) -> list[str]:
        return sorted(
            s for s, versions in self._state["subjects"].items() if any(not v.get("deleted") for v in versions)
        )

    def _live(self, subject: str) -> list[Json]:
        found = [v for v in self._state["subjects"].get(subject, []) if not v.get("deleted")]
        if not found:
            raise RefusalError(_MISSING, 40401, f"Subject '{subject}' not found.")
        return found

    def _version(self, subject: str, version: str) -> Json:
        live = self._live(subject)
        if version in {"latest", "-1"}:
            return live[-1]
        for found in live:
            if str(found["version"]) == version:
                return found
        raise RefusalError(_MISSING, 40402, f"Version {version} not found.")

    def _described(self, query: Query, subject: str, version: Json) -> Json:
        shown = self._shown(self._state["schemas"][version["id"] - 1], query)
        return {"subject": subject, "version": version["version"], "id": version["id"], **shown}

    def _delete(self, subject: str, *, for_good: bool) -> list[int]:
        versions = self._state["subjects"].get(subject, [])
        gone = [v["version"] for v in versions] if for_good else [v["version"] for v in self._live(subject)]
        for version in versions:
            version["deleted"] = True
        if for_good:
            self._state["subjects"].pop(subject, None)
        self._save()
        return gone

    def _delete_version(self, subject: str, version: str) -> int:
        found = self._version(subject, version)
        found["deleted"] = True
        self._save()
        return int(found["version"])

    def _uses(self, number: str) -> list[Json]:
        return [
            {"subject": subject, "version": v["version"]}
            for subject, versions in self._state["subjects"].items()
            for v in versions
            if v["id"] == int(number)
        ]

    # ------------------------------------------------------------- compatibility

    def _level(self, subject: str) -> str:
        config = self._state["config"]
        return str(config.get(subject, config[""]))

    def _own_level(self, subject: str, *, or_default: bool) -> Json:
        if subject not in self._state["config"] and not or_default:
            message = f"Subject '{subject}' does not have subject-level compatibility configured"
            raise RefusalError(_MISSING, 40408, message)
        return {"compatibilityLevel": self._level(subject)}

    def _set_level(self, subject: str, given: Json) -> Json:
        self._state["config"][subject] = given["compatibility"]
        self._save()
        return given

    def _fits(self, subject: str, given: Json, version: str | None = None) -> tuple[bool, list[str]]:
        """Whether a schema is compatible with those before it, and why not."""
        level = self._level(subject)
        before = [v for v in self._state["subjects"].get(subject, []) if not v.get("deleted")]
        if version is not None:
            before = [self._version(subject, version)]
        elif not level.endswith("TRANSITIVE"):
            before = before[-1:]
        if level == "NONE" or (given.get("schemaType") or "AVRO") != "AVRO" or given.get("references"):
            return True, []
        why: list[str] = []
        for known in before:
            old = self._state["schemas"][known["id"] - 1]["schema"]
            if level.startswith(("BACKWARD", "FULL")):
                why += _differences(given["schema"], old)
            if level.startswith(("FORWARD", "FULL")):
                why += _differences(old, given["schema"])
        return not why, why

    def _judged(self, query: Query, subject: str, version: str, given: Json) -> Json:
        fits, why = self._fits(subject, given, version)
        return {"is_compatible": fits, **({"messages": why} if "verbose" in query else {})}


def _shown(schema: Json) -> dict[str, Any]:
    shown: dict[str, Any] = {"schema": schema["schema"]}
    if schema["type"] != "AVRO":
        shown["schemaType"] = schema["type"]
    if schema["references"]:
        shown["references"] = schema["references"]
    return shown


def _parse_avro(text: str) -> Any:
    import avro.errors
    import avro.schema

    try:
        return avro.schema.parse(text)
    except avro.errors.AvroException as error:
        raise RefusalError(_UNPROCESSABLE, 42201, f"Invalid schema: {error}") from None


def _differences(reader: str, writer: str) -> list[str]:
    from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]  # the package has no types for it
    found = checker.get_compatibility(_parse_avro(reader), _parse_avro(writer))
    if found.compatibility is SchemaCompatibilityType.compatible:
        return []
    return sorted(found.messages)


Handle = Callable[..., Json]
_SUBJECT, _VERSION = r"/subjects/([^/]+)", r"/versions/([^/]+)"


def _route(method: str, pattern: str, handle: Handle) -> tuple[str, re.Pattern[str], Handle]:
    return method, re.compile(f"{pattern}/?"), handle


# ruff: noqa: SLF001 - the routes are the registry's own, beside it for want of a shorter spelling
_ROUTES = (
    _route("GET", "", lambda _r, _q, _b: {}),
    _route("GET", "/subjects", lambda r, _q, _b: r._subjects()),
    _route("GET", "/schemas/types", lambda _r, _q, _b: ["JSON", "PROTOBUF", "AVRO"]),
    _route("POST", f"{_SUBJECT}/versions", lambda r, _q, b, s: r._register(s, b)),
    _route("GET", f"{_SUBJECT}/versions", lambda r, _q, _b, s: [v["version"] for v in r._live(s)]),
    _route("GET", _SUBJECT + _VERSION, lambda r, q, _b, s, v: r._described(q, s, r._version(s, v))),
    _route("POST", _SUBJECT, lambda r, q, b, s: r._look_up(q, s, b)),
    _route("DELETE", _SUBJECT, lambda r, q, _b, s: r._delete(s, for_good="permanent" in q)),
    _route("DELETE", _SUBJECT + _VERSION, lambda r, _q, _b, s, v: r._delete_version(s, v)),
    _route("GET", r"/schemas/ids/(\d+)", lambda r, q, _b, n: r._schema(q, n)),
    _route("GET", r"/schemas/ids/(\d+)/versions", lambda r, _q, _b, n: r._uses(n)),
    _route("GET", "/config", lambda r, _q, _b: {"compatibilityLevel": r._level("")}),
    _route("PUT", "/config", lambda r, _q, b: r._set_level("", b)),
    _route("GET", "/config/([^/]+)", lambda r, q, _b, s: r._own_level(s, or_default="defaultToGlobal" in q)),
    _route("PUT", "/config/([^/]+)", lambda r, _q, b, s: r._set_level(s, b)),
    _route("POST", f"/compatibility{_SUBJECT}{_VERSION}", lambda r, q, b, s, v: r._judged(q, s, v, b)),
)
