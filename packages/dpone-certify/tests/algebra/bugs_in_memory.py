"""Bugs in strategies, in sealing and in the oracle.

A bug in a strategy misleads oracle and SQL alike, so that only the postcondition can see it. Bugs in sealing and oracle
run without SQL for the same reason, unless what they break cannot be told from rows.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from msgspec.structs import replace

from algebra.seams import Bug, around, each, everywhere, of_stage, program, put
from dpone import oracle, stage, where
from dpone.ops import (
    Absent,
    Append,
    DeleteAbsent,
    DeleteKeys,
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
from dpone.stage import Change, ChangeKind, Sealed, Sealing
from dpone.strategies import Load
from dpone.where import lies_within

LAX = Guard(1.0, allow_empty=True)


def _no_deletes_later(ops: Program, load: Load) -> Program:
    return ops if load.first else tuple(op for op in ops if not isinstance(op, DeleteKeys))


def _without(kind: type[Op]) -> Callable[[Program, Load], Program]:
    return lambda ops, _load: tuple(op for op in ops if not isinstance(op, kind))


IN_STRATEGIES = (
    Bug("cdc forgets deletions after its first load", ("cdc",), program("cdc", _no_deletes_later)),
    Bug("cdc begins without looking for absent keys", ("cdc",), program("cdc", _without(DeleteAbsent))),
    Bug(
        "incremental_merge forgets what a log deleted",
        ("incremental_merge",),
        program("incremental_merge", _without(DeleteKeys)),
    ),
    Bug(
        "snapshot_diff upserts before the guard looks",
        ("snapshot_diff",),
        program("snapshot_diff", lambda o, _: o[::-1]),
    ),
    Bug(
        "snapshot_diff removes rows outside the read",
        ("snapshot_diff",),
        program("snapshot_diff", each(DeleteAbsent, within=())),
    ),
    Bug("xmin does not look for absent keys", ("xmin",), program("xmin", _without(DeleteAbsent))),
    Bug(
        "incremental_append adds keys that are there",
        ("incremental_append",),
        program("incremental_append", each(Append, unless=())),
    ),
    Bug("replace ignores its filter", ("replace",), program("replace", each(ReplaceAll, where=()))),
    Bug(
        "backfill exchanges the staged slices only", ("backfill",), program("backfill", each(ReplaceSlice, bounds=None))
    ),
    Bug(
        "partition_replace cuts by value",
        ("partition_replace",),
        program("partition_replace", each(ReplaceSlice, grain=Grain.VALUE)),
    ),
    Bug("scd2 compares no columns", ("scd2",), program("scd2", each(Version, compare=()))),
    Bug("scd2 expires what it should keep", ("scd2",), program("scd2", each(Version, absent=Absent.EXPIRE))),
    Bug("scd2 has no guard", ("scd2",), program("scd2", each(Version, guard=LAX))),
    Bug("full_refresh has no guard", ("full_refresh",), program("full_refresh", each(Recreate, guard=LAX))),
    Bug("a returning key keeps its flag", ("snapshot_diff",), program("snapshot_diff", each(Upsert, flag=None))),
    Bug("a flag is a removal", ("cdc",), program("cdc", each(DeleteKeys, how=Hard()))),
    Bug("late rows overwrite newer ones", ("xmin",), program("xmin", each(Upsert, newer=None))),
)

# ---------------------------------------------------------------- in sealing, in memory


def _dead_stay_dead(honest: Callable[..., Sealed], entries: list[Change], how: Sealing) -> Sealed:
    sealed = honest(list(entries), how)
    died = (stage.key_of(e.row, how.key) for e in entries if e.kind is ChangeKind.DELETE)
    return replace(sealed, dead=tuple(dict.fromkeys((*sealed.dead, *died))))


def _first_wins(honest: Callable[..., Sealed], entries: list[Change], how: Sealing) -> Sealed:
    return honest([replace(e, seq=-e.seq) if e.kind is not ChangeKind.TRUNCATE else e for e in entries], how)


def _no_truncate(honest: Callable[..., Sealed], entries: list[Change], how: Sealing) -> Sealed:
    return honest([e for e in entries if e.kind is not ChangeKind.TRUNCATE], how)


def _whole(honest: Callable[..., Sealed], entries: list[Change], how: Sealing) -> Sealed:
    return honest([replace(e, kept=frozenset()) for e in entries], how)


def _least_last(honest: Callable[..., Any], row: object, order: object) -> Any:
    return tuple((-place, -(v.toordinal() if isinstance(v, date) else v)) for place, v in honest(row, order))


IN_SEALING = (
    Bug("a key that came back is still dead", ("cdc",), around(stage, "seal", _dead_stay_dead), without_sql=True),
    Bug("the first change of a key wins", ("cdc",), around(stage, "_seal_changes", _first_wins), without_sql=True),
    Bug("truncate is ignored", ("cdc",), around(stage, "seal", _no_truncate), without_sql=True),
    Bug(
        "truncate does not clear the target", ("cdc",), of_stage(lambda s: replace(s, cleared=False)), without_sql=True
    ),
    Bug("partial rows count as whole", ("cdc",), around(stage, "seal", _whole), without_sql=True),
    Bug(
        "a partial row forgets the one before it",
        ("cdc",),
        put(stage, "_fold", lambda _, e: stage.Live(e.row, e.kept)),
        without_sql=True,
    ),
    Bug(
        "duplicates take any row",
        ("snapshot_diff",),
        put(stage, "_last", lambda _key, group, _how: group[0]),
        without_sql=True,
    ),
    Bug(
        "the least of duplicates is the last",
        ("snapshot_diff", "scd2"),
        around(stage, "_rank", _least_last),
        without_sql=True,
    ),
    Bug("changes without an order are let through", ("cdc",), put(stage, "_refuse_unordered", lambda *_: None)),
    Bug(
        "NULL in the key is let through",
        ("snapshot_diff", "scd2", "cdc"),
        everywhere([stage, oracle], "outside_domain", lambda *_: {}),
        without_sql=True,
    ),
    Bug("rows outside the filter are let through", ("replace",), put(stage, "matches", lambda *_: True)),
    Bug("present keys are lost", ("xmin",), of_stage(lambda s: replace(s, present=())), without_sql=True),
    Bug(
        "NaN is the greatest",
        ("snapshot_diff", "xmin"),
        around(stage, "standing", lambda h, v: (3, 0) if h(v)[0] == 1 else h(v)),
        without_sql=True,
        nan=True,
    ),
    Bug("NaN is not NaN", ("snapshot_diff",), put(stage, "canonical", lambda v: v), without_sql=True, nan=True),
)

# --------------------------------------------------------------------------- in the oracle


def _bounds_inclusive(honest: Callable[..., Any], op: ReplaceSlice, sealed: Sealed) -> Any:
    if op.bounds is None:
        return honest(op, sealed)
    lo, hi = op.bounds
    return lambda row: row[op.column] == hi or lies_within(row[op.column], lo, hi)


def _unledgered(honest: Callable[..., Any], op: Append, table: oracle.Table, sealed: Sealed) -> Any:
    return honest(op, replace(table, loads=frozenset()), sealed)


def _by_offset(honest: Callable[..., object], value: Any, grain: Grain) -> object:
    return honest(value.replace(tzinfo=None) if getattr(value, "tzinfo", None) else value, grain)


def _all_open(honest: Callable[..., None], op: Version, table: oracle.Table, staged: object) -> None:
    honest(op, replace(table, rows=tuple({**row, op.names[1]: None} for row in table.rows)), staged)


IN_ORACLE = (
    Bug(
        "an older row wins",
        ("snapshot_diff",),
        around(oracle, "_supersedes", lambda h, *a: not h(*a)),
        without_sql=True,
    ),
    Bug("equal rows are touched", ("snapshot_diff",), put(oracle, "_unchanged", lambda *_: False), without_sql=True),
    Bug(
        "kept columns are compared",
        ("cdc",),
        around(oracle, "_unchanged", lambda h, e, r, o, t: h(replace(e, kept=frozenset()), r, o, t)),
        without_sql=True,
    ),
    Bug(
        "the guard never speaks",
        ("snapshot_diff",),
        put(oracle, "guard_against", lambda *_, **__: None),
        without_sql=True,
    ),
    Bug(
        "the guard counts flagged rows",
        ("snapshot_diff",),
        put(oracle, "_unflagged", lambda rows, _how: list(rows)),
        without_sql=True,
    ),
    Bug(
        "the guard counts closed versions",
        ("scd2",),
        around(oracle, "_guard_expiry", _all_open),
        without_sql=True,
    ),
    Bug(
        "NaN is newer than any number",
        ("xmin",),
        around(oracle, "standing", lambda h, v: (3, 0) if h(v)[0] == 1 else h(v)),
        without_sql=True,
        nan=True,
    ),
    Bug(
        "NaN passes a comparison of order",
        ("replace",),
        around(where, "_true", lambda h, found, c: where.is_nan(found) or h(found, c)),
        without_sql=True,
        nan=True,
    ),
    Bug("the upper bound is inside", ("backfill",), around(oracle, "_in_slice", _bounds_inclusive), without_sql=True),
    Bug(
        "instants are cut by their own offset",
        ("partition_replace",),
        around(oracle, "slice_of", _by_offset),
        without_sql=True,
    ),
    Bug("a load is appended twice", ("incremental_append",), around(oracle, "_append", _unledgered), without_sql=True),
    Bug(
        "landed rows carry no stamp",
        ("full_refresh",),
        around(oracle, "_fresh", lambda h, e, t, s: h(e, t, replace(s, stamps={}))),
        without_sql=True,
    ),
    Bug(
        "any change makes a version",
        ("scd2",),
        around(oracle, "_version", lambda h, op, t, s: h(replace(op, compare=t.columns), t, s)),
        without_sql=True,
    ),
    Bug(
        "a returning key is not cleared",
        ("cdc",),
        around(oracle, "_upsert", lambda h, op, t, s: h(replace(op, flag=None), t, s)),
        without_sql=True,
    ),
)
