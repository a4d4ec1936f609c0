from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from dpone.evidence.document import Subject
from dpone.replay.evidence import ORDER, SCHEMA_VERSION, ReplayEvidence, print_schema
from dpone.replay.markdown import to_markdown

PUBLISHED = Path(__file__).parents[4] / "docs/reference/schemas/replay_evidence.schema.json"


def evidence(**changes: Any) -> dict[str, Any]:
    """A document that passes, with these changes."""
    operations: list[dict[str, Any]] = [
        {"stream": "orders", "load_id": "r1.orders", "name": name, "status": "done", "detail": "", "statements": []}
        for name in ORDER
    ]
    check = {"stream": "orders", "name": "rows after", "expected": 3, "actual": 3, "passed": True}
    found: dict[str, Any] = {
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        "producer": "dpone 1",
        "subject": Subject(distributions={}).model_dump(),
        "passed": True,
        "blockers": [],
        "action": "resync",
        "mode": "execute",
        "run_id": "01",
        "manifest": "orders.yaml",
        "source": "shop",
        "sink": "dwh",
        "target": "raw.orders",
        "strategy": "incremental_merge",
        "scope": "the whole table",
        "plan_digests": ["0"],
        "operations": operations,
        "row_count_checks": [check],
        "status_checks": [{**check, "expected": "yes", "actual": "yes"}],
        "effects": [],
        "reproduction_command": "dpone resync orders.yaml --all --yes",
        "seconds": 0.5,
    }
    return {**found, **changes}


BLOCKER = {"code": "replay.not_executed", "message": "a plan", "action": "add --yes"}


def test_a_document_that_holds_together_is_read_again_as_it_was_written() -> None:
    found = ReplayEvidence.model_validate(evidence())
    again = ReplayEvidence.model_validate_json(found.to_json())
    assert again == found
    assert json.loads(found.to_json())["schema_version"] == SCHEMA_VERSION


def test_the_published_schema_is_that_of_the_model_and_documents_follow_it() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == print_schema()
    validator = Draft202012Validator(json.loads(print_schema()))
    validator.validate(json.loads(ReplayEvidence.model_validate(evidence()).to_json()))
    assert not validator.is_valid({"schema_version": SCHEMA_VERSION})


def without(name: str) -> list[dict[str, Any]]:
    return [o for o in evidence()["operations"] if o["name"] != name]


FORGED = {
    "a plan that passes": {"mode": "plan"},
    "a blocker beside it": {"blockers": [BLOCKER]},
    "reconciled after the commit": {"operations": [evidence()["operations"][i] for i in (0, 1, 3, 2)]},
    "not reconciled": {"operations": without("reconcile")},
    "an operation that was only planned": {
        "operations": [{**o, "status": "planned"} for o in evidence()["operations"]]
    },
    "no rows counted": {"row_count_checks": []},
    "nothing checked": {"status_checks": []},
    "a red check": {"row_count_checks": [{**evidence()["row_count_checks"][0], "actual": 1, "passed": False}]},
    "a check that contradicts itself": {"row_count_checks": [{**evidence()["row_count_checks"][0], "actual": 1}]},
    "no reason": {"passed": False},
    "another document": {"schema_version": "dpone.certification_suite.v1"},
}


@pytest.mark.parametrize("changes", FORGED.values(), ids=FORGED)
def test_a_document_that_contradicts_itself_is_none(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ReplayEvidence.model_validate(evidence(**changes))


def test_what_was_done_before_loads_of_their_own_began_needs_no_rows() -> None:
    """A run that turns out to be committed has nothing to do, and says what it looked at."""
    ReplayEvidence.model_validate(evidence(operations=[], row_count_checks=[]))


def test_the_page_says_what_the_document_says() -> None:
    page = to_markdown(ReplayEvidence.model_validate(evidence(passed=False, mode="plan", blockers=[BLOCKER])))
    for word in ("not passed", "replay.not\\_executed", "dpone resync orders.yaml --all --yes", "validate\\_staging"):
        assert word.replace("\\_", "_") in page.replace("\\_", "_")
