"""What became of a certification since the last one, what badges say, and what GitHub is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dpone.testing.shop import Answer, Dpone
from dpone_certify.certification.document import CertificationReport, Ends
from dpone_certify.documents.sarif import sarif_of
from dpone_certify.signing.envelope import write_signed
from evidence import made
from evidence.conftest import REPORT, World, full
from evidence.forging import edit, put

CASE = "postgres_to_postgres__full_refresh"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def remember(call: Dpone, release: str, report: CertificationReport) -> Answer:
    write_signed(Path("report.json"), report.to_json(), None)
    return call(
        *("ops", "certification-history", "--release-id", release, "--current-report", "report.json"),
        *("--history-dir", "history", "--format", "json"),
    )


def changed(**more: object) -> CertificationReport:
    return made.report(tuple(r.model_copy(update=more) if r.case_id == CASE else r for r in made.results()))


def test_what_broke_what_was_mended_and_what_stayed(call: Dpone) -> None:
    red = changed(state="failed", passed=False)
    assert remember(call, "v1", made.report()).code == 0
    broken = remember(call, "v2", red)
    found = json.loads(broken.out)
    assert (broken.code, found["regression"], found["previous_release_id"]) == (1, True, "v1")
    assert [b["code"] for b in found["blockers"]] == [f"certification_history.new_failure:{CASE}"]
    stayed = json.loads(remember(call, "v3", red).out)
    assert stayed["regression"] is False
    assert [c["case_id"] for c in stayed["unchanged_failures"]] == [CASE]
    mended = json.loads(remember(call, "v4", made.report()).out)
    assert [c["case_id"] for c in mended["fixed"]] == [CASE]
    assert mended["passed"] is True


def test_less_proof_and_fewer_cases_are_regressions(call: Dpone) -> None:
    assert remember(call, "v1", made.report()).code == 0
    weaker = remember(call, "v2", changed(fidelity=Ends(source="real", sink="contract")))
    assert [b["code"] for b in json.loads(weaker.out)["blockers"]] == [f"certification_history.weaker:{CASE}"]
    fewer = made.report(tuple(r for r in made.results() if r.case_id != CASE))
    gone = remember(call, "v3", fewer)
    assert [b["code"] for b in json.loads(gone.out)["blockers"]] == [f"certification_history.gone:{CASE}"]


def test_what_cannot_be_read_is_not_remembered(call: Dpone, tmp_path: Path) -> None:
    answer = call("ops", "certification-history", "--current-report", "absent.json", "--format", "json")
    assert answer.code == 1
    assert [b["code"] for b in json.loads(answer.out)["blockers"]] == ["certification_report.missing"]
    assert not list(tmp_path.rglob("*certification_history*"))


def test_a_release_is_remembered_once(call: Dpone) -> None:
    assert remember(call, "v1", made.report()).code == 0
    again = remember(call, "v1", changed(state="failed", passed=False))
    assert again.code == 1
    assert "evidence.id_used" in again.err


def test_a_badge_names_what_all_cases_of_its_pair_reach(call: Dpone, world: World) -> None:
    answer = call("ops", "connector-badges", "--certification-report", REPORT, "--output-dir", "badges")
    assert answer.code == 0, answer.out
    badge = json.loads((world / "badges/postgres_to_postgres.json").read_text())
    assert badge == {
        "schemaVersion": 1,
        "label": "postgres → postgres",
        "message": "10 strategies, real",
        "color": "brightgreen",
        "isError": False,
    }
    assert len(list((world / "badges").iterdir())) == 25


def test_no_badge_is_green_over_a_report_that_does_not_hold(call: Dpone, world: World) -> None:
    edit(world / REPORT, put(201, "case_count"))
    answer = call("ops", "connector-badges", "--certification-report", REPORT, "--output-dir", "badges")
    assert answer.code == 1
    colours = {json.loads(p.read_text())["color"] for p in (world / "badges").iterdir()}
    assert colours == {"red"}


def test_a_badge_under_a_key_needs_its_signature(call: Dpone, world: World) -> None:
    key = ("--public-key", str(world.public))
    assert call("ops", "connector-badges", "--certification-report", REPORT, *key).code == 0
    (world / f"{REPORT}.dsse").unlink()
    assert call("ops", "connector-badges", "--certification-report", REPORT, *key).code == 1


def test_the_job_summary_has_what_was_found(
    call: Dpone, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    assert call(*full()).code == 0
    assert call(*full("--suite-id", "again")).code == 0
    text = (tmp_path / "summary.md").read_text()
    assert text.count("# Certification suite") == 2


def test_sarif_has_a_result_for_each_blocker_and_a_rule_for_each_kind() -> None:
    blockers = (made.blocked("a"), made.blocked("b"))
    log = sarif_of(made.report(passed=False, blockers=blockers), Path("certification_report.json"))
    (found,) = log["runs"]
    assert log["version"] == "2.1.0"
    assert [r["id"] for r in found["tool"]["driver"]["rules"]] == ["certification_report.case_not_passed"]
    assert [r["partialFingerprints"]["blocker/v1"] for r in found["results"]] == [b.code for b in blockers]
    assert all(r["ruleIndex"] == 0 and r["level"] == "error" and r["message"]["text"] for r in found["results"])
    assert sarif_of(made.report(), Path("x"))["runs"][0]["results"] == []
