"""The difference of a load whose program looks at values, or whose rows have no key: rendered by the row, in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from msgspec import Struct

from dpone.connector import Layout, Role
from dpone.oracle import Counts
from dpone.where import Row
from dpone_kafka.difference import AT_ONCE, Writes, column_of_load, constants
from dpone_kafka.encoding import Encoder
from dpone_kafka.index import Segments, content_hashes
from dpone_kafka.json_text import json_objects
from dpone_kafka.layouts import columns_of
from dpone_kafka.rendering import Changed, Known, Rendered, Staged
from dpone_kafka.values import arrow_column, arrow_table


class RenderedDifference(Struct, frozen=True):
    """`before` has the hashes of the index, `values` asks for the rows that the target holds now."""

    layout: Layout
    encoder: Encoder
    live: pa.Table
    staged: Staged
    rendered: Rendered
    before: Mapping[bytes, bytes]
    segments: Segments
    values: Callable[[], Mapping[bytes, Known]]

    @property
    def counts(self) -> tuple[Counts, ...]:
        return self.rendered.counts

    @property
    def rows(self) -> int:
        return len(self.rendered.rows)

    @property
    def written(self) -> int:
        return len(self.rendered.writes)

    @property
    def gone(self) -> int:
        return len(self.rendered.tombstones)

    @property
    def known(self) -> int:
        return len(self.before)

    @property
    def appended(self) -> frozenset[str]:
        return self.rendered.appended

    @property
    def epoch(self) -> bool:
        return self.rendered.epoch

    def writes(self) -> Iterator[Writes]:
        whole = [(key, slot) for key, slot in self.rendered.writes.items() if isinstance(slot, int)]
        changed = [(key, slot.row) for key, slot in self.rendered.writes.items() if isinstance(slot, Changed)]
        for at in range(0, len(whole), AT_ONCE):
            part = whole[at : at + AT_ONCE]
            numbers = [number for _, number in part]
            values = self.encoder.values(self._complete(numbers))
            yield _array([key for key, _ in part]), values, _array([self.staged.hashes[n] for n in numbers])
        for at in range(0, len(changed), AT_ONCE):
            rows = changed[at : at + AT_ONCE]
            table = arrow_table([row for _, row in rows], columns_of(self.layout))
            hashes = _array([self._hash_of(row) for _, row in rows])
            yield _array([key for key, _ in rows]), self.encoder.values(table), hashes

    def _complete(self, numbers: Sequence[int]) -> pa.Table:
        """Staged rows with all columns of the target: the system's with the load's constants."""
        first, last = numbers[0], numbers[-1]
        consecutive = last - first == len(numbers) - 1 and numbers == list(range(first, last + 1))
        rows = self.live.slice(first, len(numbers)) if consecutive else self.live.take(numbers)
        return completed(rows.combine_chunks(), self.layout)

    def tombstones(self) -> Iterator[pa.Array[Any]]:
        yield _array(self.rendered.tombstones)

    def untouched(self) -> Iterator[tuple[pa.Array[Any], pa.Array[Any]]]:
        touched = self.rendered.writes.keys() | set(self.rendered.tombstones)
        left = {key: found for key, found in self.before.items() if key not in touched}
        yield _array(list(left)), _array(list(left.values()))

    def _hash_of(self, row: Row) -> bytes:
        fields = list(self.layout.schema)
        texts = json_objects([arrow_column([row.get(f.name)], f.type) for f in fields], fields)
        found: bytes = content_hashes(texts)[0].as_py()
        flags = [c.field.name for c in self.layout.system if c.role is Role.DELETED_AT]
        # a row that is flagged is no row of that content: when its key returns it is written again
        return found[::-1] if any(row.get(name) is not None for name in flags) else found

    def result(self) -> Iterator[Row]:
        known: Mapping[bytes, Known] = {}
        for key, slot in self.rendered.rows.items():
            match slot:
                case int():
                    yield {**self.staged.row(slot), **self.staged.stamps}
                case Changed(row=row):
                    yield row
                case Known():
                    known = known or self.values()
                    row_ = known[key].row
                    assert row_ is not None  # values were asked for
                    yield row_


def completed(rows: pa.Table, layout: Layout) -> pa.Table:
    """Staged rows with all columns of the target: the system's with the load's constants, NULL where there is none."""
    given = constants(layout)
    columns = {}
    for field in columns_of(layout):
        if field.name in given:
            columns[field.name] = arrow_column([given[field.name]] * rows.num_rows, field.type)
        else:
            columns[field.name] = column_of_load(rows, field)
    return pa.table(columns)


def _array(values: Sequence[bytes]) -> pa.Array[Any]:
    return pa.array(values, pa.binary())
