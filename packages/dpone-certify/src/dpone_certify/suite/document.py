"""The document `dpone.certification_suite.v1`: every piece of evidence, whether it was required, whether it counts."""

from __future__ import annotations

from typing import Literal

from dpone_certify.certification.document import Fidelity
from dpone_certify.documents.document import Document, Part

REPORT = "certification_report"
SCHEMAS: dict[str, frozenset[str]] = {
    REPORT: frozenset({"dpone.certification_report.v1", "dpone.connector_certification.v1"}),
    "benchmark_baseline": frozenset({"dpone.benchmark_baseline.v1"}),
    "lineage_report": frozenset({"dpone.openlineage_report.v1"}),
    "dbt_lineage_report": frozenset({"dpone.dbt_lineage.v1"}),
    "strategy_certification_bundle": frozenset({"dpone.strategy.certification_bundle.v1"}),
    "evidence_bundle": frozenset({"dpone.evidence_bundle.v1"}),
    "mutation_report": frozenset({"dpone.certification_mutation.v1"}),
}
SuiteKind = Literal["matrix", "connectors", "unknown"]


class SuiteItem(Part):
    """`path` is as the document sees it, null when nothing was given."""

    name: str
    path: str | None
    sha256: str | None
    required: bool
    missing: bool
    passed: bool
    summary: str


class SuitePolicy(Part):
    """What was asked of the evidence."""

    scope: str
    required: tuple[str, ...]
    require_measured: bool
    minimum_fidelity: Fidelity | None
    minimum_mutation_score: float | None
    max_age_seconds: int | None
    public_key: str | None  # its id; null where none was given


class CertificationSuite(Document):
    """Passes when every piece that is required or given is there, is what it says, and holds when recomputed."""

    schema_version: Literal["dpone.certification_suite.v1"] = "dpone.certification_suite.v1"
    suite_id: str
    release_id: str | None
    suite_kind: SuiteKind
    executed_count: int
    contract_count: int
    policy: SuitePolicy
    items: tuple[SuiteItem, ...]
