"""The document of a comparison is the one that is published."""

from __future__ import annotations

from pathlib import Path

from dpone.diff.report import print_schema

PUBLISHED = Path(__file__).parents[4] / "docs/reference/schemas/diff.schema.json"


def test_the_published_schema_is_that_of_the_code() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == print_schema()
