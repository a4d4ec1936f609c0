"""The JSON Schema of every document, as it is published: `python -m dpone_certify.schemas docs/reference/schemas`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpone_certify.automation.document import AutomationPlan
from dpone_certify.chain.documents import ArtifactIndex, ChainEntry, ChainIndex, ChainVerification
from dpone_certify.documents.canonical import canonical
from dpone_certify.documents.index import Index
from dpone_certify.evidence.kinds import KINDS
from dpone_certify.history.document import CertificationHistory
from dpone_certify.release.document import ReleaseSummary

if TYPE_CHECKING:
    from pydantic import BaseModel

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
# Core publishes these itself, or they are read here in part and written elsewhere.
_ELSEWHERE = {"dpone.replay.evidence.v1", "dpone.diff.v1", "dpone.run_report.v1"}


def models() -> dict[str, type[BaseModel]]:
    """Every document that this package writes, by its schema version."""
    found: dict[str, type[BaseModel]] = {name: kind.model for name, kind in KINDS.items() if name not in _ELSEWHERE}
    others: tuple[type[BaseModel], ...] = (
        *(ArtifactIndex, ChainEntry, ChainIndex, ChainVerification),
        *(Index, ReleaseSummary, AutomationPlan, CertificationHistory),
    )
    return found | {model.model_fields["schema_version"].default: model for model in others}


def file_of(schema_version: str) -> str:
    """`dpone.certification_report.v1` is published as certification_report.schema.json."""
    parts = schema_version.split(".")[1:-1]
    return f"{'_'.join(parts)}.schema.json"


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    return {"$schema": _DIALECT, **model.model_json_schema(mode="serialization")}


def published() -> Iterator[tuple[str, str]]:
    """Each file with its text."""
    for name, model in models().items():
        yield file_of(name), canonical(schema_of(model))


if __name__ == "__main__":
    for file, text in published():
        (Path(sys.argv[1]) / file).write_text(text, encoding="utf-8")
