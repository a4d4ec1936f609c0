"""docs/reference/blockers.md says of every blocker what the code says, and of no other, with an action each."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def made() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / ".ci" / "blockers_page.py"))


def test_the_page_is_what_the_code_says() -> None:
    page = made()
    assert page["PAGE"].read_text(encoding="utf-8") == page["page"](), "run `python .ci/blockers_page.py`"


def test_every_blocker_has_an_anchor_a_sentence_and_an_action() -> None:
    for code, entry in made()["entries"]().items():
        assert entry.messages, code
        assert entry.actions, code


def test_the_blockers_of_the_specification_are_there() -> None:
    anchors = set(re.findall(r"\{: #(\S+) \}", (ROOT / "docs/reference/blockers.md").read_text(encoding="utf-8")))
    assert {
        "certification_report.not_passed",
        "certification_report.coverage_missing",
        "certification_report.connector_missing",
        "certification_report.fidelity_below",
        "benchmark_baseline.missing",
        "benchmark_baseline.not_passed",
        "lineage_report.missing",
        "dbt_lineage_report.not_passed",
        "strategy_certification_bundle.missing",
        "strategy_certification_bundle.not_passed",
        "evidence_bundle.not_passed",
        "replay.missing",
        "matrix.not_passed",
        "replay_evidence_chain.not_verified",
        "matrix_certification_suite.missing",
        "connector_certification_suite.not_passed",
    } <= anchors
