"""Whatever becomes of a manifest on its way, the answer is a manifest or an error of ours, and soon."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from dpone.connector import Connector
from dpone.errors import DponeError
from dpone.manifest import Manifest, load, parse
from dpone.manifest.document import compose
from dpone.manifest.ends import Lookup
from dpone.manifest.schema import manifest_schema

TEXT = """\
# yaml-language-server: $schema=./dpone.schema.json
version: 1
name: shop
parallel: 2
defaults:
  source: {type: alpha, connection: shop, fetch_rows: 10}
  sink: {type: beta, connection: dwh, table: "raw.{table}", settings: {a: 1}}
  strategy:
    mode: incremental_merge
    key: &key [id]
    cursor: {column: updated_at, lag: 5m, late: overlap}
    deletes: {soft: gone}
streams:
  - source: {table: public.orders}
    checks: [{not_null: *key}, {min_rows: 1}, {freshness: {column: at, max_age: 2h}}]
    columns: [id, {name: amount, cast: "decimal(18,2)"}, {name: mail, hash: sha256}, "*"]
    where: [{column: a, op: in, value: [1, x]}, {column: b, op: ">=", value: 2026-01-01}]
  - source: {type: alpha, connection: {host: h, password: "${env:X}"}, table: 'public.t*'}
    strategy: {mode: backfill, column: at, bounds: {from: 2026-01-01, to: 2026-02-01}, chunk: 7 days}
    skip: ['tmp_*']
    limits: {memory: 1GiB, run_timeout: 2 h}
    on_type_loss: [a]
"""


@pytest.fixture(scope="module")
def schema(connectors: Mapping[str, Connector[Any]]) -> Draft202012Validator:
    return Draft202012Validator(manifest_schema(connectors.values()))


TREE = compose(TEXT.encode(), "fuzz.yaml")
PATHS = [path for path, _ in TREE.walk() if path]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PIECES = """\
* ? {table} { } ${env:X} ${ a.b .. shop alpha beta full_refresh 5m -1 0 true null ~ &a *a << !!binary [ {a: 1e400 | >
- --- %YAML \\ " ' ,"""
WORDS = st.sampled_from([*PIECES.split(" "), "!!binary x", ": ", " #", "\t", "\x00", "\u2028", "\n", "\r", "\ud800"])


def outcome(call: Callable[[], Manifest]) -> Manifest | DponeError:
    """A manifest, or an error that names a file and a code; anything else fails the test."""
    try:
        found: Manifest | DponeError = call()
    except DponeError as error:
        found = error
    if isinstance(found, DponeError):
        assert found.message
        assert found.code.partition(".")[0] in {"manifest", "connection", "secret", "package"}
        assert found.exit_code == 2
    return found


def loaded(project: Path, text: str, lookup: Lookup, environ: dict[str, str]) -> Manifest | DponeError:
    (project / "fuzz.yaml").write_bytes(text.encode(errors="surrogatepass"))
    return outcome(lambda: load(project / "fuzz.yaml", lookup, environ=environ))


def test_the_text_that_is_mutated_is_good(project: Path, lookup: Lookup) -> None:
    assert isinstance(loaded(project, TEXT, lookup, {}), Manifest)


@given(data=st.data())
def test_exchanged_characters(data: st.DataObject, project: Path, lookup: Lookup) -> None:
    text = TEXT
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 6))
        text = text[:at] + data.draw(WORDS | st.text(max_size=3)) + text[at + cut :]
    loaded(project, text, lookup, {})


@given(data=st.data())
def test_exchanged_lines(data: st.DataObject, project: Path, lookup: Lookup) -> None:
    lines = TEXT.splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        one, other = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        action = data.draw(st.sampled_from(["drop", "double", "swap", "indent"]))
        if action == "drop" and len(lines) > 1:
            del lines[one]
            continue
        match action:
            case "double":
                lines.insert(other, lines[one])
            case "swap":
                lines[one], lines[other] = lines[other], lines[one]
            case _:
                lines[one] = "  " + lines[one]
    loaded(project, "\n".join(lines), lookup, {})


@given(data=st.data())
def test_exchanged_values(data: st.DataObject, project: Path, lookup: Lookup, schema: Draft202012Validator) -> None:
    tree = deepcopy(TREE.plain())
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(PATHS))
        parent: Any = tree
        for part in path[:-1]:
            inside = isinstance(parent, dict | list) and (
                part in parent if isinstance(parent, dict) else part in range(len(parent))
            )
            parent = parent[part] if inside else None
        if isinstance(parent, dict):
            match data.draw(st.sampled_from(["set", "drop", "rename"])):
                case "set":
                    parent[path[-1]] = data.draw(JSON | WORDS)
                case "drop":
                    parent.pop(path[-1], None)
                case _:
                    parent[data.draw(WORDS | st.text(max_size=5))] = parent.pop(path[-1], 1)
        elif isinstance(parent, list) and parent:
            parent[data.draw(st.integers(0, len(parent) - 1))] = data.draw(JSON | WORDS)
    if isinstance(outcome(lambda: parse(tree, lookup, folder=project, environ={})), Manifest):
        assert [e.message for e in schema.iter_errors(tree)] == []  # an editor marks nothing that works


@given(
    tree=st.dictionaries(
        st.sampled_from(["version", "name", "source", "sink", "strategy", "streams", "defaults"]), JSON
    )
)
def test_any_data(project: Path, lookup: Lookup, tree: dict[str, Any]) -> None:
    outcome(lambda: parse(tree, lookup, folder=project, environ={}))


@given(data=st.data())
def test_a_mutated_connections_file(data: st.DataObject, tmp_path_factory: Any, lookup: Lookup) -> None:
    folder = tmp_path_factory.getbasetemp() / "fuzzed"
    folder.mkdir(exist_ok=True)
    text = "shop: {type: alpha, host: h, port: 1, password: c4n4ry}\ndwh: beta://p/d?token=c4n4ry\n"
    at, cut = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 6))
    kept = text[:at] + data.draw(WORDS | st.text(max_size=3)) + text[at + cut :]
    (folder / "connections.yml").write_bytes(kept.encode(errors="surrogatepass"))
    found = loaded(folder, TEXT, lookup, {"HOME": "/nowhere"})
    said = f"{found!r}{found}{getattr(found, 'hint', '')}{getattr(found, 'context', '')}"
    assert "c4n4ry" not in said
