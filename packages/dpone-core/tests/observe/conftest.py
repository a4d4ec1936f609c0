"""The published schemas that lineage is held against."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

SPEC = Path(__file__).parent / "openlineage_spec"
Event = dict[str, Any]


def _registry() -> Registry[Any]:
    contents = [json.loads(path.read_text(encoding="utf-8")) for path in SPEC.glob("*.json")]
    return Registry().with_resources((content["$id"], Resource.from_contents(content)) for content in contents)


def _facets(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "_schemaURL" in value:
            yield value
        for item in value.values():
            yield from _facets(item)
    elif isinstance(value, list):
        for item in value:
            yield from _facets(item)


def checker() -> Callable[[Event], int]:
    """Raises unless the event, and each facet in it, follows the published schema that it names; counts the facets."""
    registry = _registry()

    def check(event: Event) -> int:
        Draft202012Validator({"$ref": event["schemaURL"]}, registry=registry).validate(event)
        UUID(event["run"]["runId"])
        assert datetime.fromisoformat(event["eventTime"]).tzinfo is not None
        found = list(_facets(event))
        for facet in found:
            Draft202012Validator({"$ref": facet["_schemaURL"]}, registry=registry).validate(facet)
        return len(found)

    return check


@pytest.fixture(scope="session")
def refuse_invalid() -> Callable[[Event], int]:
    return checker()
