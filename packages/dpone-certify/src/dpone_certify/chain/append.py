"""Continuing a chain by one release: only a chain that verifies is continued, and only by files that are as indexed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from dpone.errors import EvidenceError
from dpone_certify.chain.documents import ArtifactIndex, ChainEntry, ChainIndex, Link, Root
from dpone_certify.chain.files import changed
from dpone_certify.chain.verify import INDEX, SUFFIX, digest_of, verify
from dpone_certify.documents.canonical import relative, write
from dpone_certify.documents.document import Artifact, Blocker, Subject, now, verdict
from dpone_certify.documents.markdown import head, table
from dpone_certify.documents.reading import read_document
from dpone_certify.signing.envelope import write_signed

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

_INDEX = "artifact_index"


class Continued(Struct, frozen=True):
    entry: ChainEntry
    written: tuple[Path, ...]


def append(
    release_id: str,
    artifact_index: Path | None,
    folder: Path,
    subject: Subject,
    signer: CryptoSigner | None,
    file_name: str,
) -> Continued:
    """The chain has one entry more, whose file is `<file_name>__evidence_chain.json`; a red one is shown, not added."""
    chain = verify(folder) if (folder / INDEX).exists() or any(folder.glob(f"*{SUFFIX}")) else None
    if chain is not None and chain.entry(release_id) is not None:
        raise EvidenceError(
            f"the chain in {folder} has an entry for {release_id} already",
            code="evidence.id_used",
            hint="a release is certified once: give the new one an id of its own, or another folder",
        )
    links = chain.index.entries if chain is not None and chain.index is not None else ()
    read = read_document(_INDEX, artifact_index, ArtifactIndex)
    blockers = [*(chain.blockers if chain is not None else ()), *read.blockers]
    roots: tuple[Root, ...] = ()
    if read.found is not None and artifact_index is not None:
        blockers += _of_index(read.found, artifact_index, release_id)
        roots = tuple(
            Root(root=relative(artifact_index.parent / root.root, folder), files=root.files)
            for root in read.found.roots
        )
    entry = ChainEntry(
        created_at=now(),
        producer="dpone ops evidence-chain",
        subject=subject,
        number=len(links) + 1,
        release_id=release_id,
        previous=links[-1].digest if links else None,
        artifact_index=Artifact(
            name=_INDEX, path=relative(artifact_index, folder) if artifact_index else "", sha256=read.sha256
        ),
        roots=roots,
        **verdict(blockers),
    )
    if not entry.passed:
        return Continued(entry, ())
    path = folder / f"{file_name}{SUFFIX}"
    digest = digest_of(entry)
    index = ChainIndex(
        created_at=now(),
        producer=entry.producer,
        subject=subject,
        entries=(*links, Link(number=entry.number, release_id=release_id, path=path.name, digest=digest)),
        head=digest,
        **verdict(()),
    )
    if path.exists():  # two release ids that are one file name
        raise EvidenceError(
            f"{path} is there already, of another release",
            code="evidence.id_used",
            hint="give the release an id that differs in more than its signs",
        )
    write(path, entry.to_json())
    write(path.with_suffix(".md"), markdown_of(entry))
    written = write_signed(folder / INDEX, index.to_json(), signer)
    return Continued(entry, (path, path.with_suffix(".md"), *written))


def _of_index(index: ArtifactIndex, path: Path, release_id: str) -> list[Blocker]:
    """The index passes, is of this release, and its files are still what they were."""
    found = list(changed(index.roots, path.parent, _INDEX))
    if not index.passed:
        action = "look at its blockers; make the index again"
        found.append(Blocker(code=f"{_INDEX}.not_passed", message=f"{path} does not pass", action=action))
    if index.release_id != release_id:
        message = f"{path} is of release {index.release_id}, not of {release_id}"
        action = "one release id runs through all evidence of a release"
        found.append(Blocker(code=f"{_INDEX}.wrong_release", message=message, action=action))
    if not any(root.files for root in index.roots):
        action = "produce the evidence first, and name the folder that it is in"
        found.append(Blocker(code=f"{_INDEX}.empty", message=f"{path} names no file", action=action))
    return found


def markdown_of(entry: ChainEntry) -> str:
    lines = head(f"Evidence of {entry.release_id}, entry {entry.number}", entry)
    lines += [f"After `{entry.previous or 'nothing: it is the first'}`.", ""]
    rows = ((f"{root.root}/{f.path}", f.sha256) for root in entry.roots for f in root.files)
    return "\n".join(lines + table(("artifact", "sha256"), rows))
