"""A connector certification: made of what the suite said, and for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from dpone_certify.conformance.document import ConnectorCertification, ConnectorResult
from dpone_certify.conformance.judge import blockers_of
from dpone_certify.documents.document import now, verdict
from dpone_certify.documents.markdown import head, table
from dpone_certify.documents.subject import subject

PRODUCER = "dpone ops connector-certification"


def certification_of(
    results: Sequence[ConnectorResult], expected: Collection[str], seconds: float
) -> ConnectorCertification:
    """The document; judged by its tests, against the connectors that had to be there."""
    found = ConnectorCertification(
        created_at=now(),
        producer=PRODUCER,
        subject=subject(services={r.connector: f"{r.product} {r.version}, {r.provider}" for r in results}),
        passed=False,
        blockers=(),
        connectors=tuple(results),
        duration_seconds=round(seconds, 3),
    )
    return found.model_copy(update=verdict(blockers_of(found, expected)))


def markdown_of(found: ConnectorCertification) -> str:
    """The verdict, each connector with its counts, and every test that deviated or was skipped, by its reason."""
    lines = head("Connector certification", found)
    lines += table(
        ("connector", "service", "fidelity", "passed", "deviated", "skipped", "failed", "again"),
        (
            (
                r.connector,
                f"{r.product} {r.version}, {r.provider}",
                r.fidelity,
                r.passed_count,
                r.deviated_count,
                sum(t.state == "skipped" for t in r.tests),
                sum(t.state in {"failed", "error"} for t in r.tests),
                r.repro,
            )
            for r in found.connectors
        ),
    )
    for result in found.connectors:
        red = [t for t in result.tests if t.state in {"failed", "error", "deviated"}]
        if red:
            lines += [f"## {result.connector}: failed or deviated", ""]
            lines += table(("test", "state", "why", "link"), ((t.name, t.state, t.reason, t.link) for t in red))
        skipped = Counter(t.reason for t in result.tests if t.state == "skipped")
        if skipped:
            lines += [f"## {result.connector}: skipped", ""]
            lines += table(("why", "tests"), skipped.items())
    return "\n".join(lines).rstrip() + "\n"
