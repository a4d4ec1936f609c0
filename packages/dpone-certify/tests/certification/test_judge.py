"""A report is judged by its results, whatever it says of itself."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from certification.reports import MATRIX, report_of, result_of
from dpone_certify.certification.document import CertificationReport, Check, Ends, Result, Selection
from dpone_certify.certification.judge import blockers_of, case_blocker, missing_connectors
from dpone_certify.documents.canonical import parse
from dpone_certify.documents.document import Blocker

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


AGAIN = "produce the report again with `dpone ops certification-run`; do not change it by hand"
ARTIFACT = f"look at {FIRST.id}__behavior.json; dpone ops certification-run --case-id {FIRST.id}"
OTHER = MATRIX.cases[1].strategy
BAD = (
    Check(name="position", state="failed"),
    Check(name="guide", state="stale"),
    Check(name="cut_off", state="error"),
)


@pytest.mark.parametrize(
    "report, code, message, action",
    [
        (
            report_of(*GOOD[1:]),
            f"coverage_missing:{FIRST.id}",
            f"{FIRST.id} is not in the report",
            f"dpone ops certification-run --case-id {FIRST.id}",
        ),
        (report_of(*GOOD, GOOD[0], GOOD[0]), f"duplicate_case:{FIRST.id}", f"{FIRST.id} is there 3 times", AGAIN),
        (
            report_of(*GOOD, result_of(FIRST, case_id="a_to_b__c")),
            "unknown_case:a_to_b__c",
            "a_to_b__c is no case of the matrix",
            AGAIN,
        ),
        (
            report_of(results=(), case_count=0, executed_count=0, selection=Selection(source="nothing")),
            "empty",
            "it holds no case",
            "choose cases that the matrix has",
        ),
        (
            report_of(case_count=200),
            "count_differs:case_count",
            f"case_count says 200, there are {len(GOOD)}",
            AGAIN,
        ),
        (
            report_of(executed_count=1),
            "count_differs:executed_count",
            f"executed_count says 1, there are {len(GOOD)}",
            AGAIN,
        ),
        (
            report_of(contract_count=1),
            "count_differs:contract_count",
            "contract_count says 1, there are 0",
            AGAIN,
        ),
        (
            report_of(registry_digest="b" * 64),
            "registry_differs",
            "it speaks of another matrix: bbbbbbbbbbbb",
            AGAIN,
        ),
        *(
            (
                report_of(*replaced(**wrong)),
                f"invalid:{FIRST.id}",
                "its ends or its strategy are not those of its id",
                AGAIN,
            )
            for wrong in ({"source": "a"}, {"sink": "a"}, {"strategy": OTHER})
        ),
        *(
            (report_of(*replaced(**wrong)), f"case_not_passed:{FIRST.id}", why, ARTIFACT)
            for wrong, why in (
                ({"state": "failed"}, "its state is failed"),
                ({"passed": False}, "it says that it did not pass"),
                ({"checks": ()}, "nothing was checked"),
                (
                    {"checks": (*BAD, Check(name="first_load", state="passed"))},
                    "position, guide, cut_off did not pass",
                ),
                ({"actual_row_count": 9}, "rows differ"),
                ({"expected_checksum": "b" * 64}, "checksums differ"),
                ({"expected_checksum": None, "actual_checksum": None}, "nothing was compared"),
                (
                    {"blockers": (Blocker(code="a.b", message="it broke", action="c"),)},
                    "it broke",
                ),
                ({"state": "error", "passed": False}, "its state is error; it says that it did not pass"),
            )
        ),
    ],
)
def test_whatever_is_wrong_is_told_in_its_words(
    report: CertificationReport, code: str, message: str, action: str
) -> None:
    first, *found = blockers_of(report, MATRIX)
    assert (first.code, first.message, first.action) == (
        "certification_report.not_passed",
        "it says that it passed, its results say otherwise",
        AGAIN,
    )
    assert [(b.code, b.message, b.action) for b in found] == [(f"certification_report.{code}", message, action)]
    assert blockers_of(report.model_copy(update={"passed": False}), MATRIX) == tuple(found)


def test_what_the_report_itself_says_of_connectors_is_kept_and_nothing_else() -> None:
    missing, other = (
        Blocker(code=f"certification_report.{code}", message="m", action="a")
        for code in ("connector_missing:kafka", "case_not_passed:x")
    )
    assert blockers_of(report_of(passed=False, blockers=(missing, other)), MATRIX) == (missing,)


def test_cases_by_contract_are_not_executed() -> None:
    contract = result_of(FIRST, fidelity=Ends(source="real", sink="contract"))
    report = report_of(contract, *GOOD[1:], executed_count=len(GOOD) - 1, contract_count=1)
    assert blockers_of(report, MATRIX) == ()


def test_only_the_selected_cases_have_to_be_there() -> None:
    report = report_of(GOOD[0], selection=Selection(case_id=FIRST.id))
    assert blockers_of(report, MATRIX) == ()


def test_a_report_speaks_of_the_whole_matrix_unless_another_is_named() -> None:
    found = blockers_of(report_of())
    assert f"certification_report.unknown_case:{FIRST.id}" in {b.code for b in found}


def test_a_check_cannot_pass_over_what_differs() -> None:
    with pytest.raises(ValidationError, match="not what was expected"):
        Check(name="first_load", state="passed", expected_row_count=1, actual_row_count=2)


def test_a_connector_that_is_not_installed_is_named() -> None:
    assert list(missing_connectors(["postgres", "kafka"], {"postgres"})) == [
        Blocker(
            code="certification_report.connector_missing:kafka",
            message="the connector kafka is not installed",
            action="pip install dpone-connectors-kafka",
        )
    ]


def test_what_a_run_finds_wrong_with_a_case_names_it() -> None:
    assert case_blocker("a_to_b__c", "error", "it broke", "look") == Blocker(
        code="certification_report.error:a_to_b__c", message="it broke", action="look"
    )
