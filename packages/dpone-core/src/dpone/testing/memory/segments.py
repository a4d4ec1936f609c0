"""Checksums and rows of segments of a table in a store, as one snapshot has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from dpone.diff.spelling import hash_of, row_text, spell
from dpone.schema import Type
from dpone.segments import HASHES, TOTALS, Checksum, Extent, Shape, Span
from dpone.testing.memory.cell import Table, table_of
from dpone.testing.memory.store import Store
from dpone.where import Row, matches


class MemorySegments:
    def __init__(self, table: Table, types: Mapping[str, Type], extent: Extent) -> None:
        self._extent = extent
        self._types = types
        self._rows = [row for row in table.content if matches(row, extent.where)]
        self.nbytes = 0
        self.digest = None

    @property
    def refused(self) -> Mapping[str, str]:
        return {c.name: "it is not there" for c in self._extent.columns if c.name not in self._types}

    def shape(self) -> Shape:
        places = [p for row in self._rows if (p := self._place(row)) is not None]
        null_keys = sum(any(row[k] is None for k in self._extent.key) for row in self._rows)
        return Shape(len(self._rows), null_keys, min(places, default=None), max(places, default=None))

    def checksums(self, spans: Sequence[Span], step: int, *, hashed: bool, own: bool) -> Mapping[int, Checksum]:
        first = spans[0]
        found: dict[int, Checksum] = {}
        for row in self._within(spans):
            place = self._key_hash(row) - first.hash_lo if hashed else (self._place(row) or 0) - (first.lo or 0)
            before = found.get(place // step, Checksum(0, 0))
            total = (before.total + hash_of(self._text(row))) % TOTALS
            found[place // step] = Checksum(before.rows + 1, total)
        self.nbytes += 24 * len(found)  # three numbers each, if they had to travel
        return found

    def rows(self, spans: Sequence[Span]) -> Iterator[tuple[str | None, ...]]:
        for row in self._within(spans):
            texts = self._texts(row)
            self.nbytes += sum(len(text.encode()) for text in texts if text is not None)
            yield texts

    def is_steady(self) -> bool:
        return True

    def _within(self, spans: Sequence[Span]) -> Iterator[Row]:
        return (row for row in self._rows if any(self._lies(row, span) for span in spans))

    def _lies(self, row: Row, span: Span) -> bool:
        if span.lo is not None:
            place = self._place(row)
            assert span.hi is not None
            if place is None or not span.lo <= place < span.hi:
                return False
        whole = (span.hash_lo, span.hash_hi) == (0, HASHES)
        return whole or span.hash_lo <= self._key_hash(row) < span.hash_hi

    def _place(self, row: Row) -> int | None:
        found = None if self._extent.axis is None else row[self._extent.axis]
        return None if found is None else int(str(found))

    def _texts(self, row: Row) -> tuple[str | None, ...]:
        return tuple(spell(row.get(c.name), c.form) for c in self._extent.columns)

    def _text(self, row: Row) -> str:
        return row_text(self._texts(row), [c.form for c in self._extent.columns])

    def _key_hash(self, row: Row) -> int:
        key = [c for c in self._extent.columns if c.name in self._extent.key]
        return hash_of(row_text([spell(row.get(c.name), c.form) for c in key], [c.form for c in key]))


@contextmanager
def segmented(store: Store, extent: Extent) -> Iterator[MemorySegments]:
    """The extent in a snapshot of its own."""
    with store.snapshot(extent.dataset.name) as (_, cell):
        table = table_of(cell, extent.dataset)
        types = {f.name: f.type for f in (*(c.field for c in table.layout.system), *table.schema)}
        yield MemorySegments(table, types, extent)
