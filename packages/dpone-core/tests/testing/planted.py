"""Bugs that can be planted in the store in memory, each a testkit of that name whose connector has it.

`pytest --pyargs dpone.testing.suite --testkit planted:memory_with_upsert_ignores_null`. Asking for the name plants the
bug in this process, for good; so each runs in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

from dpone.connector import Layout, Staged
from dpone.errors import StateError
from dpone.ops import Append, DeleteKeys, Flag, ReplaceSlice, Upsert, Version
from dpone.oracle import Counts
from dpone.probes import Nulls, Probe, Total
from dpone.stage import Change, ChangeKind, Duplicates, Live, key_of
from dpone.testing.memory.cell import Cell, Table


def _module(name: str) -> Any:
    """A module of the store; its names are replaced at will."""
    return import_module(f"dpone.testing.memory.{name}")


changes, draft, sink, source = map(_module, ("changes", "draft", "sink", "source"))
publication, publishing, staging = map(_module, ("publication", "publishing", "staging"))
kits, store, windows, wire = map(_module, ("testkit", "store", "windows", "wire"))
sink, source, staging, store, windows, wire = map(_module, ("sink", "source", "staging", "store", "windows", "wire"))

Plant = Callable[[], None]
PLANTS: dict[str, tuple[Plant, str, bool]] = {}  # the bug, a test that must catch it, whether the sink publishes


def plant(caught_by: str, *, publishes: bool = False) -> Callable[[Plant], Plant]:
    def note(bug: Plant) -> Plant:
        PLANTS[bug.__name__] = (bug, caught_by, publishes)
        return bug

    return note


def __getattr__(name: str) -> Any:
    name = name.removeprefix("memory_with_")  # the bug itself is a function of its plain name
    if name not in PLANTS:
        raise AttributeError(name)
    bug, _, publishes = PLANTS[name]
    bug()
    return kits.publish_testkit if publishes else kits.testkit


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


# ------------------------------------------------------------------------- operations


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


# ---------------------------------------------------------------------------- staging


@plant("test_sealing::test_the_last_duplicate_by_the_declared_order_stays")
def first_duplicate_stays() -> None:
    real = staging.seal

    def seal(entries: Any, how: Any) -> Any:
        if how.duplicates is Duplicates.LAST and how.key:
            first = {key_of(e.row, how.key): e for e in reversed(list(entries))}
            entries = list(first.values())
        return real(entries, how)

    staging.seal = seal


@plant("test_sealing::test_duplicate_keys_are_refused")
def duplicates_are_collapsed_silently() -> None:
    real = staging.seal

    def seal(entries: Any, how: Any) -> Any:
        if not how.changes and how.key:
            entries = list({key_of(e.row, how.key): e for e in entries}.values())
        return real(entries, how)

    staging.seal = seal


@plant("test_sealing::test_a_window_is_reduced_to_the_last_change_of_each_key")
def changes_count_by_arrival() -> None:
    real = staging.seal

    def seal(entries: Any, how: Any) -> Any:
        return real([replace(e, seq=n) for n, e in enumerate(entries)] if how.changes else entries, how)

    staging.seal = seal


@plant("test_limits::test_a_null_where_the_program_needs_a_value_is_refused")
def nulls_are_not_counted() -> None:
    real = staging.measure

    def measure(rows: Any, probe: Probe) -> Any:
        return {m: 0 if isinstance(m, Nulls) else a for m, a in real(rows, probe).items()}

    staging.measure = measure
    for module in (publication, publishing):
        module.refuse_outside = lambda _program, _stage: None
        module.refuse_null = lambda _table: None


@plant("test_measures::test_a_stage_answers_every_measure")
def sums_are_floats() -> None:
    real = staging.measure

    def measure(rows: Any, probe: Probe) -> Any:
        from decimal import Decimal

        found = real(rows, probe).items()
        return {m: Decimal(float(a)) if isinstance(m, Total) and a is not None else a for m, a in found}

    staging.measure = measure


@plant("test_sealing::test_a_split_that_is_written_again_replaces_what_it_wrote")
def a_split_written_again_is_there_twice() -> None:
    real = staging.Parts.put
    times = iter(range(10**9))

    def put(self: Any, split: str, rows: Any) -> None:
        real(self, f"{split}-{next(times)}", rows)

    staging.Parts.put = put


@plant("test_sealing::test_a_split_whose_writer_failed_leaves_nothing")
def a_failed_writer_leaves_rows() -> None:
    @contextmanager
    def writer(self: Any, stage: Any, split: str) -> Iterator[Any]:
        made = staging.MemoryWriter(stage)
        try:
            yield made
        finally:
            from uuid import uuid4

            staging.Parts(self.store, stage.id).put(f"{split}-{uuid4().hex}", made.rows)

    sink.MemorySink.writer = writer


@plant("test_sealing::test_a_stage_says_what_it_holds")
def received_counts_live_rows() -> None:
    real = staging.MemoryStage.seal

    def seal(self: Any) -> Staged:
        staged: Staged = real(self)
        return replace(staged, received=staged.live) if self.spec.sealing.changes else staged

    staging.MemoryStage.seal = seal


@plant("test_upsert::test_upsert_sees_the_smallest_change")
def microseconds_are_cut() -> None:
    real = staging.unpack

    def unpack(batch: Any, fields: Any) -> Any:
        def cut(value: Any) -> Any:
            return value.replace(microsecond=value.microsecond // 1000 * 1000) if isinstance(value, datetime) else value

        return [tuple(map(cut, row)) for row in real(batch, fields)]

    staging.unpack = unpack


@plant("test_upsert::test_upsert_sees_the_smallest_change")
def empty_text_becomes_null() -> None:
    real = staging.unpack

    def unpack(batch: Any, fields: Any) -> Any:
        return [tuple(None if value == "" else value for value in row) for row in real(batch, fields)]

    staging.unpack = unpack


# -------------------------------------------------------------------------- publication


@plant("test_atomicity::test_no_step_of_a_load_is_visible_before_the_last")
def operations_show_one_by_one() -> None:
    real = publication.TransactionPublication.apply

    def apply(self: Any, program: Any, stage: Any) -> Any:
        applied: list[Counts] = []
        for op in program:
            applied += real(self, (op,), stage).counts
            self._store.transact(self._target, lambda cell: replace(cell, table=self.draft))
            self._base = self._store.current(self._target).table
        return type(real(self, (), stage))(tuple(applied))

    publication.TransactionPublication.apply = apply


@plant("test_atomicity::test_a_polling_reader_sees_states_between_loads_alone")
def rows_go_before_they_come() -> None:
    real = publication.TransactionPublication.commit

    def commit(self: Any) -> None:
        from time import sleep

        self._store.transact(
            self._target,
            lambda cell: replace(cell, table=cell.table and replace(cell.table, rows=())),
        )
        self._base = self._store.current(self._target).table
        sleep(0.02)  # long enough for a reader, as an engine's second statement is
        real(self)

    publication.TransactionPublication.commit = commit


@plant("test_crashes::test_a_load_that_fails_at_any_step_is_run_again")
def position_is_saved_before_the_rows() -> None:
    real = publication.TransactionPublication.save_position

    def save_position(self: Any, commit: Any) -> None:
        real(self, commit)
        self._store.transact(self._target, lambda cell: cell.with_commit(self._spec.pipeline, commit))

        def rows_only(cell: Cell) -> Cell:
            return replace(cell, xid=cell.xid + 1, table=self.draft)

        self._committed = rows_only

    publication.TransactionPublication.save_position = save_position


@plant("test_crashes::test_a_load_whose_process_is_killed_at_any_step_is_run_again")
def rows_are_committed_before_the_position() -> None:
    def commit(self: Any) -> None:
        from dpone.failpoints import hit

        saved = self._saved
        self._store.transact(self._target, lambda c: replace(c, xid=c.xid + 1, table=self.draft))
        hit("memory.between")
        self._store.transact(self._target, lambda c: c.with_commit(self._spec.pipeline, saved))

    publication.TransactionPublication.commit = commit


@plant("test_state::test_a_position_that_was_moved_meanwhile_is_a_conflict")
def positions_are_not_compared() -> None:
    publication.refuse_conflict = lambda *_: None


@plant("test_state::test_a_position_is_found_as_it_was_saved")
def only_the_generation_is_saved() -> None:
    real = Cell.with_commit

    def with_commit(self: Cell, pipeline: str, commit: Any) -> Cell:
        return real(self, pipeline, replace(commit, new=replace(commit.new, position=None)))

    Cell.with_commit = with_commit  # type: ignore[method-assign]  # the bug


@plant("test_state::test_chunks_are_remembered_until_the_last")
def finished_plans_are_remembered() -> None:
    real = Cell.with_commit

    def with_commit(self: Cell, pipeline: str, commit: Any) -> Cell:
        return real(self, pipeline, replace(commit, chunk=commit.chunk and replace(commit.chunk, last=False)))

    Cell.with_commit = with_commit  # type: ignore[method-assign]  # the bug


@plant("test_concurrency::test_a_target_is_leased_to_one_at_a_time")
def leases_exclude_nobody() -> None:
    @contextmanager
    def lease(_self: Any, _target: Any) -> Iterator[None]:
        yield

    store.Store.lease = lease


@plant("test_names::test_a_target_whose_name_does_not_fit_is_refused")
def names_are_cut() -> None:
    for module in (sink, draft, source):
        module.refuse_long_name = lambda _name: None


@plant("test_crashes::test_what_a_killed_load_leaves_is_swept")
def nothing_is_swept() -> None:
    sink.MemorySink.sweep = lambda _self, _older: []


@plant("test_sweep::test_a_sweep_leaves_the_stage_of_a_running_load")
def everything_is_swept() -> None:
    def sweep(self: Any, _older_than: timedelta) -> list[str]:
        swept = [(name, entry.id) for name in self.store.names() for entry in self.store.current(name).ledger]
        for name, leftover in swept:
            self._remove(name, leftover)
        return [leftover for _, leftover in swept]

    sink.MemorySink.sweep = sweep


@plant("test_crashes::test_a_load_that_fails_at_any_step_is_run_again", publishes=True)
def the_marker_is_not_read() -> None:
    def recovered(cell: Cell) -> Cell:
        for entry in cell.ledger:
            cell = cell.without(entry.id)
        return cell

    sink.recovered = recovered


@plant("test_state::test_state_without_a_marker_is_not_believed", publishes=True)
def state_is_believed_without_a_marker() -> None:
    real = publishing.recovered

    def recovered(cell: Cell) -> Cell:
        try:
            mended: Cell = real(cell)
        except StateError:
            return cell
        return mended

    sink.recovered = recovered


@plant("test_crashes::test_a_load_that_fails_at_any_step_is_run_again", publishes=True)
def the_marker_follows_the_rows() -> None:
    """The rows are exchanged by one act, and marked by a second one."""
    real = publishing.ShadowPublication._exchanged

    def exchanged(self: Any, cell: Cell) -> Cell:
        after: Cell = real(self, cell)
        assert after.table is not None
        self._late = after.table.marker
        before = None if self._base is None else self._base.marker
        return replace(after, table=replace(after.table, marker=before))

    commit = publishing.ShadowPublication.commit

    def commit_in_two(self: Any) -> None:
        commit(self)

        def mark(cell: Cell) -> Cell:
            assert cell.table is not None
            return replace(cell, table=replace(cell.table, marker=self._late))

        self._store.transact(self._target, mark)

    publishing.ShadowPublication._exchanged = exchanged
    publishing.ShadowPublication.commit = commit_in_two


# ------------------------------------------------------------------------------ source


@plant("test_windows::test_rows_of_an_equal_cursor_are_not_lost")
def equal_cursors_are_skipped() -> None:
    def inside(value: Any, lo: Any, hi: Any) -> bool:
        return value is not None and (lo is None or lo < value) and (hi is None or value < hi)

    windows._inside = inside


@plant("test_windows::test_late_rows_within_the_lag_are_not_lost")
def the_lag_is_ignored() -> None:
    from dpone.schema import Kind

    def lag(_cursor: Any, of: Any) -> Any:
        return timedelta(0) if of.kind in {Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ} else 0

    windows._lag = lag


@plant("test_windows::test_rows_without_a_cursor_are_refused")
def null_cursors_are_skipped() -> None:
    real = windows._since

    def since(request: Any, table: Table) -> Any:
        return real(replace(request, cursor=replace(request.cursor, skip_nulls=True)), table)

    windows._since = since


@plant("test_windows::test_an_emptied_table_keeps_its_position")
def an_empty_window_forgets_the_position() -> None:
    real = windows._since

    def since(request: Any, table: Table) -> Any:
        window = real(request, table)
        return window if table.rows else replace(window, upto=windows._reached(_ago(request), request.cursor))

    def _ago(request: Any) -> Any:
        stored: Any = windows._stored(request.since, request.cursor)
        if stored is None:
            return None
        return stored - (1_000 if isinstance(stored, int) else timedelta(days=1_000))

    windows._since = since


@plant("test_windows::test_no_row_is_read_twice_or_lost_when_rows_are_held_back")
def held_back_windows_are_closed() -> None:
    real = windows._inside

    def inside(value: Any, lo: Any, hi: Any) -> bool:
        step: Any = 0 if hi is None or isinstance(hi, int) else timedelta(minutes=20)
        found: bool = real(value, lo, None if hi is None else hi + step)
        return found

    windows._inside = inside


@plant("test_reading::test_splits_cover_every_row_once")
def the_last_row_of_a_split_is_lost() -> None:
    real = source.MemorySource.read

    def read(self: Any, request: Any, split: Any) -> Any:
        payload = split.payload
        if "to" in payload and payload["to"] % 2:
            split = replace(split, payload={**payload, "to": payload["to"] - 1})
        return real(self, request, split)

    source.MemorySource.read = read


@plant("test_reading::test_rows_that_come_while_a_table_is_read_do_not_disturb_it")
def a_reading_has_no_snapshot() -> None:
    def seen(self: Any, snapshot: str) -> Cell:
        kept: Cell = self._snapshots[snapshot]
        now: Cell = self.current(kept.name)
        assert now.table is not None
        # rows that came since push those before them out of their split
        return replace(now, table=replace(now.table, rows=(*now.table.rows[-1:], *now.table.rows[:-1])))

    store.Store.seen = seen


@plant("test_reading::test_a_filter_gives_the_rows_that_match")
def null_is_unequal() -> None:
    from dpone.where import Compare

    real = windows.matches

    def matches(row: Any, where: Any) -> bool:
        return all(
            (row[c.column] is None) or real(row, (c,)) if c.op in {Compare.NE, Compare.NOT_IN} else real(row, (c,))
            for c in where
        )

    windows.matches = matches


@plant("test_transactions::test_rows_that_were_written_since_are_read")
def a_transaction_is_read_past() -> None:
    real = windows.window_of

    def window_of(request: Any, table: Table, cell: Cell, system: str) -> Any:
        window = real(request, table, cell, system)
        if request.read.value == "xmin" and window.lo is not None:
            return replace(window, lo=window.lo + 1)
        return window

    source.window_of = window_of


@plant("test_changes::test_changes_lead_to_the_rows_that_are_there")
def a_key_change_is_only_an_update() -> None:
    real = windows._logged

    def logged(request: Any, table: Table, lo: Any) -> Any:
        found = list(real(request, table, lo))
        for at, change in enumerate(found):
            following = found[at + 1] if at + 1 < len(found) else None
            moved = change.kind is ChangeKind.DELETE and following and following.row["id"] != change.row["id"]
            if not moved:
                yield change

    windows._logged = logged


@plant("test_changes::test_unsettled_changes_come_again")
def reading_settles() -> None:
    real = source.MemorySource.open

    @contextmanager
    def opened(self: Any, request: Any) -> Iterator[Any]:
        with real(self, request) as reading:
            yield reading
        if reading.upto is not None and request.since is not None:
            self.settle(request, reading.upto)

    source.MemorySource.open = opened


@plant("test_changes::test_large_values_that_did_not_change_are_sent_or_said_to_be_kept")
def kept_columns_are_not_said() -> None:
    real = source.marks_of

    def marks_of(change: Change, request: Any) -> Any:
        seq, kind, _ = real(change, request)
        return seq, kind, None

    source.marks_of = marks_of


@plant("test_changes::test_changes_lead_to_the_rows_that_are_there")
def a_truncate_is_not_logged() -> None:
    real = changes._Transaction.note

    def note(self: Any, row: Any, kind: ChangeKind, kept: Any = ()) -> None:
        if kind is not ChangeKind.TRUNCATE:
            real(self, row, kind, kept)

    changes._Transaction.note = note


@plant("test_formats::test_rows_go_to_memory_by_arrow")
def arrow_cuts_decimals() -> None:
    from decimal import ROUND_DOWN, Decimal

    real = wire._out

    def out(value: Any, of: Any) -> Any:
        value = real(value, of)
        return value.quantize(Decimal("0.01"), ROUND_DOWN) if isinstance(value, Decimal) else value

    wire._out = out


@plant("test_types::test_a_native_type_is_read_as_it_is")
def wide_integers_go_through_floats() -> None:
    real = wire._out

    def out(value: Any, of: Any) -> Any:
        return str(int(float(value))) if wire._travels_as_text(of) and isinstance(value, int) else real(value, of)

    wire._out = out
