"""The ten load strategies, each a pure function from a load to a program of operations.

A strategy works for a pair exactly when the source can be read as it asks and the sink carries out what it emits; no
table of strategy × sink exists anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import Enum

from msgspec import Struct, field
from msgspec.structs import replace

from dpone.ops import (
    Absent,
    Append,
    DeleteAbsent,
    DeleteKeys,
    DeletePolicy,
    Flag,
    Grain,
    Guard,
    Hard,
    Op,
    Program,
    Recreate,
    ReplaceAll,
    ReplaceSlice,
    Upsert,
    Version,
)
from dpone.where import Where


class Read(Enum):
    """The ways in which a source can be read."""

    SCAN = "scan"
    SINCE = "since"  # rows at or after a cursor
    XMIN = "xmin"  # rows written since a transaction snapshot
    CHANGES = "changes"  # a log of inserts, updates, deletes and truncates


class Load(Struct, frozen=True):
    """Everything about one load that a strategy may depend on; nothing of it is read from the clock later."""

    id: str
    at: datetime
    columns: tuple[str, ...]
    key: tuple[str, ...] = ()
    first: bool = True  # nothing of this pipeline is in the target yet
    where: Where = ()
    newer: str | None = None
    deletes: DeletePolicy = field(default_factory=Hard)
    guard: Guard = Guard()
    slice_column: str | None = None
    grain: Grain = Grain.VALUE
    bounds: tuple[object, object] | None = None
    names: tuple[str, str] = ("valid_from", "valid_to")
    compare: tuple[str, ...] = ()  # empty: every column that is not in the key
    absent: Absent = Absent.EXPIRE
    reconcile: bool = False  # xmin: the keys present at the source were read too


def at_time(load: Load, at: datetime) -> Load:
    """The load as of this moment, which is also when its soft deletes happen."""
    deletes = replace(load.deletes, at=at) if isinstance(load.deletes, Flag) else load.deletes
    return replace(load, at=at, deletes=deletes)


class Strategy(Struct, frozen=True):
    """`needs` names the fields of a load without which the program means nothing: key, slice_column, bounds."""

    name: str
    read: Read
    emits: frozenset[type[Op]]
    program: Callable[[Load], Program]
    needs: frozenset[str] = frozenset()


def flag_of(load: Load) -> str | None:
    return load.deletes.column if isinstance(load.deletes, Flag) else None


def _upsert(load: Load) -> Upsert:
    return Upsert(load.key, load.newer, flag_of(load))


def _full_refresh(load: Load) -> Program:
    return (Recreate(load.guard),)


def _incremental_append(load: Load) -> Program:
    return (Append(load.id, load.key),)


def _incremental_merge(load: Load) -> Program:
    return (_upsert(load), DeleteKeys(load.key, load.deletes))


def _replace(load: Load) -> Program:
    return (ReplaceAll(load.where, load.guard),)


def _slice(load: Load) -> Program:
    assert load.slice_column is not None  # `needs`
    return (ReplaceSlice(load.slice_column, load.grain, load.bounds, load.guard),)


def _snapshot_diff(load: Load) -> Program:
    # deletes first: the guard then measures the target as it was found, not as the upsert left it
    return (DeleteAbsent(load.key, load.deletes, load.guard, load.where), _upsert(load))


def _scd2(load: Load) -> Program:
    compare = load.compare or tuple(c for c in load.columns if c not in load.key)
    return (Version(load.key, load.at, compare, load.names, load.absent, load.guard),)


def _xmin(load: Load) -> Program:
    return _snapshot_diff(load) if load.reconcile else (_upsert(load),)


def _cdc(load: Load) -> Program:
    # the first load is a snapshot, so what it does not hold is gone; later ones say themselves what was deleted
    return _snapshot_diff(load) if load.first else _incremental_merge(load)


_KEY = frozenset({"key"})
_SLICE = frozenset({"slice_column"})

FULL_REFRESH = Strategy("full_refresh", Read.SCAN, frozenset({Recreate}), _full_refresh)
INCREMENTAL_APPEND = Strategy("incremental_append", Read.SINCE, frozenset({Append}), _incremental_append)
INCREMENTAL_MERGE = Strategy("incremental_merge", Read.SINCE, frozenset({Upsert, DeleteKeys}), _incremental_merge, _KEY)
REPLACE = Strategy("replace", Read.SCAN, frozenset({ReplaceAll}), _replace)
PARTITION_REPLACE = Strategy("partition_replace", Read.SCAN, frozenset({ReplaceSlice}), _slice, _SLICE)
SNAPSHOT_DIFF = Strategy("snapshot_diff", Read.SCAN, frozenset({Upsert, DeleteAbsent}), _snapshot_diff, _KEY)
SCD2 = Strategy("scd2", Read.SCAN, frozenset({Version}), _scd2, _KEY)
BACKFILL = Strategy("backfill", Read.SCAN, frozenset({ReplaceSlice}), _slice, _SLICE | {"bounds"})
XMIN = Strategy("xmin", Read.XMIN, frozenset({Upsert, DeleteAbsent}), _xmin, _KEY)
CDC = Strategy("cdc", Read.CHANGES, frozenset({Upsert, DeleteKeys, DeleteAbsent}), _cdc, _KEY)

STRATEGIES: dict[str, Strategy] = {
    s.name: s
    for s in (
        FULL_REFRESH,
        INCREMENTAL_APPEND,
        INCREMENTAL_MERGE,
        REPLACE,
        PARTITION_REPLACE,
        SNAPSHOT_DIFF,
        SCD2,
        BACKFILL,
        XMIN,
        CDC,
    )
}

# How a whole table is landed again where its position may be lost with its slot, or must move with its rows: read as on
# the first day, up to a new position. These are no strategies that a manifest can name, so they are in no matrix.
AGAIN: dict[str, Strategy] = {
    f"{s.name} again": Strategy(f"{s.name} again", s.read, emits, program, needs)
    for s, emits, program, needs in (
        (INCREMENTAL_APPEND, frozenset[type[Op]]({ReplaceAll}), _replace, frozenset[str]()),
        (XMIN, SNAPSHOT_DIFF.emits, _snapshot_diff, _KEY),
        (CDC, SNAPSHOT_DIFF.emits, _snapshot_diff, _KEY),
    )
}


def rule_of(name: str) -> Strategy:
    """The strategy that a plan names."""
    return AGAIN[name] if name in AGAIN else STRATEGIES[name]
