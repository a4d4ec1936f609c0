"""The document `dpone.release_summary.v1`, and what is rendered from it."""

from __future__ import annotations

from typing import Any, Literal

from dpone_certify.documents.document import Document, Part
from dpone_certify.documents.markdown import escaped, head, table

ItemName = Literal[
    "replay_evidence_chain",
    "matrix_certification_suite",
    "matrix_evidence_chain",
    "connector_certification_suite",
    "connector_evidence_chain",
]
UNSIGNED = "UNSIGNED: nobody vouches for this evidence; a forger who was careful is not caught."
VERIFIED = "Signatures verified: everything rests on what the owner of the key signed."


class SummaryItem(Part):
    name: ItemName
    path: str | None
    sha256: str | None
    passed: bool
    summary: str


class Proof(Part):
    """How many cases were proven by how much, so that nobody reads more into a green summary."""

    fidelity: str
    cases: int


class End(Part):
    """What a connector was when cases of the matrix passed on it: nothing, an emulator, the engine, the vendor's."""

    connector: str
    fidelity: str
    provider: str  # how it was had: embedded, docker, java, emulated, given; none where nothing was started
    service: str  # product and version; empty where nothing was started
    cases: int


class ReleaseSummary(Document):
    """Passes when all five do, and a key vouches for them, or it was said that none has to."""

    schema_version: Literal["dpone.release_summary.v1"] = "dpone.release_summary.v1"
    release_id: str
    public_key: str | None  # its id
    allow_unsigned: bool
    items: tuple[SummaryItem, ...]
    proven: tuple[Proof, ...]
    ends: tuple[End, ...]

    @property
    def trust(self) -> str:
        """What the first line says."""
        return UNSIGNED if self.public_key is None else VERIFIED


def markdown_of(summary: ReleaseSummary) -> str:
    title, *rest = head(f"Release {summary.release_id}", summary)
    lines = [f"{title}. {summary.trust}", *rest]
    rows = (
        (i.name, "passed" if i.passed else "not passed", i.summary, i.path or "", i.sha256 or "") for i in summary.items
    )
    lines += table(("evidence", "state", "what it says", "path", "sha256"), rows)
    lines += table(("proven by", "cases"), ((escaped(p.fidelity), p.cases) for p in summary.proven))
    lines += table(
        ("connector", "what it was", "had as", "service", "cases"),
        ((e.connector, e.fidelity, e.provider, escaped(e.service), e.cases) for e in summary.ends),
    )
    return "\n".join(lines)


def verification_summary(summary: ReleaseSummary, digest: str) -> dict[str, Any]:
    """An in-toto statement of the kind that other tools read: who verified what, and with which result."""
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "release_summary.json", "digest": {"sha256": digest}}],
        "predicateType": "https://slsa.dev/verification_summary/v1",
        "predicate": {
            "verifier": {"id": "https://dpone.dev/release-summary/v1"},
            "timeVerified": summary.created_at.isoformat(),
            "resourceUri": f"pkg:github/dpone@{summary.release_id}",
            "policy": {"uri": "https://dpone.dev/release-summary/v1"},
            "inputAttestations": [
                {"uri": item.path, "digest": {"sha256": item.sha256}} for item in summary.items if item.sha256
            ],
            "verificationResult": "PASSED" if summary.passed else "FAILED",
            "verifiedLevels": [],
        },
    }
