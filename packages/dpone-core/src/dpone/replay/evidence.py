"""The evidence of a replay: what `dpone resume` and `dpone resync` did, in order, and what was checked.

A document that claims to have passed and does not hold together is not a document: it is refused when it is read.
`python -m dpone.replay.evidence docs/reference/schemas/replay_evidence.schema.json` publishes its schema.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from dpone.evidence.canonical import canonical
from dpone.evidence.document import Document, Part

SCHEMA_VERSION: Literal["dpone.replay.evidence.v1"] = "dpone.replay.evidence.v1"

Name = Literal["validate_staging", "finalise", "reconcile", "commit_state"]
ORDER: tuple[Name, ...] = ("validate_staging", "finalise", "reconcile", "commit_state")  # of each load, by law


class Operation(Part):
    """A step of one load. `planned` was not carried out, `rehearsed` was and was taken back, `done` stands."""

    stream: str
    load_id: str
    name: Name
    status: Literal["planned", "rehearsed", "done", "failed"]
    detail: str
    statements: tuple[str, ...] = ()


class RowCountCheck(Part):
    """Rows that must be there and rows that are."""

    stream: str
    name: str
    expected: int
    actual: int
    passed: bool

    @model_validator(mode="after")
    def _says_what_it_counted(self) -> Self:
        if self.passed != (self.expected == self.actual):
            raise ValueError(f"{self.name}: expected {self.expected}, actual {self.actual}, passed {self.passed}")
        return self


class StatusCheck(Part):
    """What must hold of record, ledger, lease and position, and what was found."""

    stream: str
    name: str
    expected: str
    actual: str
    passed: bool

    @model_validator(mode="after")
    def _says_what_it_found(self) -> Self:
        if self.passed != (self.expected == self.actual):
            raise ValueError(f"{self.name}: expected {self.expected}, actual {self.actual}, passed {self.passed}")
        return self


class Effect(Part):
    """What it does to the rows of the target; null where nothing but doing it would tell."""

    stream: str
    rows_staged: int | None
    inserted: int | None
    updated: int | None
    deleted: int | None
    rows_before: int | None
    rows_after: int | None


class ReplayEvidence(Document):
    """A replay, planned or carried out. It passes when it was carried out, in order, and every check did."""

    schema_version: Literal["dpone.replay.evidence.v1"] = SCHEMA_VERSION
    action: Literal["resume", "resync"]
    mode: Literal["plan", "execute"]
    run_id: str
    manifest: str
    source: str
    sink: str
    target: str
    strategy: str
    scope: str
    plan_digests: tuple[str, ...]
    operations: tuple[Operation, ...]
    row_count_checks: tuple[RowCountCheck, ...]
    status_checks: tuple[StatusCheck, ...]
    effects: tuple[Effect, ...]
    reproduction_command: str
    seconds: float

    @model_validator(mode="after")
    def _passes_by_its_own_account(self) -> Self:
        if self.passed and (why := objections(self)):
            raise ValueError("; ".join(why))
        if not self.passed and not self.blockers:
            raise ValueError("what does not pass says why")
        return self


def objections(evidence: ReplayEvidence) -> list[str]:
    """Why the document must not pass, by what it says itself; empty when it may."""
    found = []
    if evidence.mode != "execute":
        found.append("it was planned and not carried out")
    if undone := [o for o in evidence.operations if o.status != "done"]:
        found.append(f"{undone[0].name} of {undone[0].stream} is {undone[0].status}")
    if not is_in_order(evidence.operations):
        found.append("its operations are not in the order that the law demands")
    if not evidence.status_checks:
        found.append("nothing was checked")
    if evidence.operations and not evidence.row_count_checks:
        found.append("no rows were counted")
    red = [c.name for c in evidence.row_count_checks if not c.passed]
    red += [c.name for c in evidence.status_checks if not c.passed]
    return found + [f"{name} did not hold" for name in red]


def is_in_order(operations: tuple[Operation, ...]) -> bool:
    """Each load validates its stage, finalises, reconciles and commits, each once and in this order."""
    loads: dict[tuple[str, str], list[Name]] = {}
    for operation in operations:
        loads.setdefault((operation.stream, operation.load_id), []).append(operation.name)
    return all(tuple(names) == ORDER for names in loads.values())


def print_schema() -> str:
    """The JSON Schema of the document, as it is published."""
    found = ReplayEvidence.model_json_schema(mode="serialization")
    return canonical({"$schema": "https://json-schema.org/draft/2020-12/schema", **found})


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(print_schema(), encoding="utf-8")
