"""The eight operations: the whole vocabulary that a strategy may emit and a sink may carry out.

An operation is data. It is printed in plans and evidence, compared in tests, checked against what a sink can do, and
executed twice: by the oracle on rows in memory and by an engine. Its meaning is settled in `dpone.oracle`; a ninth
one is a design discussion.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from msgspec import Struct

from dpone.where import Where, refuse_nan


class Guard(Struct, frozen=True):
    """How much may vanish in one load before it is stopped: `guard.empty`, `guard.removed_share`.

    `before` counts the rows in the reach of the operation that are not flagged as deleted, as the operation finds them;
    of a history, the open versions, of which those that expire are removed.
    """

    max_removed_share: float = 0.5
    allow_empty: bool = False


class Hard(Struct, frozen=True):
    """A deleted row is removed."""


class Flag(Struct, frozen=True):
    """A deleted row stays, and `column` holds the time of its deletion; a returning key clears it."""

    column: str
    at: datetime


class Ignore(Struct, frozen=True):
    """A deleted row stays as it is."""


DeletePolicy = Hard | Flag | Ignore


class Grain(Enum):
    """How a slice column is cut into slices."""

    VALUE = "value"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    YEAR = "year"


class Absent(Enum):
    """What a version history does with a key that is no longer there."""

    EXPIRE = "expire"
    KEEP = "keep"


class Recreate(Struct, frozen=True):
    """The target takes the stage's schema and rows."""

    guard: Guard = Guard()


class ReplaceAll(Struct, frozen=True):
    """The same table; its rows, or those within `where`, are exchanged for the staged ones."""

    where: Where = ()
    guard: Guard = Guard()


class Append(Struct, frozen=True):
    """Rows are added once per load id; with `unless`, only those whose key is new."""

    load_id: str
    unless: tuple[str, ...] = ()


class Upsert(Struct, frozen=True):
    """Rows whose key is staged and whose content differs are exchanged, missing ones inserted, equal ones untouched.

    With `newer`, a staged row that is older in that column than the stored one is left out; NULL is the oldest, and NaN
    older than every number. `flag` names the column that marks deleted rows: a returning key clears it.
    """

    key: tuple[str, ...]
    newer: str | None = None
    flag: str | None = None


class DeleteKeys(Struct, frozen=True):
    """Rows whose key is dead go by policy; after a TRUNCATE at the source, so do those whose key is not staged."""

    key: tuple[str, ...]
    how: DeletePolicy = Hard()


class DeleteAbsent(Struct, frozen=True):
    """Rows (inside `within`, the read's own filter) whose key is neither staged nor present go by policy."""

    key: tuple[str, ...]
    how: DeletePolicy = Hard()
    guard: Guard = Guard()
    within: Where = ()


class ReplaceSlice(Struct, frozen=True):
    """A range [lo, hi), or with no bounds the slices that the stage contains, is exchanged for the staged rows.

    NULL and NaN lie in no range. NULL lies in no slice; of grain `value`, NaN is a slice of its own.
    """

    column: str
    grain: Grain = Grain.VALUE
    bounds: tuple[object, object] | None = None
    guard: Guard = Guard()

    def __post_init__(self) -> None:
        refuse_nan(self.column, self.bounds or ())


class Version(Struct, frozen=True):
    """Changed rows are closed at `at`, new versions opened, absent ones kept or expired; an open end is NULL.

    `compare` names the columns whose change makes a new version; `names` are the columns of the half-open interval. The
    guard speaks of versions that expire because their key is absent; where absent ones are kept it has nothing to say.
    """

    key: tuple[str, ...]
    at: datetime
    compare: tuple[str, ...]
    names: tuple[str, str] = ("valid_from", "valid_to")
    absent: Absent = Absent.EXPIRE
    guard: Guard = Guard()


Op = Recreate | ReplaceAll | Append | Upsert | DeleteKeys | DeleteAbsent | ReplaceSlice | Version
OPS: tuple[type[Op], ...] = (Recreate, ReplaceAll, Append, Upsert, DeleteKeys, DeleteAbsent, ReplaceSlice, Version)
Program = tuple[Op, ...]


class Domain(Struct, frozen=True):
    """What every live row of a stage must be, so that a program can be applied twice and leave the same rows."""

    not_null: tuple[str, ...] = ()
    where: Where = ()
    bounds: tuple[str, object, object] | None = None


def domain(program: Program) -> Domain:
    """The domain of a whole program: the union of what its operations demand."""
    not_null: dict[str, None] = {}
    where: Where = ()
    bounds: tuple[str, object, object] | None = None
    for op in program:
        match op:
            case Append(unless=key) | Upsert(key=key) | DeleteKeys(key=key) | Version(key=key):
                not_null |= dict.fromkeys(key)
            case DeleteAbsent(key=key, within=within):
                not_null |= dict.fromkeys(key)
                where += tuple(c for c in within if c not in where)
            case ReplaceAll(where=within):
                where += tuple(c for c in within if c not in where)
            case ReplaceSlice(column=column, bounds=limits):
                not_null[column] = None
                bounds = bounds if limits is None else (column, *limits)
            case Recreate():
                pass
    return Domain(tuple(not_null), where, bounds)
