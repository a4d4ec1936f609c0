"""A report is judged by its results, whatever it says of itself."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from certification.reports import MATRIX, report_of, result_of
from dpone_certify.certification.document import CertificationReport, Check, Result
from dpone_certify.certification.judge import blockers_of, missing_connectors
from dpone_certify.documents.canonical import parse

GOOD = tuple(map(result_of, MATRIX.cases))
FIRST = MATRIX.cases[0]


def codes(report: CertificationReport) -> set[str]:
    return {b.code.removeprefix("certification_report.").partition(":")[0] for b in blockers_of(report, MATRIX)}


def replaced(**more: Any) -> tuple[Result, ...]:
    return (result_of(FIRST, **more), *GOOD[1:])


def test_a_sound_report_has_no_blocker_and_reads_back() -> None:
    report = report_of()
    assert blockers_of(report, MATRIX) == ()
    assert CertificationReport.model_validate(parse(report.to_json().encode())) == report


@pytest.mark.parametrize(
    "report, code",
    [
        (report_of(*GOOD[1:]), "coverage_missing"),
        (report_of(*GOOD, GOOD[0]), "duplicate_case"),
        (report_of(*GOOD[1:], result_of(FIRST, case_id="a_to_b__replace")), "unknown_case"),
        (report_of(results=(), case_count=0, executed_count=0), "empty"),
        (report_of(case_count=200), "count_differs"),
        (report_of(executed_count=1), "count_differs"),
        (report_of(contract_count=1), "count_differs"),
        (report_of(registry_digest="b" * 64), "registry_differs"),
        (report_of(*replaced(state="failed")), "case_not_passed"),
        (report_of(*replaced(state="skipped", reason="no time")), "case_not_passed"),
        (report_of(*replaced(passed=False)), "case_not_passed"),
        (report_of(*replaced(checks=())), "case_not_passed"),
        (report_of(*replaced(checks=(Check(name="position", state="failed"),))), "case_not_passed"),
        (report_of(*replaced(actual_row_count=9)), "case_not_passed"),
        (report_of(*replaced(actual_checksum="b" * 64)), "case_not_passed"),
        (report_of(*replaced(expected_checksum=None, actual_checksum=None)), "case_not_passed"),
        (report_of(*replaced(strategy="replace", source="memory")), "invalid"),
    ],
)
def test_whatever_is_wrong_has_a_name(report: CertificationReport, code: str) -> None:
    assert code in codes(report)
    assert "not_passed" in codes(report), "it says that it passed"


def test_a_check_cannot_pass_over_what_differs() -> None:
    with pytest.raises(ValidationError, match="not what was expected"):
        Check(name="first_load", state="passed", expected_row_count=1, actual_row_count=2)


def test_a_connector_that_is_not_installed_is_named() -> None:
    (found,) = missing_connectors(["postgres", "kafka"], {"postgres"})
    assert found.code == "certification_report.connector_missing:kafka"
    assert "dpone-connectors-kafka" in found.action
