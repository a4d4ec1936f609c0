"""A small matrix, and reports of it that hold."""

from __future__ import annotations

from typing import Any

from dpone.integration_matrix import Case, IntegrationMatrix, derive
from dpone.testing.memory import connector
from dpone_certify.certification.document import (
    CertificationReport,
    Check,
    Ends,
    Providers,
    Result,
    Selection,
    Volume,
)
from dpone_certify.documents.document import Subject, now

MATRIX: IntegrationMatrix = derive([connector])
SAME = "a" * 64
VOLUME = Volume(
    row_count=10,
    changed=2,
    deleted=1,
    updated=1,
    inserted=0,
    wide_columns=120,
    change_ratio=0.2,
    delete_ratio=0.05,
    seed=1,
)


def result_of(case: Case, **more: Any) -> Result:
    check = Check(
        name="first_load",
        state="passed",
        expected_row_count=10,
        actual_row_count=10,
        expected_checksum=SAME,
        actual_checksum=SAME,
    )
    values: dict[str, Any] = {
        "case_id": case.id,
        "source": case.source,
        "sink": case.sink,
        "strategy": case.strategy,
        "state": "passed",
        "passed": True,
        "fidelity": Ends(source="real", sink="real"),
        "provider": Providers(source="embedded", sink="embedded"),
        "expected_row_count": 10,
        "actual_row_count": 10,
        "expected_checksum": SAME,
        "actual_checksum": SAME,
        "checks": (check,),
        "duration_seconds": 1.0,
        "repro": f"dpone ops certification-run --case-id {case.id}",
        "artifact_path": f"{case.id}__behavior.json",
        "blockers": (),
    }
    return Result.model_validate({**values, **more})


def report_of(*results: Result, **more: Any) -> CertificationReport:
    found = results or tuple(map(result_of, MATRIX.cases))
    values: dict[str, Any] = {
        "created_at": now(),
        "producer": "a test",
        "subject": Subject(distributions={}),
        "passed": True,
        "blockers": (),
        "profile": "mock_local",
        "case_count": len(found),
        "executed_count": len(found),
        "contract_count": 0,
        "registry_digest": MATRIX.digest,
        "selection": Selection(),
        "volume": VOLUME,
        "duration_seconds": 1.0,
        "results": found,
    }
    return CertificationReport.model_validate({**values, **more})
