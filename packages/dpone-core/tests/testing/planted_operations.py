"""Bugs of operations: what the oracle says is not what is carried out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace
from planting import draft, plant, publication, publishing

from dpone.connector import Layout
from dpone.ops import Append, DeleteKeys, Flag, ReplaceSlice, Upsert, Version
from dpone.oracle import Counts
from dpone.stage import Live, key_of
from dpone.testing.memory.cell import Table


def _around(change: Callable[..., Any]) -> None:
    """Every operation is carried out by `change(real, op, table, stage, layout, xid)`."""
    real = draft.carried_out

    def carried_out(op: Any, table: Table, stage: Any, layout: Layout, xid: int) -> tuple[Table, Counts]:
        done: tuple[Table, Counts] = change(real, op, table, stage, layout, xid)
        return done

    for module in (publication, publishing):
        module.carried_out = carried_out


class _Staged:
    """A stage with other sealed rows."""

    def __init__(self, stage: Any, **changed: Any) -> None:
        self.spec = stage.spec
        self.sealed = replace(stage.sealed, **changed)


@plant("test_upsert::test_upsert_sees_the_smallest_change")
def upsert_ignores_null() -> None:
    def change(real: Any, op: Any, table: Table, stage: Any, layout: Any, xid: int) -> Any:
        if isinstance(op, Upsert):
            stored = {key_of(r, op.key): r for r in table.content}

            def whole(entry: Live) -> Live:
                old = stored.get(key_of(entry.row, op.key), {})
                return replace(entry, row={c: old.get(c) if v is None else v for c, v in entry.row.items()})

            stage = _Staged(stage, live=tuple(map(whole, stage.sealed.live)))
        return real(op, table, stage, layout, xid)

    _around(change)


@plant("test_upsert::test_upsert_leaves_equal_rows_untouched")
def upsert_rewrites_equal_rows() -> None:
    def change(real: Any, op: Any, table: Table, stage: Any, layout: Any, xid: int) -> Any:
        done, counts = real(op, table, stage, layout, xid)
        if isinstance(op, Upsert):
            staged = {key_of(r, op.key) for r in stage.sealed.rows}
            counts = replace(counts, updated=sum(key_of(r, op.key) in staged for r in table.content))
        return done, counts

    _around(change)


@plant("test_whole_tables::test_append_of_the_same_load_again_adds_nothing")
def append_forgets_its_loads() -> None:
    def change(real: Any, op: Any, table: Table, *rest: Any) -> Any:
        return real(op, replace(table, appended=frozenset()) if isinstance(op, Append) else table, *rest)

    _around(change)


@plant("test_deletes::test_a_truncate_at_the_source_goes_by_policy")
def truncate_is_not_carried_out() -> None:
    _around(
        lambda real, op, table, stage, *rest: real(
            op, table, _Staged(stage, cleared=False) if isinstance(op, DeleteKeys) else stage, *rest
        )
    )


@plant("test_upsert::test_a_key_that_returns_clears_its_flag")
def flag_stays() -> None:
    def change(real: Any, op: Any, *rest: Any) -> Any:
        return real(replace(op, flag=None) if isinstance(op, Upsert) else op, *rest)

    _around(change)


@plant("test_deletes::test_dead_keys_go_by_policy")
def flag_is_written_again() -> None:
    def change(real: Any, op: Any, table: Table, stage: Any, layout: Any, xid: int) -> Any:
        done, counts = real(op, table, stage, layout, xid)
        if isinstance(op, DeleteKeys) and isinstance(op.how, Flag):
            column, at, dead = op.how.column, op.how.at, set(stage.sealed.dead)
            again = [{**r, column: at} if key_of(r, op.key) in dead else r for r in done.content]
            done = done.rewritten(again, xid)
        return done, counts

    _around(change)


@plant("test_limits::test_an_empty_stage_does_not_empty_the_target")
def guard_is_ignored() -> None:
    from dpone.ops import Guard

    free = Guard(max_removed_share=1.0, allow_empty=True)
    _around(lambda real, op, *rest: real(replace(op, guard=free) if hasattr(op, "guard") else op, *rest))


@plant("test_upsert::test_upsert_keeps_stored_values_of_a_partial_row")
def kept_values_are_lost() -> None:
    def change(real: Any, op: Any, table: Table, stage: Any, *rest: Any) -> Any:
        whole = _Staged(stage, live=tuple(Live(entry.row) for entry in stage.sealed.live))
        return real(op, table, whole, *rest)

    _around(change)


@plant("test_slices::test_a_range_is_exchanged_and_its_bounds_are_half_open")
def upper_bound_is_inclusive() -> None:
    def change(real: Any, op: Any, *rest: Any) -> Any:
        if isinstance(op, ReplaceSlice) and op.bounds:
            lo, hi = op.bounds
            step: Any = timedelta(microseconds=1) if isinstance(hi, datetime) else timedelta(days=1)
            op = replace(op, bounds=(lo, hi + 1 if isinstance(hi, int) else hi + step))
        return real(op, *rest)

    _around(change)


@plant("test_history::test_versions_are_closed_and_opened")
def absent_keys_are_not_expired() -> None:
    from dpone.ops import Absent

    _around(lambda real, op, *r: real(replace(op, absent=Absent.KEEP) if isinstance(op, Version) else op, *r))


@plant("test_evolution::test_columns_that_the_source_lost_stay")
def a_lost_column_is_emptied() -> None:
    def change(real: Any, op: Any, table: Table, stage: Any, layout: Layout, xid: int) -> Any:
        done, counts = real(op, table, stage, layout, xid)
        lost = dict.fromkeys(c for c in layout.schema.names if c not in stage.spec.columns)
        staged = {r["id"] for r in stage.sealed.rows} if lost else set()
        return done.rewritten([{**r, **lost} if r.get("id") in staged else r for r in done.content], xid), counts

    _around(change)
