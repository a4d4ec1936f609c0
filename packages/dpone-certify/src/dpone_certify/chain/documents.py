"""The documents `dpone.artifact_index.v1`, `dpone.evidence_chain.v1`, its index, and the result of a verification."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dpone_certify.certification.document import Sha256
from dpone_certify.documents.document import Artifact, Document, Part


class IndexedFile(Part):
    """A plain file below a root; `path` is relative to it."""

    path: str
    sha256: Sha256
    size: Annotated[int, Field(ge=0)]


class Root(Part):
    """A folder of evidence, by its path relative to the document, with every file in it."""

    root: str
    files: tuple[IndexedFile, ...]


class ArtifactIndex(Document):
    """Every file of a release. Passes when all of them are plain files within their roots, and there is one."""

    schema_version: Literal["dpone.artifact_index.v1"] = "dpone.artifact_index.v1"
    release_id: str
    roots: tuple[Root, ...]


class ChainEntry(Document):
    """What one release rests on. `previous` is the digest of the entry before, null for the first."""

    schema_version: Literal["dpone.evidence_chain.v1"] = "dpone.evidence_chain.v1"
    number: Annotated[int, Field(ge=1)]
    release_id: str
    previous: Sha256 | None
    artifact_index: Artifact
    roots: tuple[Root, ...]


class Link(Part):
    """An entry as the index of the chain knows it; `digest` is over its one spelling (RFC 8785)."""

    number: Annotated[int, Field(ge=1)]
    release_id: str
    path: str
    digest: Sha256


class ChainIndex(Document):
    """The entries in order. `head` is the digest of the last: who signs this document signs all of them."""

    schema_version: Literal["dpone.evidence_chain_index.v1"] = "dpone.evidence_chain_index.v1"
    entries: tuple[Link, ...]
    head: Sha256


class ChainVerification(Document):
    """What was found when every entry and every artifact was hashed again."""

    schema_version: Literal["dpone.evidence_chain_verification.v1"] = "dpone.evidence_chain_verification.v1"
    head: str | None
    releases: tuple[str, ...]
    artifact_count: int
    signature_verified: bool
