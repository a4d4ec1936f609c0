"""Parts of a matrix run, by several machines or by pytest, as one report: none missing, twice, unknown or foreign."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from dpone.integration_matrix import DEFAULT_INTEGRATION_MATRIX, IntegrationMatrix
from dpone_certify.certification.document import NAME, BehaviorArtifact, CertificationReport, Selection
from dpone_certify.certification.judge import of_results
from dpone_certify.certification.outcome import artifact_name
from dpone_certify.certification.volume import volume_of
from dpone_certify.documents.canonical import relative
from dpone_certify.documents.document import Blocker, Subject, now, verdict
from dpone_certify.documents.reading import read_document
from dpone_certify.documents.subject import differences, subject

PRODUCER = "dpone ops integration-matrix-report"
_APART = "run all parts from one commit with one installation, and merge them again"


def merged(
    folders: Sequence[Path], output: Path, matrix: IntegrationMatrix = DEFAULT_INTEGRATION_MATRIX
) -> CertificationReport:
    """The report of every case whose artifact lies in one of the folders, judged against the whole matrix."""
    read, blockers = _read(folders)
    results = tuple(one.result.model_copy(update={"artifact_path": relative(path, output)}) for path, one in read)
    executed = sum(result.is_executed for result in results)
    first = read[0][1] if read else None
    blockers += [*_foreign([one for _, one in read], matrix), *of_results(results, matrix.cases, matrix)]
    order = {case.id: n for n, case in enumerate(matrix.cases)}
    return CertificationReport(
        created_at=now(),
        producer=PRODUCER,
        subject=_subject(first, matrix),
        **verdict(blockers),
        profile=first.profile if first else "mock_contract",
        case_count=len(results),
        executed_count=executed,
        contract_count=len(results) - executed,
        registry_digest=matrix.digest,
        selection=Selection(),
        volume=first.volume if first else volume_of(),
        duration_seconds=round(sum(result.duration_seconds for result in results), 3),
        results=tuple(sorted(results, key=lambda r: order.get(r.case_id, len(order)))),
    )


def _subject(first: BehaviorArtifact | None, matrix: IntegrationMatrix) -> Subject:
    """What the parts are about; what this process is, where there is none."""
    return first.subject if first else subject(registry_digest=matrix.digest)


def _read(folders: Sequence[Path]) -> tuple[list[tuple[Path, BehaviorArtifact]], list[Blocker]]:
    found: list[tuple[Path, BehaviorArtifact]] = []
    blockers: list[Blocker] = []
    for folder in folders:
        paths = sorted(folder.rglob(artifact_name("*")))
        if not paths:
            action = f"let the part write its artifacts there, or leave --artifact-dir {folder} away"
            blockers.append(_blocker(f"part_missing:{folder}", f"{folder} holds no case", action))
        for path in paths:
            read = read_document(NAME, path, BehaviorArtifact)
            blockers += [
                _blocker(f"invalid:{path.name.partition('__behavior')[0]}", b.message, b.action) for b in read.blockers
            ]
            found += [] if read.found is None else [(path, read.found)]
    return found, blockers


def _foreign(read: Sequence[BehaviorArtifact], matrix: IntegrationMatrix) -> Iterator[Blocker]:
    """Artifacts that are not about the same thing as the first one, or not about this matrix."""
    for one in read:
        case, first = one.result.case_id, read[0]
        if differ := differences(one.subject.model_copy(update={"services": {}}), first.subject):
            message = f"{case} was certified on another subject: {', '.join(differ[:3])}"
            yield _blocker(f"subject_mismatch:{case}", message, _APART)
        if (one.profile, one.volume) != (first.profile, first.volume):
            yield _blocker(f"profile_differs:{case}", f"{case} was run as {one.profile}, with other rows", _APART)
        if one.registry_digest != matrix.digest:
            yield _blocker(f"registry_differs:{case}", f"{case} speaks of another matrix", _APART)


def _blocker(code: str, message: str, action: str) -> Blocker:
    return Blocker(code=f"{NAME}.{code}", message=message, action=action)
