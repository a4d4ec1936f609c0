"""Documents that hold, made by hand, for tests to break."""

from __future__ import annotations

import functools
from typing import Any, get_args

from dpone.integration_matrix import DEFAULT_INTEGRATION_MATRIX, Case
from dpone.replay.evidence import ORDER, Operation, ReplayEvidence, RowCountCheck, StatusCheck
from dpone.testing.testkit import Identity
from dpone_certify.benchmark.bench import Benchmark, Measured
from dpone_certify.benchmark.costs import Cost
from dpone_certify.benchmark.document import BenchmarkMetrics, document_of
from dpone_certify.benchmark.targets import CONTROL, DPONE, EMPTY_RUN, FIRST_LOAD, IN_PROCESS, START_UP, copy_of
from dpone_certify.certification.document import (
    BehaviorArtifact,
    CertificationReport,
    Check,
    Ends,
    Fidelity,
    Providers,
    Result,
    Selection,
    Volume,
)
from dpone_certify.conformance.document import ConformanceTest, ConnectorCertification, ConnectorResult
from dpone_certify.conformance.judge import EXPECTED
from dpone_certify.documents.document import Blocker, Subject, now
from dpone_certify.documents.subject import subject
from dpone_certify.mutation.document import CertificationMutation, Mutant, Seam
from dpone_certify.mutation.judge import blockers_of, score_of
from dpone_certify.registry.report import RunResult

SAME = "a" * 64
VOLUME = Volume(
    row_count=10_000,
    changed=2_000,
    deleted=500,
    updated=1_000,
    inserted=500,
    wide_columns=120,
    change_ratio=0.2,
    delete_ratio=0.05,
    seed=1,
)


@functools.cache
def here() -> Subject:
    """The subject of this process, as every command of it says."""
    return subject()


def result(case: Case, fidelity: Fidelity = "real", **more: Any) -> Result:
    compared: dict[str, Any] = {
        "expected_row_count": 10_000,
        "actual_row_count": 10_000,
        "expected_checksum": SAME,
        "actual_checksum": SAME,
    }
    values: dict[str, Any] = {
        "case_id": case.id,
        "source": case.source,
        "sink": case.sink,
        "strategy": case.strategy,
        "state": "passed",
        "passed": True,
        "fidelity": Ends(source=fidelity, sink=fidelity),
        "provider": Providers(source="embedded", sink="embedded"),
        **compared,
        "checks": (Check(name="first_load", state="passed", **compared),),
        "duration_seconds": 0.25,
        "repro": f"dpone ops certification-run --case-id {case.id}",
        "artifact_path": f"{case.id}__behavior.json",
        "blockers": (),
    }
    return Result.model_validate({**values, **more})


def results(fidelity: Fidelity = "real") -> tuple[Result, ...]:
    return tuple(result(case, fidelity) for case in DEFAULT_INTEGRATION_MATRIX.cases)


def blocked(case_id: str) -> Blocker:
    """As a run says of a case that failed."""
    code = f"certification_report.case_not_passed:{case_id}"
    return Blocker(code=code, message="rows differ", action=f"dpone ops certification-run --case-id {case_id}")


def report(found: tuple[Result, ...] | None = None, **more: Any) -> CertificationReport:
    there = results() if found is None else found
    executed = sum(r.is_executed for r in there)
    values: dict[str, Any] = {
        "created_at": now(),
        "producer": "dpone ops certification-run",
        "subject": here(),
        "passed": True,
        "blockers": (),
        "profile": "mock_local",
        "case_count": len(there),
        "executed_count": executed,
        "contract_count": len(there) - executed,
        "registry_digest": DEFAULT_INTEGRATION_MATRIX.digest,
        "selection": Selection(),
        "volume": VOLUME,
        "duration_seconds": 50.0,
        "results": there,
    }
    return CertificationReport.model_validate({**values, **more})


def behavior(of: Result) -> BehaviorArtifact:
    return BehaviorArtifact(
        created_at=now(),
        producer="dpone ops certification-run",
        subject=here(),
        passed=of.passed,
        blockers=of.blockers,
        profile="mock_local",
        registry_digest=DEFAULT_INTEGRATION_MATRIX.digest,
        volume=VOLUME,
        result=of,
        manifest="version: 1\n",
        program=("Recreate(guard)",),
        statements=("SELECT 1",),
        notes=(),
        differing=(),
    )


def costs(wall: float, cpu: float) -> list[Cost]:
    return [Cost(wall * slow, cpu * slow, 50_000_000) for slow in (1.0, 2.0, 0.5)]


def metrics(wall: float = 3.6, *, targets_required: bool = False) -> BenchmarkMetrics:
    """One million rows in so many seconds, where the control takes four."""
    measured = Benchmark(
        "full",
        3,
        Identity("PostgreSQL", "18.6", genuine=False),
        {"provider": "embedded", "fidelity": "real"},
        (
            Measured(START_UP, "import click", None, {DPONE: costs(0.08, 0.08), CONTROL: costs(0.04, 0.04)}),
            Measured(EMPTY_RUN, "connect", None, {DPONE: costs(0.36, 0.3), CONTROL: costs(0.15, 0.15)}),
            Measured(
                copy_of(1_000_000),
                "psql | psql",
                1_000_000,
                {
                    DPONE: costs(wall, 1.2),
                    FIRST_LOAD: costs(3.2, 1.2),
                    CONTROL: costs(4.0, 0.5),
                    IN_PROCESS: costs(3.2, 0.8),
                },
            ),
        ),
    )
    return document_of(measured, {"python": "CPython 3.11"}, here(), targets_required=targets_required)


def connectors(**more: Any) -> ConnectorCertification:
    found = tuple(
        ConnectorResult(
            connector=name,
            product=name,
            version="1",
            fidelity="real",
            provider="embedded",
            test_count=1,
            passed_count=1,
            deviated_count=0,
            passed=True,
            repro=f"dpone ops connector-certification --connector {name}",
            tests=(ConformanceTest(name="test_reading.py::test_a_scan", state="passed"),),
        )
        for name in EXPECTED
    )
    values: dict[str, Any] = {
        "created_at": now(),
        "producer": "dpone ops connector-certification",
        "subject": here(),
        "passed": True,
        "blockers": (),
        "connectors": found,
        "duration_seconds": 1.0,
    }
    return ConnectorCertification.model_validate({**values, **more})


def mutation(survivors: int = 0) -> CertificationMutation:
    """Thirty bugs over all seams, of which some survived."""
    seams = get_args(Seam)
    mutants = tuple(
        Mutant(
            name=f"bug_{number}",
            seam=seams[number % len(seams)],
            strategy="full_refresh",
            state="survived" if number < survivors else "killed",
            noticed_by="" if number < survivors else "memory_to_memory__full_refresh: first_load",
        )
        for number in range(30)
    )
    found = CertificationMutation(
        created_at=now(),
        producer="dpone ops certification-mutation",
        subject=here(),
        passed=True,
        blockers=(),
        bug_count=30,
        mutant_count=30,
        killed_count=30 - survivors,
        survived_count=survivors,
        equivalent_count=0,
        score=score_of(mutants),
        duration_seconds=1.0,
        mutants=mutants,
    )
    blockers = blockers_of(found)
    return found.model_copy(update={"passed": not blockers, "blockers": blockers})


def run(**more: Any) -> RunResult:
    """The record of a run that succeeded: 10 rows were there, 4 came, 3 went."""
    stream = {
        "name": "orders",
        "reads": {"namespace": "postgres://db:5432", "name": "app.orders"},
        "writes": {"namespace": "postgres://db:5433", "name": "raw.orders"},
        "source": "postgres",
        "sink": "postgres",
        "strategy": "incremental_merge",
        "status": "succeeded",
        "plan_digest": "",
        "rows_staged": 4,
        "rows_before": 10,
        "rows_after": 11,
        "operations": [
            {"op": "delete", "inserted": 0, "updated": 0, "deleted": 3},
            {"op": "insert", "inserted": 4, "updated": 0, "deleted": 0},
        ],
        "loads": ["one"],
    }
    values: dict[str, Any] = {
        "schema_version": "dpone.run_report.v1",
        "run_id": "one",
        "manifest": "orders.yaml",
        "name": "orders",
        "status": "succeeded",
        "started_at": "2024-05-01T12:00:00Z",
        "finished_at": "2024-05-01T12:01:00Z",
        "streams": [stream],
    }
    return RunResult.model_validate({**values, **more})


def replay(**more: Any) -> ReplayEvidence:
    """A resync of one load, carried out and checked."""
    values: dict[str, Any] = {
        "created_at": now(),
        "producer": "dpone resync",
        "subject": here(),
        "passed": True,
        "blockers": (),
        "action": "resync",
        "mode": "execute",
        "run_id": "one",
        "manifest": "orders.yaml",
        "source": "postgres",
        "sink": "postgres",
        "target": "raw.orders",
        "strategy": "full_refresh",
        "scope": "all",
        "plan_digests": (),
        "operations": tuple(
            Operation(stream="orders", load_id="one", name=name, status="done", detail="") for name in ORDER
        ),
        "row_count_checks": (RowCountCheck(stream="orders", name="rows", expected=1, actual=1, passed=True),),
        "status_checks": (StatusCheck(stream="orders", name="lease", expected="free", actual="free", passed=True),),
        "effects": (),
        "reproduction_command": "dpone resync orders.yaml --all",
        "seconds": 1.0,
    }
    return ReplayEvidence.model_validate({**values, **more})


def planned_replay() -> ReplayEvidence:
    """The same, only planned."""
    return replay(mode="plan", passed=False, blockers=(Blocker(code="replay.planned", message="m", action="a"),))
