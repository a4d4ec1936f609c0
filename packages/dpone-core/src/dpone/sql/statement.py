"""What a rendering yields: statements that say what they count, and questions whose answer may stop a load."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from dpone.errors import DataError
from dpone.oracle import Counts


class Counted(Enum):
    """What the engine's row count of a statement adds up to."""

    INSERTED = "inserted"
    UPDATED = "updated"
    DELETED = "deleted"
    NOTHING = "nothing"
    ANSWERED = "answered"  # it is a query that answers one row: how many it inserted, and how many it updated


class Statement(Struct, frozen=True):
    """One statement, and the part of `oracle.Counts` that its row count belongs to."""

    text: str
    counts: Counted = Counted.NOTHING

    def tally(self, rowcount: int) -> Counts:
        """What the statement did, given the row count that the engine reported."""
        assert self.counts is not Counted.ANSWERED  # which is asked, not run
        return Counts() if self.counts is Counted.NOTHING else Counts(**{self.counts.value: rowcount})


class Check(Struct, frozen=True):
    """A query of one number, and the error that any number but zero means."""

    text: str
    error: DataError

    def refuse(self, found: int) -> None:
        """Raises unless nothing was found."""
        if found:
            raise self.error


Statements = tuple[Statement, ...]
