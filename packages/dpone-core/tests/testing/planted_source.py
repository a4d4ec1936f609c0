"""Bugs of readings: windows, splits, snapshots, change logs and wire formats."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from msgspec.structs import replace
from planting import changes, plant, source, store, windows, wire

from dpone.stage import Change, ChangeKind
from dpone.testing.memory.cell import Cell, Table


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

    real = wire._out_column

    def out(values: Any, of: Any) -> Any:
        cut = Decimal("0.01")
        return [v.quantize(cut, ROUND_DOWN) if isinstance(v, Decimal) else v for v in real(values, of)]

    wire._out_column = out


@plant("test_types::test_a_native_type_is_read_as_it_is")
def wide_integers_go_through_floats() -> None:
    real = wire._out

    def out(value: Any, of: Any) -> Any:
        return str(int(float(value))) if wire._travels_as_text(of) and isinstance(value, int) else real(value, of)

    wire._out = out
