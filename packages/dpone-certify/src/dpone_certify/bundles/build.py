"""Bundles made of files on the disk: gathered, judged, written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dpone_certify.bundles.documents import (
    SCHEMAS,
    BundleKind,
    DocsLink,
    EvidenceBundle,
    EvidenceItem,
    StrategyBundle,
    StrategyItem,
)
from dpone_certify.documents.canonical import relative
from dpone_certify.documents.document import Blocker, Subject, now, verdict
from dpone_certify.documents.markdown import head, table
from dpone_certify.evidence.gathering import gather
from dpone_certify.evidence.judging import Policy, flaws_of
from dpone_certify.evidence.kinds import summary_of
from dpone_certify.evidence.tree import blockers_of


def strategy_bundle(
    bundle_id: str, given: Mapping[BundleKind, Sequence[Path]], links: Sequence[str], folder: Path, subject: Subject
) -> StrategyBundle:
    """The bundle as it will lie in `folder`."""
    policy = Policy(now(), subject)
    items: list[StrategyItem] = []
    blockers: list[Blocker] = []
    for kind, paths in given.items():
        for path in dict.fromkeys(paths):
            evidence = gather(str(path), path, expected=SCHEMAS[kind])
            wrong = flaws_of(evidence, policy)
            blockers += blockers_of(kind, wrong, f":{path}")
            items.append(
                StrategyItem(
                    kind=kind,
                    name=str(path),
                    path=relative(path, folder),
                    present=evidence.is_there,
                    passed=not wrong,
                    sha256=evidence.sha256,
                    summary=summary_of(evidence),
                )
            )
    if not items:
        action = "name at least one --replay-evidence, --matrix-artifact, --connector-artifact or --benchmark-artifact"
        blockers.append(Blocker(code="strategy_bundle.empty", message="there is nothing in it", action=action))
    shown = [DocsLink(link=link, present=Path(link).is_file()) for link in dict.fromkeys(links)]
    return StrategyBundle(
        created_at=now(),
        producer="dpone strategy certification-bundle",
        subject=subject,
        bundle_id=bundle_id,
        items=tuple(items),
        docs_links=tuple(shown),
        **verdict(blockers),
    )


def evidence_bundle(
    run_id: str, given: Mapping[str, Path], required: Sequence[str], folder: Path, subject: Subject
) -> EvidenceBundle:
    """The bundle as it will lie in `folder`; a file that is no document of dpone is hashed and judged by nobody."""
    policy = Policy(now(), subject)
    items: list[EvidenceItem] = []
    blockers: list[Blocker] = []
    for name in sorted({*given, *required}):
        path = given.get(name)
        evidence = gather(name, path)
        wrong = () if evidence.is_opaque else flaws_of(evidence, policy)
        blockers += blockers_of("artifact", wrong, f":{name}")
        if evidence.is_opaque and name in required:
            action = "require a document of dpone; another file can be shown, and proves nothing"
            message = f"{path} is required, and nothing in it can be judged"
            blockers.append(Blocker(code=f"artifact.opaque:{name}", message=message, action=action))
        items.append(
            EvidenceItem(
                name=name,
                path=relative(path, folder) if path is not None else "",
                present=evidence.is_there,
                required=name in required,
                opaque=evidence.is_opaque,
                passed=not wrong and not evidence.is_opaque,
                sha256=evidence.sha256,
                summary=summary_of(evidence),
            )
        )
    if not any(item.passed or not item.opaque for item in items):
        action = "give at least one document of dpone as --artifact name=path"
        blockers.append(Blocker(code="evidence_bundle.empty", message="nothing in it can be judged", action=action))
    return EvidenceBundle(
        created_at=now(),
        producer="dpone ops evidence-bundle",
        subject=subject,
        run_id=run_id,
        items=tuple(items),
        **verdict(blockers),
    )


def markdown_of_strategies(bundle: StrategyBundle) -> str:
    lines = head(f"Strategy certification bundle {bundle.bundle_id}", bundle)
    rows = (
        (i.kind, i.name, _state(present=i.present, passed=i.passed), i.summary, i.sha256 or "") for i in bundle.items
    )
    lines += table(("kind", "file", "state", "what it says", "sha256"), rows)
    if bundle.docs_links:
        lines += table(("documentation", ""), ((d.link, "" if d.present else "missing") for d in bundle.docs_links))
    return "\n".join(lines)


def markdown_of_evidence(bundle: EvidenceBundle) -> str:
    lines = head(f"Evidence of {bundle.run_id}", bundle)
    rows = (
        (
            *(i.name, "required" if i.required else ""),
            "opaque" if i.opaque else _state(present=i.present, passed=i.passed),
            *(i.summary, i.path, i.sha256 or ""),
        )
        for i in bundle.items
    )
    lines += table(("artifact", "", "state", "what it says", "path", "sha256"), rows)
    return "\n".join(lines)


def _state(*, present: bool, passed: bool) -> str:
    return "missing" if not present else "passed" if passed else "not passed"
