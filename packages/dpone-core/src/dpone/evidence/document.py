"""The model of every document, and what stops one from passing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, model_validator

from dpone.evidence.canonical import canonical, sha256


class Part(BaseModel):
    """A piece of a document: frozen, without unknown keys, numbers finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, ser_json_inf_nan="constants")


class Blocker(Part):
    """Why a document does not pass; the code without what follows its colon is an anchor in the docs."""

    code: str
    message: str
    action: str


class Artifact(Part):
    """A file that a document speaks of; `path` is relative to the document, `sha256` is null for one that is absent."""

    name: str
    path: str
    sha256: str | None


class Distribution(Part):
    version: str
    digest: str | None  # of its RECORD; of its sources where it is editable


class Subject(Part):
    """What the evidence is about. A field is null where there is nothing to say: no checkout, no seed."""

    distributions: Mapping[str, Distribution]
    registry_digest: str | None = None
    seed: int | None = None
    services: Mapping[str, str] = {}
    commit: str | None = None
    dirty: bool | None = None
    lock_digest: str | None = None


class Document(Part):
    """Any evidence. A subclass narrows `schema_version` to its own; nothing passes while something blocks it."""

    schema_version: str
    created_at: AwareDatetime
    producer: str
    subject: Subject
    passed: bool
    blockers: tuple[Blocker, ...]

    @model_validator(mode="after")
    def _fails_closed(self) -> Self:
        if self.passed and self.blockers:
            raise ValueError("a document with blockers does not pass")
        return self

    def to_json(self) -> str:
        """The canonical spelling."""
        return canonical(self.model_dump(mode="json"))

    @property
    def content_digest(self) -> str:
        """One hash over everything but the time of writing: equal for the same evidence written twice."""
        return sha256(canonical(self.model_dump(mode="json", exclude={"created_at"})))


def verdict(blockers: Iterable[Blocker]) -> dict[str, Any]:
    """`passed` and `blockers` as they follow from what was found; the order of finding is kept, repetition is not."""
    found = tuple(dict.fromkeys(blockers))
    return {"passed": not found, "blockers": found}


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
