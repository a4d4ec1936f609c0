"""Bugs of stages: what was written is not what is sealed, measured or counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from msgspec.structs import replace
from planting import plant, publication, publishing, sink, staging

from dpone.connector import Staged
from dpone.probes import Nulls, Probe, Total
from dpone.stage import Duplicates, key_of


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
