"""The judges over what the producers really write: two cases of the matrix, run, signed, judged, and then forged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dpone.testing.shop import Dpone
from evidence.conftest import make_pair, run
from evidence.forging import edit, put

CASES = ("postgres_to_clickhouse__scd2", "kafka_to_kafka__replace")
REPORT = "current/certification_report.json"


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory, connectors: None) -> Path:
    folder = tmp_path_factory.mktemp("certified")
    private, _ = make_pair(folder, "ours")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        code = run(
            *("ops", "certification-run", "--artifact-dir", "current", "--case-id", ",".join(CASES)),
            *("--row-count", "200", "--workers", "1", "--signing-key", str(private)),
        )
    assert code == 0
    return folder


@pytest.fixture
def here(certified: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(certified, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def judge(call: Dpone, *more: str) -> tuple[int, list[str]]:
    words = ("--certification-report", REPORT, "--public-key", "ours.pub", "--output-dir", "suite", "--format", "json")
    answer = call("ops", "certification-suite", *words, *more)
    return answer.code, [b["code"] for b in json.loads(answer.out)["blockers"]]


def test_what_was_run_and_signed_holds_in_its_scope(here: Path, call: Dpone) -> None:
    assert judge(call, "--scope", ",".join(CASES)) == (0, [])
    page = (here / "current/certification_report.html").read_text()
    assert all(case in page for case in CASES)


def test_two_cases_are_no_matrix(here: Path, call: Dpone) -> None:
    code, found = judge(call)
    assert code == 1
    assert f"certification_report.coverage_missing:{CASES[0].replace('scd2', 'replace')}" in found
    assert "certification_report.connector_missing:bigquery" in found


def test_a_changed_artifact_of_a_case_is_seen(here: Path, call: Dpone) -> None:
    edit(here / f"current/{CASES[0]}__behavior.json", put(7, "result", "actual_row_count"))
    code, found = judge(call, "--scope", ",".join(CASES))
    assert code == 1
    assert found in (["certification_report.not_passed"], [f"certification_report.artifact_differs:{CASES[0]}"])


def test_a_changed_report_is_seen(here: Path, call: Dpone) -> None:
    edit(here / REPORT, put("real", "results", 0, "fidelity", "source"))
    code, found = judge(call, "--scope", ",".join(CASES))
    assert code == 1
    assert "certification_report.unsigned" in found
