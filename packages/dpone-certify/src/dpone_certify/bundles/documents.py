"""The documents `dpone.strategy.certification_bundle.v1` and `dpone.evidence_bundle.v1`."""

from __future__ import annotations

from typing import Literal

from dpone_certify.documents.document import Document, Part

BundleKind = Literal["replay", "matrix", "connector", "benchmark"]

SCHEMAS: dict[BundleKind, frozenset[str]] = {
    "replay": frozenset({"dpone.replay.evidence.v1"}),
    "matrix": frozenset({"dpone.certification_report.v1"}),
    "connector": frozenset({"dpone.connector_certification.v1"}),
    "benchmark": frozenset({"dpone.benchmark_baseline.v1", "dpone.benchmark_metrics.v1"}),
}


class StrategyItem(Part):
    """`name` is the file as it was typed, `path` the same as the document sees it."""

    kind: BundleKind
    name: str
    path: str
    present: bool
    passed: bool
    sha256: str | None
    summary: str


class DocsLink(Part):
    link: str
    present: bool


class StrategyBundle(Document):
    """The evidence of strategies: replay, matrix, connectors, benchmarks. Empty is red."""

    schema_version: Literal["dpone.strategy.certification_bundle.v1"] = "dpone.strategy.certification_bundle.v1"
    bundle_id: str
    items: tuple[StrategyItem, ...]
    docs_links: tuple[DocsLink, ...]


class EvidenceItem(Part):
    """An opaque file is hashed and shown, and never counts as passed."""

    name: str
    path: str
    present: bool
    required: bool
    opaque: bool
    passed: bool
    sha256: str | None
    summary: str


class EvidenceBundle(Document):
    """The files of a release or a go-live."""

    schema_version: Literal["dpone.evidence_bundle.v1"] = "dpone.evidence_bundle.v1"
    run_id: str
    items: tuple[EvidenceItem, ...]
