"""From a file to a manifest: everything that is wrong with it in one error, each finding with its line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from dpone.connector import Json
from dpone.errors import UsageError
from dpone.manifest.connections import Connections
from dpone.manifest.document import Node, compose, foreign, node_of
from dpone.manifest.ends import Lookup, Reading, without
from dpone.manifest.models import Manifest, Stream
from dpone.manifest.pipelines import STREAM_KEYS, read_stream
from dpone.manifest.problems import Mark, Problem, as_error, did_you_mean
from dpone.manifest.scalars import PipelineName
from dpone.manifest.streams import Wildcard, clashes, overlay

VERSION = 1
MAX_PARALLEL = 64
MAX_STREAMS = 10_000
_HEAD = ("version", "name")
_MANY = ("parallel", "defaults", "streams")
_OWN = ("name", "skip")  # what a stream of a list has beside the keys of any stream


def load(path: str | Path, connector: Lookup, *, environ: Mapping[str, str] | None = None) -> Manifest:
    """The manifest in a file; `connector` gives a connector by its name, as `dpone.registry.load` does."""
    file = Path(path)
    raw: bytes | None = None
    with suppress(OSError):
        raw = file.read_bytes()
    if raw is None:
        raise _not_found(file)
    return _read(compose(raw, str(path)), str(path), file.parent, connector, environ, file)


def parse(
    data: Mapping[str, Json],
    connector: Lookup,
    *,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
    label: str = "manifest",
) -> Manifest:
    """The manifest that plain data describes; errors name keys and no lines."""
    root = node_of(data)
    if (path := foreign(root)) is not None:
        message = f"{path}: a manifest holds text, finite numbers, true, false, lists and mappings"
        raise as_error([Problem(label, None, message)])
    return _read(root, label, folder or Path.cwd(), connector, environ, None)


def _not_found(file: Path) -> UsageError:
    try:
        others = sorted(p.name for p in file.parent.iterdir() if p.suffix in {".yaml", ".yml"})
    except OSError:
        others = []
    found = "is a directory" if file.is_dir() else "cannot be read" if file.exists() else "is not there"
    hint = f"manifests beside it: {', '.join(others[:20])}" if others else "`dpone init` writes one"
    return UsageError(
        f"{file} {found}{did_you_mean(file.name, others)}", code="manifest.not_found", hint=hint, file=str(file)
    )


def _read(
    root: Node,
    file: str,
    folder: Path,
    connector: Lookup,
    environ: Mapping[str, str] | None,
    path: Path | None,
) -> Manifest:
    connections = Connections(folder, os.environ if environ is None else environ)
    reading = Reading(file, folder, connector, connections)
    if not isinstance(root.value, dict):
        hint = "begin with `version: 1`, `name:`, `source:`, `sink:`, `strategy:`"
        raise as_error([Problem(file, root.mark, "expected a mapping", hint=hint)])
    name = _head(reading, root)
    if "streams" in root.entries or "defaults" in root.entries:
        found, parallel = _many(reading, root)
    else:
        found, parallel = [read_stream(reading, without(root, _HEAD), name or "-")], 1
    if reading.problems or name is None:
        raise as_error(reading.problems)
    return Manifest(
        name=name,
        streams=tuple(s for s in found if isinstance(s, Stream)),
        wildcards=tuple(s for s in found if isinstance(s, Wildcard)),
        parallel=parallel,
        path=path,
    )


_NAME = TypeAdapter(PipelineName)


def _head(reading: Reading, root: Node) -> str | None:
    """The name, after the version has been looked at."""
    version = root.get("version")
    if version is None:
        reading.miss(root, "version", "", f"write `version: {VERSION}`")
    elif version.value != VERSION or isinstance(version.value, bool):
        reading.complain(version, f"version: this dpone reads version {VERSION}", "version")
    name = root.get("name")
    if name is None:
        reading.miss(root, "name", "", "the name under which positions are stored")
        return None
    try:
        return _NAME.validate_python(name.value)
    except ValidationError as error:
        (first,) = error.errors()[:1]
        says = first.get("ctx", {}).get("sentence", "expected text; quote it if it is a number")
        reading.complain(name, f"name: {says}", "name")
    return None


def _many(reading: Reading, root: Node) -> tuple[list[Stream | Wildcard | None], int]:
    """The streams of a list, each laid over the defaults."""

    def belongs(key: str) -> str | None:
        return "in a file with `streams:` it belongs under `defaults:` or a stream" if key in STREAM_KEYS else None

    meant = reading.refuse_unknown(root, (*_HEAD, *_MANY), belongs=belongs)
    defaults = root.get("defaults") or Node({}, root.mark)
    if not isinstance(defaults.value, dict):
        reading.complain(defaults, "defaults: expected a mapping", "defaults")
        defaults = Node({}, root.mark)
    if "name" in defaults.entries:
        reading.complain(defaults.entries["name"].node, "defaults.name: each stream has its own name", "defaults.name")
    astray = {
        key: entry for key, entry in root.entries.items() if key in STREAM_KEYS
    }  # said already: read on with them
    defaults = Node({**astray, **defaults.entries}, defaults.mark)
    listed = root.get("streams")
    if listed is None:
        if "streams" not in meant:
            reading.miss(root, "streams", "")
        return [], 1
    if not listed.items:
        reading.complain(listed, "streams: expected a list of streams", "streams")
    if len(listed.items) > MAX_STREAMS:
        reading.complain(listed, f"streams: more than {MAX_STREAMS}", "streams")
        return [], 1
    found: list[tuple[Stream | Wildcard | None, Mark | None]] = []
    for number, item in enumerate(listed.items):
        if isinstance(item.value, dict):
            own = overlay(without(defaults, ["name"]), item)
            found.append((read_stream(reading, own, None, extra=_OWN), item.mark))
        else:
            reading.complain(item, f"streams[{number}]: expected a mapping", f"streams[{number}]")
    streams = [(s, mark) for s, mark in found if isinstance(s, Stream)]
    for number, message in clashes([s for s, _ in streams]):
        hint = "give one of them another `name` or another target"
        reading.problems.append(Problem(reading.file, streams[number][1], message, path="streams", hint=hint))
    return [s for s, _ in found], _parallel(reading, root)


def _parallel(reading: Reading, root: Node) -> int:
    parallel = root.get("parallel")
    if parallel is None:
        return 1
    if isinstance(parallel.value, int) and not isinstance(parallel.value, bool) and 1 <= parallel.value <= MAX_PARALLEL:
        return parallel.value
    reading.complain(parallel, f"parallel: expected a number from 1 to {MAX_PARALLEL}", "parallel")
    return 1
