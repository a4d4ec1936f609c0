"""The published schemas are those of the models, and what the commands write follows them."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dpone_certify.schemas import file_of, published
from evidence.conftest import World, run, summary

FOLDER = Path(__file__).parents[4] / "docs/reference/schemas"


@pytest.mark.parametrize("file, text", [pytest.param(*each, id=each[0]) for each in published()])
def test_the_published_schema_is_that_of_the_model(file: str, text: str) -> None:
    again = "run `python -m dpone_certify.schemas docs/reference/schemas`"
    assert (FOLDER / file).read_text(encoding="utf-8") == text, again
    Draft202012Validator.check_schema(json.loads(text))


@functools.cache
def validator(schema_version: str) -> Draft202012Validator:
    schema: Any = json.loads((FOLDER / file_of(schema_version)).read_text(encoding="utf-8"))
    return Draft202012Validator(schema)


def test_every_document_of_a_release_follows_its_schema(world: World) -> None:
    assert run(*summary("--public-key", str(world.public))) == 0
    seen = set()
    for path in [*world.folder.rglob("test_artifacts/**/*.json"), *world.folder.rglob(".dpone/**/*.json")]:
        document = json.loads(path.read_text(encoding="utf-8"))
        said = document.get("schema_version") if isinstance(document, dict) else None
        if said is None or said == "dpone.run_report.v1":
            continue
        errors = [e.message for e in validator(said).iter_errors(document)]
        assert not errors, (path.name, errors[:2])
        seen.add(said)
    assert {"dpone.release_summary.v1", "dpone.certification_suite.v1", "dpone.evidence_chain.v1"} <= seen
    assert len(seen) >= 16, seen
