"""The document of a comparison is the one that is published."""

from __future__ import annotations

from pathlib import Path

from dpone.diff.report import Both, DiffReport, Range, StreamDiff, print_schema
from dpone.evidence.document import now
from dpone.evidence.subject import subject

PUBLISHED = Path(__file__).parents[4] / "docs/reference/schemas/diff.schema.json"


def test_a_null_and_an_empty_table_are_spelled_as_a_person_would() -> None:
    stream = StreamDiff(
        name="orders",
        strategy="full_refresh",
        source="here",
        sink="there",
        comparable="all",
        method="checksums",
        columns=("id", "v"),
        key=("id", "v"),
        rows=Both(source=0, target=1),
        rows_fetched=Both(source=0, target=1),
        bytes_fetched=Both(source=0, target=1),
        key_range=Range(column="id", source=(None, None), target=(1, 7)),
        extra=({"id": 1, "v": None},),
        equal=False,
        seconds=0.1,
    )
    report = DiffReport(
        created_at=now(),
        producer="a test",
        subject=subject(),
        passed=False,
        blockers=(),
        manifest="orders.yaml",
        streams=(stream,),
    )
    text = report.to_text()
    assert "nothing at the source, 1..7 in the target" in text
    assert "id=1, v=NULL" in text
    assert "None" not in text


def test_the_published_schema_is_that_of_the_code() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == print_schema()
