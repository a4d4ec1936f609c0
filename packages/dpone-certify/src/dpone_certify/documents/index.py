"""An index of documents of one kind in a folder: one entry for each id, and an id never means two things."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime  # noqa: TC002 - pydantic looks the annotation up when the model is made

from dpone.errors import EvidenceError
from dpone_certify.documents.canonical import parse, relative, sha256, write
from dpone_certify.documents.document import Blocker, Document, Part, now, verdict


class Entry(Part):
    id: str
    path: str
    sha256: str
    content_digest: str  # without the time of writing
    passed: bool
    entered_at: AwareDatetime


class Index(Document):
    """Passes when every entry does."""

    schema_version: Literal["dpone.document_index.v1"] = "dpone.document_index.v1"
    kind: str
    entries: tuple[Entry, ...]


def enter(index: Path, kind: str, name: str, document: Document, path: Path) -> Index:
    """The index names this document, whose file is `path`; one that is there under this id must say the same.

    Called before the document is written, so that a refused one leaves the first as it is.
    """
    text = document.to_json()
    known = {e.id: e for e in _read(index, kind)}
    before = known.get(name)
    entry = Entry(
        id=name,
        path=relative(path, index.parent),
        sha256=sha256(text),
        content_digest=document.content_digest,
        passed=document.passed,
        # finer than a document's own time: two may be made within one second
        entered_at=before.entered_at if before is not None else datetime.now(UTC),
    )
    if before is not None and before.content_digest != entry.content_digest:
        raise EvidenceError(
            f"{index} knows {name} already, with other content",
            code="evidence.id_used",
            hint="give the new evidence an id of its own; the first stays as it is",
        )
    entries = tuple(sorted({**known, name: entry}.values(), key=lambda e: e.id))
    red = [
        Blocker(code=f"{kind}.not_passed:{e.id}", message=f"{e.path} does not pass", action=f"look at {e.path}")
        for e in entries
        if not e.passed
    ]
    found = Index(
        created_at=now(),
        producer=document.producer,
        subject=document.subject,
        kind=kind,
        entries=entries,
        **verdict(red),
    )
    write(path, text)
    write(index, found.to_json())
    return found


def latest(index: Path, kind: str, but: str) -> Path | None:
    """The file of the document that was entered last, relative to the index; none of the id `but` counts."""
    entries = [entry for entry in _read(index, kind) if entry.id != but]
    return Path(max(entries, key=lambda e: e.entered_at).path) if entries else None


def _read(index: Path, kind: str) -> tuple[Entry, ...]:
    if not index.exists():
        return ()
    try:
        found = Index.model_validate(parse(index.read_bytes()))
    except ValueError as error:
        raise _damaged(index, type(error).__name__) from None
    if found.kind != kind:
        raise _damaged(index, f"it is an index of {found.kind}")
    return found.entries


def _damaged(index: Path, reason: str) -> EvidenceError:
    return EvidenceError(
        f"the index {index} cannot be read: {reason}",
        code="evidence.invalid",
        hint="move it away; it is made again from the next document on",
    )
