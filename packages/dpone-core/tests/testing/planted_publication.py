"""Bugs of the final act, of positions, leases, names and sweeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from msgspec.structs import replace
from planting import draft, plant, publication, publishing, sink, source, store

from dpone.errors import StateError
from dpone.oracle import Counts
from dpone.testing.memory.cell import Cell


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
