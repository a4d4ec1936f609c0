"""Verifying a chain: every entry and every artifact is hashed again, the order and the signature are looked at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from dpone_certify.chain.documents import ChainEntry, ChainIndex, ChainVerification, Link
from dpone_certify.chain.files import changed
from dpone_certify.documents.canonical import sha256
from dpone_certify.documents.document import Blocker, Document, Subject, now, verdict
from dpone_certify.documents.markdown import head, table
from dpone_certify.documents.reading import read_bytes, read_document
from dpone_certify.signing.envelope import refusal

if TYPE_CHECKING:
    from securesystemslib.signer import SSlibKey

NAME = "evidence_chain"
INDEX = "evidence_chain_index.json"
SUFFIX = "__evidence_chain.json"
_ASK = "find out who changed it; a chain is only ever continued by `dpone ops evidence-chain`"


class Chain(Struct, frozen=True):
    """A chain as it was found; `entries` are those that could be read, in the order of the index."""

    folder: Path
    index: ChainIndex | None
    entries: tuple[ChainEntry, ...]
    blockers: tuple[Blocker, ...]

    @property
    def is_intact(self) -> bool:
        return self.index is not None and not self.blockers

    def entry(self, release_id: str) -> ChainEntry | None:
        return next((e for e in self.entries if e.release_id == release_id), None)


def digest_of(document: Document) -> str:
    """The hash over a document's one spelling (RFC 8785)."""
    import rfc8785

    plain: Any = document.model_dump(mode="json")
    return sha256(rfc8785.dumps(plain))


def verify(folder: Path, key: SSlibKey | None = None, expected_head: str | None = None) -> Chain:
    """The chain in a folder, with everything that is wrong with it."""
    path = folder / INDEX
    read = read_document(NAME, path, ChainIndex)
    if read.found is None:
        return Chain(folder, None, (), read.blockers)
    index = read.found
    found = [(link, *_entry(folder, link.path, link.release_id)) for link in index.entries]
    entries = tuple(entry for _, entry, _ in found if entry is not None)
    blockers = [blocker for _, _, own in found for blocker in own]
    blockers += _of_order(index.head, [(link, entry) for link, entry, _ in found])
    blockers += _of_folder(folder, index)
    for entry in entries:
        blockers += _of_artifacts(folder, entry)
    if key is not None and (why := refusal(path, path.read_bytes(), key)) is not None:
        action = "have the chain made with --signing-key, and give that key's public half"
        blockers.append(_blocker("unsigned", f"{path}: {why}", action))
    if expected_head is not None and index.head != expected_head:
        message = f"its head is {index.head}, expected was {expected_head}: entries are missing, or were added"
        blockers.append(_blocker("unexpected_head", message, _ASK))
    return Chain(folder, index, entries, tuple(dict.fromkeys(blockers)))


def verification(chain: Chain, subject: Subject, *, is_keyed: bool) -> ChainVerification:
    return ChainVerification(
        created_at=now(),
        producer="dpone ops evidence-chain-verify",
        subject=subject,
        head=chain.index.head if chain.index else None,
        releases=tuple(entry.release_id for entry in chain.entries),
        artifact_count=sum(len(root.files) for entry in chain.entries for root in entry.roots),
        signature_verified=is_keyed and not any(b.code == f"{NAME}.unsigned" for b in chain.blockers),
        **verdict(chain.blockers),
    )


def _entry(folder: Path, said: str, release_id: str) -> tuple[ChainEntry | None, tuple[Blocker, ...]]:
    if PurePosixPath(said).name != said or not said.endswith(SUFFIX):
        return None, (_blocker(f"path_escapes:{said[:100]}", "an entry lies beside its index", _ASK),)
    read = read_document(NAME, folder / said, ChainEntry)
    if read.found is None:
        kind = "entry_missing" if read.blockers[0].code.endswith(".missing") else "entry_invalid"
        return None, (_blocker(f"{kind}:{release_id}", read.blockers[0].message, _ASK),)
    return read.found, ()


def _of_order(last: str, entries: list[tuple[Link, ChainEntry | None]]) -> Iterator[Blocker]:
    """Each entry is the one that the index names, and follows the one before it."""
    if not entries:
        yield _blocker("empty", "it has no entry", _ASK)
    before: str | None = None
    seen: set[str] = set()
    for number, (link, entry) in enumerate(entries, 1):
        if link.release_id in seen:
            yield _blocker(f"duplicate_release:{link.release_id}", "a release is in a chain once", _ASK)
        seen.add(link.release_id)
        if link.number != number:
            message = f"entry {link.number} stands where {number} belongs"
            yield _blocker(f"reordered:{link.release_id}", message, _ASK)
        if entry is not None:
            digest = digest_of(entry)
            if digest != link.digest:
                message = f"{link.path} is not the entry that the index names"
                yield _blocker(f"entry_changed:{link.release_id}", message, _ASK)
            if (entry.number, entry.release_id) != (link.number, link.release_id):
                message = f"{link.path} says that it is entry {entry.number}, of {entry.release_id}"
                yield _blocker(f"reordered:{link.release_id}", message, _ASK)
            if entry.previous != before:
                message = f"{link.path} does not follow the entry before it"
                yield _blocker(f"broken_link:{link.release_id}", message, _ASK)
            if not entry.passed:
                yield _blocker(f"entry_not_passed:{link.release_id}", f"{link.path} does not pass", _ASK)
        before = link.digest
    if last != before:
        yield _blocker("head_differs", "its head is not its last entry", _ASK)


def _of_folder(folder: Path, index: ChainIndex) -> Iterator[Blocker]:
    """An entry that the index does not name was cut off, or put there."""
    named = {link.path for link in index.entries}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        if path.name not in named:
            yield _blocker(f"unlisted_entry:{path.name}", f"{path.name} is not in the index of the chain", _ASK)


def _of_artifacts(folder: Path, entry: ChainEntry) -> Iterator[Blocker]:
    path = folder / entry.artifact_index.path
    content, blockers = read_bytes(NAME, path)
    if content is None:
        yield _blocker(f"artifact_missing:{entry.artifact_index.path}", blockers[0].message, _ASK)
    elif sha256(content) != entry.artifact_index.sha256:
        message = f"{path} is not the index that {entry.release_id} was made from"
        yield _blocker(f"artifact_changed:{entry.artifact_index.path}", message, _ASK)
    if not any(root.files for root in entry.roots):
        yield _blocker(f"empty_entry:{entry.release_id}", "it holds no artifact", _ASK)
    yield from changed(entry.roots, folder, NAME)


def _blocker(code: str, message: str, action: str) -> Blocker:
    return Blocker(code=f"{NAME}.{code}", message=message, action=action)


def markdown_of(document: ChainVerification) -> str:
    lines = head("Evidence chain", document)
    signed = "signed by the key that was given" if document.signature_verified else "its signature was not verified"
    lines += [f"{document.artifact_count} artifacts hashed again; head `{document.head}`; {signed}.", ""]
    lines += table(("number", "release"), enumerate(document.releases, 1))
    return "\n".join(lines)
