"""`dpone.connector_certification.v1`: what the conformance suite said of each connector."""

from __future__ import annotations

from typing import Literal

from dpone_certify.certification.document import Count, Fidelity, Provider
from dpone_certify.documents.document import Document, Part

NAME = "connector_certification"

# `deviated`: the connector declares that it does not pass this test here, and it failed exactly as declared
TestState = Literal["passed", "failed", "error", "skipped", "deviated"]


class ConformanceTest(Part):
    """One test of the suite; `reason` is why it was skipped, what failed, or why the connector deviates."""

    __test__ = False  # for pytest, which looks at names

    name: str
    state: TestState
    reason: str = ""
    link: str = ""  # of a deviation
    error_code: str = ""  # of a deviation
    duration_seconds: float = 0.0


class ConnectorResult(Part):
    """One connector on one service."""

    connector: str
    product: str
    version: str
    fidelity: Fidelity
    provider: Provider
    test_count: Count
    passed_count: Count
    deviated_count: Count
    passed: bool
    repro: str
    tests: tuple[ConformanceTest, ...]


class ConnectorCertification(Document):
    """Passes when every specified connector is there and none of its tests failed but by a declared deviation."""

    schema_version: Literal["dpone.connector_certification.v1"] = "dpone.connector_certification.v1"
    connectors: tuple[ConnectorResult, ...]
    duration_seconds: float
