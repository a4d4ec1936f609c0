"""What a load was asked for, in plain words and values, and the answer that it had to be refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from msgspec import Struct

Row = Mapping[str, object]
Key = tuple[object, ...]
Condition = tuple[str, str, object]  # column; one of = != < <= > >= in not_in is_null not_null; value


class Options(Struct, frozen=True):
    """`columns` are the content; everything else that a row of the target holds is a column that the load adds.

    `touched` and `unsent` say what rows alone cannot: the keys that were written between the two states of the source
    (since it was truncated, if it was), be it with the values that they had, and the columns whose values a change of
    a key did not bring with it.
    """

    columns: tuple[str, ...]
    key: tuple[str, ...] = ()
    first: bool = True  # nothing of this pipeline was in the target
    where: tuple[Condition, ...] = ()
    duplicates: Literal["fail", "last"] = "fail"
    order: tuple[str, ...] = ()  # the greatest is the last

    cursor: str | None = None
    since: object = None  # rows at or after it are read; None: all
    upto: object = None  # rows before it are read; None: all
    newer: str | None = None  # a row that is older in this column than the stored one is left out

    deletes: Literal["hard", "flag", "ignore"] = "hard"
    flag: str | None = None  # the column that holds the time of a deletion
    at: datetime | None = None  # of the load
    max_removed_share: float = 0.5
    allow_empty: bool = False

    slice_column: str | None = None
    grain: Literal["value", "hour", "day", "month", "year"] = "value"
    bounds: tuple[object, object] | None = None

    interval: tuple[str, str] = ("valid_from", "valid_to")
    compare: tuple[str, ...] = ()  # empty: all columns that are not in the key
    absent: Literal["expire", "keep"] = "expire"

    stamps: Mapping[str, object] = {}  # written beside every row that the load lands
    repeated: bool = False  # a load of this id was committed before
    reconcile: bool = False  # xmin: the keys that are there were read too
    names_deletes: bool = False  # incremental_merge from a log, which says what was deleted
    truncated: bool = False  # the source was emptied at once between its two states
    may_truncate: bool = True
    touched: frozenset[Key] = frozenset()
    unsent: Mapping[Key, frozenset[str]] = {}

    @property
    def compared(self) -> tuple[str, ...]:
        return self.compare or tuple(c for c in self.columns if c not in self.key)


class Refused(Exception):
    """The load must end with this error code, and the target must be as it was."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Violation:
    """One way in which the target is not what it should be. The rows are not printed: they may be a customer's."""

    kind: Literal["missing", "unexpected", "differs", "not_refused", "overlapping", "two_open", "history_changed"]
    detail: str
    key: Key = ()
    expected: Row | None = field(default=None, repr=False)
    found: Row | None = field(default=None, repr=False)
