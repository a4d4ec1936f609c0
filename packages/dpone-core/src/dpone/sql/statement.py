"""What a rendering yields: statements that say what they count, and questions whose answer may stop a load."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from dpone.errors import DataError
from dpone.oracle import Counts


class Counted(Enum):
    """What the engine's row count of a statement adds up to."""

    INSERTED = "inserted"
    UPDATED = "updated"
    DELETED = "deleted"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, and the part of `oracle.Counts` that its row count belongs to."""

    text: str
    counts: Counted = Counted.NOTHING

    def tally(self, rowcount: int) -> Counts:
        """What the statement did, given the row count that the engine reported."""
        return Counts() if self.counts is Counted.NOTHING else Counts(**{self.counts.value: rowcount})


@dataclass(frozen=True, slots=True)
class Check:
    """A query of one number that must be zero; `refuse` raises the error that any other number means."""

    text: str
    code: str
    message: str
    hint: str | None = None
    context: dict[str, object] = field(default_factory=dict)

    def refuse(self, found: int) -> None:
        """Raises unless nothing was found."""
        if found:
            raise DataError(self.message, code=self.code, hint=self.hint, rows=found, **self.context)


Statements = tuple[Statement, ...]
