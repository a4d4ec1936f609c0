"""What was gathered of a file: its document, the files that this rests on, and what was wrong while reading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from dpone_certify.documents.document import Blocker

if TYPE_CHECKING:
    from pydantic import BaseModel

Fault = Literal["missing", "invalid", "not_passed", "stale", "unsigned", "subject_mismatch"]


class Flaw(Struct, frozen=True):
    """Why evidence does not count. `detail` names more closely what its own kind of document knows of."""

    fault: Fault
    message: str
    action: str
    detail: Blocker | None = None


class Reference(Struct, frozen=True):
    """A file that a document names, by a path relative to it; `sha256` is what the document says of it, if it does."""

    name: str
    path: str
    sha256: str | None = None
    expected: frozenset[str] | None = None  # the schemas that may stand there; any, or none, if it does not matter
    is_data: bool = False  # no document of its own: bytes that the document's judge looks at
    most_bytes: int | None = None


class Evidence(Struct, frozen=True):
    """A file as it was found. `value` is what it holds, `document` the same by its model; None for an opaque file."""

    name: str
    path: Path | None
    sha256: str | None = None
    value: Any = None
    document: BaseModel | None = None
    flaws: tuple[Flaw, ...] = ()
    refusal: str | None = None  # why the public key does not vouch for it; None also where no key was given
    parts: tuple[Evidence, ...] = ()

    @property
    def is_there(self) -> bool:
        return self.sha256 is not None

    @property
    def is_opaque(self) -> bool:
        return self.document is None and not self.flaws

    @property
    def created_at(self) -> datetime | None:
        found = getattr(self.document, "created_at", None)
        return found if isinstance(found, datetime) else None

    def part(self, name: str) -> Evidence | None:
        return next((part for part in self.parts if part.name == name), None)

    def walk(self) -> Iterator[Evidence]:
        """This, and everything that it rests on."""
        yield self
        for part in self.parts:
            yield from part.walk()


def blockers_of(name: str, flaws: Iterable[Flaw], subject: str = "") -> tuple[Blocker, ...]:
    """The flaws as blockers of `name`, one for each code: `<name>.<fault><subject>`, or what the detail says."""
    return merged(
        flaw.detail
        if flaw.detail and not subject
        else Blocker(code=f"{name}.{flaw.fault}{subject}", message=flaw.message, action=flaw.action)
        for flaw in flaws
    )


def merged(blockers: Iterable[Blocker]) -> tuple[Blocker, ...]:
    """One blocker for each code; its message tells all of them, up to a few."""
    found: dict[str, list[Blocker]] = {}
    for blocker in blockers:
        found.setdefault(blocker.code, []).append(blocker)
    return tuple(
        Blocker(code=code, message=_together([b.message for b in same]), action=same[0].action)
        for code, same in found.items()
    )


def _together(messages: list[str]) -> str:
    shown = list(dict.fromkeys(messages))
    return "; ".join(shown[:_SHOWN]) + (f"; and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else "")


_SHOWN = 3
