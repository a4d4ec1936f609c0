"""A suite made of evidence on the disk: gathered, judged, written down."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dpone_certify.documents.canonical import relative
from dpone_certify.documents.document import Subject, now, verdict
from dpone_certify.documents.markdown import head, table
from dpone_certify.evidence.gathering import gather
from dpone_certify.evidence.judging import Policy
from dpone_certify.evidence.tree import Evidence
from dpone_certify.suite.document import SCHEMAS, CertificationSuite, SuiteItem, SuitePolicy
from dpone_certify.suite.evaluate import Asked, Verdict, evaluate

if TYPE_CHECKING:
    from securesystemslib.signer import SSlibKey


def gathered(paths: Mapping[str, Path | None], key: SSlibKey | None) -> dict[str, Evidence]:
    """The evidence that was given, by name."""
    return {n: gather(n, path, key, expected=SCHEMAS[n]) for n, path in paths.items() if path is not None}


def judged(
    found: Mapping[str, Evidence],
    asked: Asked,
    subject: Subject,
    *,
    max_age: timedelta | None = None,
    key: SSlibKey | None = None,
) -> Verdict:
    policy = Policy(now(), subject, max_age, is_keyed=key is not None)
    return evaluate(found, asked, policy)


def suite_of(
    verdict_: Verdict,
    asked: Asked,
    folder: Path,
    subject: Subject,
    *,
    suite_id: str,
    release_id: str | None = None,
    max_age: timedelta | None = None,
    key: SSlibKey | None = None,
) -> CertificationSuite:
    """The document as it will lie in `folder`."""
    return CertificationSuite(
        created_at=now(),
        producer="dpone ops certification-suite",
        subject=subject,
        suite_id=suite_id,
        release_id=release_id,
        suite_kind=verdict_.suite_kind,
        executed_count=verdict_.executed_count,
        contract_count=verdict_.contract_count,
        policy=SuitePolicy(
            scope=asked.scope,
            required=tuple(sorted(asked.needs)),
            require_measured=asked.require_measured,
            minimum_fidelity=asked.minimum_fidelity,
            minimum_mutation_score=asked.minimum_mutation_score,
            max_age_seconds=None if max_age is None else int(max_age.total_seconds()),
            public_key=None if key is None else key.keyid,
        ),
        items=tuple(
            SuiteItem(
                name=j.name,
                path=relative(j.evidence.path, folder) if j.evidence.path else None,
                sha256=j.evidence.sha256,
                required=j.required,
                missing=not j.evidence.is_there,
                passed=not j.blockers and j.evidence.is_there,
                summary=j.summary,
            )
            for j in verdict_.judged
            if j.required or j.evidence.path is not None
        ),
        **verdict(verdict_.blockers),
    )


def markdown_of(suite: CertificationSuite) -> str:
    lines = head(f"Certification suite {suite.suite_id}", suite)
    lines += [
        (
            f"{suite.suite_kind}, release {suite.release_id or '-'}: {suite.executed_count} cases executed, "
            f"{suite.contract_count} by contract alone; scope `{suite.policy.scope}`; "
            f"{'signatures verified' if suite.policy.public_key else 'no signature was asked for'}."
        ),
        "",
    ]
    rows = (
        (i.name, "required" if i.required else "given", _state(i), i.summary, i.path or "", i.sha256 or "")
        for i in suite.items
    )
    lines += table(("evidence", "", "state", "what it says", "path", "sha256"), rows)
    return "\n".join(lines)


def _state(item: SuiteItem) -> str:
    return "missing" if item.missing else "passed" if item.passed else "not passed"
