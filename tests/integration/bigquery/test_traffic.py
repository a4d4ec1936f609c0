"""What the client sends for each strategy, compared with what was reviewed, and with what Google publishes of it.

The description of the interface comes with the package google-api-python-client; the statements are read by a grammar
of BigQuery that has nothing to do with the emulator's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dpone.strategies import STRATEGIES
from dpone.testing.suite.rig import SinkRig, rigged
from tests.integration.bigquery.traffic import GOLDEN, Recording, recorded

# What sqlfluff's grammar does not know, and the documentation does.
UNKNOWN_TO_SQLFLUFF = re.compile(r"CALL BQ\.ABORT_SESSION\('[^']*'\)")


@pytest.fixture(scope="module")
def traffic() -> Iterator[Mapping[str, Recording]]:
    with rigged("bigquery", "emulated") as rig:
        sink = SinkRig(rig.spec, rig.kit, rig.endpoint)
        yield {strategy: recorded(sink, strategy) for strategy in STRATEGIES}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_strategy_sends_what_was_reviewed(traffic: Mapping[str, Recording], strategy: str) -> None:
    golden = (GOLDEN / f"{strategy}.txt").read_text(encoding="utf-8")
    assert traffic[strategy].print() == golden, "review the change: python -m tests.integration.bigquery.traffic"


# --------------------------------------------------------------------- the interface


def _schema(part: Mapping[str, Any]) -> dict[str, Any]:
    """A schema of a discovery document as JSON Schema, strict about names of fields."""
    if "$ref" in part:
        return {"$ref": f"#/$defs/{part['$ref']}"}
    if part.get("type") == "array":
        return {"type": "array", "items": _schema(part["items"])}
    if "properties" in part:
        fields = {name: _schema(field) for name, field in part["properties"].items()}
        return {"type": "object", "properties": fields, "additionalProperties": False}
    if "additionalProperties" in part:
        return {"type": "object", "additionalProperties": _schema(part["additionalProperties"])}
    if part.get("format") in {"int64", "uint64"}:
        return {"type": ["string", "integer"]}  # both are JSON for one
    kind = part.get("type", "any")
    return {} if kind in {"any", "object"} else {"type": kind}


@pytest.fixture(scope="module")
def published() -> Mapping[str, Draft202012Validator]:
    found = files("googleapiclient.discovery_cache.documents").joinpath("bigquery.v2.json").read_text("utf-8")
    schemas = json.loads(found)["schemas"]
    definitions = {name: _schema(part) for name, part in schemas.items()}
    return {name: Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": definitions}) for name in ("Job", "Table")}


def test_jobs_and_tables_are_what_google_publishes(
    traffic: Mapping[str, Recording], published: Mapping[str, Draft202012Validator]
) -> None:
    """What is sent, and what the emulator answers."""
    checked = 0
    for strategy, recording in traffic.items():
        for one in recording.requests:
            kind = "Job" if re.search(r"/jobs(\?|$|/[^/]+$)", one.path) else None
            kind = "Table" if re.search(r"/tables(/[^/]+)?$", one.path) else kind
            sent = one.body if one.method in {"POST", "PATCH"} else None
            is_answered = one.answer and "error" not in one.answer and "tables" not in one.answer
            for body in (sent, one.answer if is_answered else None):
                if kind is not None and body:
                    errors = [f"{list(e.path)}: {e.message}" for e in published[kind].iter_errors(body)]
                    assert errors == [], f"{strategy}: {one.method} {one.path}"
                    checked += 1
    assert checked > 500


def test_the_check_knows_a_field_that_is_not_there(published: Mapping[str, Draft202012Validator]) -> None:
    assert not published["Job"].is_valid({"configuration": {"query": {"sql": "SELECT 1"}}})
    assert not published["Table"].is_valid({"clustering": ["a"]})


# ------------------------------------------------------------------------ the grammar


def test_every_statement_is_read_by_a_second_grammar(traffic: Mapping[str, Recording]) -> None:
    from sqlfluff.core import FluffConfig, Linter

    linter = Linter(config=FluffConfig(overrides={"dialect": "bigquery"}))
    shapes: dict[str, str] = {}
    for recording in traffic.values():
        for one in recording.requests:
            if one.statement:  # one of each shape: they differ in names alone
                shape = re.sub(r"`[^`]*`|'[^']*'", "x", one.statement)
                shapes.setdefault(re.sub(r"\d+", "0", shape), one.statement)
    assert len(shapes) > 40
    unread = []
    for statement in shapes.values():
        parsed = linter.parse_string(statement)
        if UNKNOWN_TO_SQLFLUFF.fullmatch(statement):
            continue
        if parsed.violations or "unparsable" in parsed.tree.type_set():
            unread.append(statement[:200])
    assert unread == []
