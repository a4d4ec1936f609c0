"""What a suite demands of evidence beyond what each piece demands of itself, and the verdict over all of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dpone.integration_matrix import DEFAULT_INTEGRATION_MATRIX
from dpone_certify.baseline.document import Given, hold
from dpone_certify.certification.document import CertificationReport, Ends, Selection
from dpone_certify.documents.document import Blocker, now
from dpone_certify.evidence.judging import Policy
from dpone_certify.evidence.tree import Evidence, Flaw
from dpone_certify.suite.document import SCHEMAS
from dpone_certify.suite.evaluate import Asked, Judged, Verdict, evaluate, in_scope
from evidence import made

if TYPE_CHECKING:
    from pydantic import BaseModel

CASES = DEFAULT_INTEGRATION_MATRIX.cases
FIRST = CASES[0].id
HOME = "postgres_to_postgres__*"
NAMES = list(SCHEMAS)


def given(name: str, document: BaseModel) -> dict[str, Evidence]:
    return {name: Evidence(name, Path(f"{name}.json"), "a" * 64, {}, document)}


def reported(document: BaseModel) -> dict[str, Evidence]:
    return given("certification_report", document)


def part(scope: str, **more: Any) -> CertificationReport:
    """A report of the cases in this scope that claims nothing of others."""
    cases = in_scope(scope)
    return made.report(
        tuple(made.result(case) for case in cases),
        selection=Selection(case_id=",".join(case.id for case in cases)),
        **more,
    )


def judged(found: dict[str, Evidence], **asked: Any) -> list[tuple[str, str, str]]:
    """Code, message and action of each blocker."""
    blockers = evaluate(found, Asked(**asked), Policy(now())).blockers
    return [(b.code, b.message, b.action) for b in blockers]


def score(survivors: int, least: float) -> list[tuple[str, str, str]]:
    found = {**reported(made.report()), **given("mutation_report", made.mutation(survivors))}
    return [b for b in judged(found, minimum_mutation_score=least) if b[0] != "mutation_report.not_passed"]


@pytest.mark.parametrize(
    "asked, needs",
    [
        (Asked(), {"certification_report"}),
        (Asked(frozenset({"evidence_bundle"})), {"certification_report", "evidence_bundle"}),
        (Asked(require_measured=True), {"certification_report", "benchmark_baseline"}),
        (Asked(minimum_mutation_score=0.0), {"certification_report", "mutation_report"}),
    ],
)
def test_a_demand_that_evidence_has_to_meet_demands_the_evidence(asked: Asked, needs: set[str]) -> None:
    assert asked.needs == needs


class TestVerdict:
    def test_what_is_neither_required_nor_given_is_listed(self) -> None:
        found = reported(made.report())
        verdict = evaluate(found, Asked(), Policy(now()))
        assert verdict.judged == tuple(
            Judged(name, found.get(name, Evidence(name, None)), name == "certification_report", ()) for name in NAMES
        )
        assert (verdict.passed, verdict.blockers) == (True, ())
        assert [j.summary for j in verdict.judged] == [
            "200 of 200 cases passed, mock_local, 200 executed, 0 by contract",
            *["not given"] * (len(NAMES) - 1),
        ]

    def test_what_is_required_and_not_given(self) -> None:
        found = evaluate({}, Asked(frozenset({"dbt_lineage_report"})), Policy(now()))
        assert [(j.name, j.required) for j in found.judged if j.blockers] == [
            ("certification_report", True),
            ("dbt_lineage_report", True),
        ]
        assert found.blockers == tuple(
            Blocker(
                code=f"{name}.missing",
                message="it is required, and was not given",
                action=f"produce it, and give it as --{option}",
            )
            for name, option in (
                ("certification_report", "certification-report"),
                ("dbt_lineage_report", "dbt-lineage-report"),
            )
        )
        assert not found.passed

    def test_what_is_given_counts_even_where_it_is_not_required(self) -> None:
        flaw = Flaw("invalid", "it is no JSON", "write JSON")
        broken = {"evidence_bundle": Evidence("evidence_bundle", Path("b.json"), flaws=(flaw,))}
        verdict = evaluate({**reported(made.report()), **broken}, Asked(), Policy(now()))
        assert [(j.name, j.required, j.summary) for j in verdict.judged if j.blockers] == [
            ("evidence_bundle", False, "it is no JSON")
        ]
        assert verdict.blockers == (
            Blocker(code="evidence_bundle.invalid", message="it is no JSON", action="write JSON"),
        )

    def test_the_policy_is_asked_of_every_piece(self) -> None:
        old = made.report(created_at=now() - timedelta(days=2))
        verdict = evaluate(reported(old), Asked(), Policy(now(), max_age=timedelta(days=1)))
        assert [b.code for b in verdict.blockers] == ["certification_report.stale"]

    def test_the_same_reason_is_told_once(self) -> None:
        same = Blocker(code="a.b", message="m", action="c")
        each = tuple(Judged(name, Evidence(name, None), False, (same,)) for name in NAMES)
        assert Verdict(each, "unknown", 0, 0).blockers == (same,)

    def test_what_kind_of_suite_it_is(self) -> None:
        results = made.results()
        contract = results[0].model_copy(update={"fidelity": Ends(source="real", sink="contract")})
        for report, expected in (
            (made.report(), ("matrix", 200, 0)),
            (made.report((contract, *results[1:])), ("matrix", 199, 1)),
            (made.connectors(), ("connectors", 0, 0)),
        ):
            found = evaluate(reported(report), Asked(), Policy(now()))
            assert (found.suite_kind, found.executed_count, found.contract_count) == expected
        nothing = evaluate({}, Asked(), Policy(now()))
        assert (nothing.suite_kind, nothing.executed_count, nothing.contract_count) == ("unknown", 0, 0)


class TestScope:
    def test_patterns(self) -> None:
        assert in_scope("*") == CASES
        assert in_scope("") == ()
        wanted = {"postgres_to_postgres__cdc", "postgres_to_clickhouse__cdc", "kafka_to_postgres__full_refresh"}
        found = in_scope(" postgres_to_*__cdc, ,kafka_to_postgres__full_refresh")
        assert {case.id for case in found} >= wanted
        assert {case.strategy for case in found} == {"cdc", "full_refresh"}
        assert in_scope("POSTGRES_to_*") == ()

    def test_every_case_of_it_has_to_be_there(self) -> None:
        assert judged(reported(part(HOME)), scope=HOME) == []
        there = part("postgres_to_postgres__full_refresh")
        absent = [case.id for case in in_scope(HOME) if case.strategy != "full_refresh"]
        assert judged(reported(there), scope=HOME) == [
            (
                f"certification_report.coverage_missing:{name}",
                f"{name} is not in the report",
                f"dpone ops certification-run --case-id {name}",
            )
            for name in absent
        ]

    def test_a_connector_of_which_no_case_is_there_is_named(self) -> None:
        absent = [case.id for case in in_scope("kafka_to_clickhouse__*")]
        asked = f"{HOME}, kafka_to_clickhouse__*"
        assert judged(reported(part(HOME)), scope=asked)[:3] == [
            *(
                (
                    f"certification_report.connector_missing:{name}",
                    f"no case of the connector {name} is in the report",
                    f"pip install dpone-connectors-{name}, and run the matrix again",
                )
                for name in ("clickhouse", "kafka")
            ),
            (
                f"certification_report.coverage_missing:{absent[0]}",
                f"{absent[0]} is not in the report",
                f"dpone ops certification-run --case-id {absent[0]}",
            ),
        ]
        some = part(f"{HOME}, kafka_to_postgres__full_refresh, postgres_to_clickhouse__full_refresh")
        codes = {code.partition(":")[0] for code, _, _ in judged(reported(some), scope="*")}
        assert "certification_report.connector_missing" in codes
        ends = f"{asked}, kafka_to_postgres__full_refresh, postgres_to_clickhouse__full_refresh"
        codes = {code.partition(":")[0] for code, _, _ in judged(reported(some), scope=ends)}
        assert codes == {"certification_report.coverage_missing"}

    def test_of_a_report_without_cases_no_connector_is_named(self) -> None:
        codes = {code.partition(":")[0] for code, _, _ in judged(reported(made.report(())), scope=HOME)}
        assert "certification_report.connector_missing" not in codes
        assert "certification_report.coverage_missing" in codes

    def test_a_scope_without_cases(self) -> None:
        assert judged(reported(made.report()), scope="nothing") == [
            ("certification_report.empty", "the scope holds no case", "widen --scope")
        ]

    def test_a_case_that_is_missing_is_told_once(self) -> None:
        found = judged(reported(made.report(made.results()[1:])))
        assert [code for code, _, _ in found if FIRST in code] == [f"certification_report.coverage_missing:{FIRST}"]


class TestDemands:
    def test_fidelity(self) -> None:
        low, *others = made.results()
        low = low.model_copy(update={"fidelity": Ends(source="real", sink="emulated")})
        found = reported(made.report((low, *others)))
        assert judged(found, minimum_fidelity="real") == [
            (
                f"certification_report.fidelity_below:{FIRST}",
                f"{FIRST} was proven on emulated ends, real is demanded",
                "run it where both ends are real, or demand less",
            )
        ]
        assert judged(found, minimum_fidelity="emulated") == []
        assert judged(found) == []

    def test_fidelity_is_asked_of_the_scope_alone(self) -> None:
        low = [r.model_copy(update={"fidelity": Ends(source="emulated", sink="real")}) for r in made.results()]
        found = reported(made.report(tuple(low)))
        assert len(judged(found, minimum_fidelity="real", scope=FIRST)) == 1

    def test_the_score_of_planted_bugs(self) -> None:
        assert score(3, 0.9) == []
        assert score(3, 0.95) == [
            (
                "mutation_report.score_below",
                "0.900 of the planted bugs were noticed, 0.95 is demanded",
                "look at the survivors, and let a check notice them",
            )
        ]
        assert score(0, 1.0) == []
        assert judged({**reported(made.report()), **given("mutation_report", made.mutation())}) == []

    def test_numbers_that_were_measured(self) -> None:
        typed = hold(Given({"m": 1}), Given({"m": {"value": 1, "direction": "higher"}}), 0.1, Path(), made.here())
        found = {**reported(made.report()), **given("benchmark_baseline", typed)}
        assert judged(found) == []
        assert judged(found, require_measured=True) == [
            (
                "benchmark_baseline.not_measured",
                "its numbers were typed",
                "dpone ops benchmark-run, then --metrics-json @benchmark_metrics.json",
            )
        ]
        measured = typed.model_copy(update={"provenance": "measured"})
        found = {**reported(made.report()), **given("benchmark_baseline", measured)}
        assert [code for code, _, _ in judged(found, require_measured=True)] == ["benchmark_baseline.not_passed"]
