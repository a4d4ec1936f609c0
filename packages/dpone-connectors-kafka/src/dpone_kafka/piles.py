"""Rows that wait on this machine's disk: memory holds what is looked at, however many there are.

A pile is read in the order in which it was heaped up. Buckets are piles by a checksum of the rows' keys, so that all
rows of one key lie in one bucket, and a bucket is small enough to be held.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import pyarrow as pa
import pyarrow.compute as pc

HELD = 131_072  # rows that one bucket should hold at most
_MOST = 256  # buckets, each of which is an open file while it is filled
_KEPT = 4_000_000  # bytes that wait for their file, of all piles of a set together


def batches(path: Path, columns: list[int] | None = None) -> Iterator[pa.RecordBatch]:
    """The batches of a file of Arrow, read and not mapped, since what is mapped counts as held until it is let go."""
    options = pa.ipc.IpcReadOptions(included_fields=columns)
    with pa.OSFile(str(path), "rb") as file, pa.ipc.open_file(file, options=options) as reader:
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)


class Pile:
    """Rows of one schema. It goes to its file as soon as `kept` bytes wait."""

    def __init__(self, path: Path, schema: pa.Schema, kept: int = _KEPT) -> None:
        self._path = path
        self._schema = schema
        self._kept = kept
        self._waiting: list[pa.Table] = []
        self._bytes = 0
        self._writer: Any = None
        self._is_whole = False
        self.rows = 0

    def add(self, rows: pa.Table) -> None:
        self.rows += rows.num_rows
        self._waiting.append(rows)
        self._bytes += rows.nbytes
        if self._bytes > self._kept:
            self._flush()

    def _flush(self) -> None:
        if self._writer is None:
            self._writer = pa.ipc.new_file(str(self._path), self._schema)
        self._writer.write_table(pa.concat_tables([self._schema.empty_table(), *self._waiting]).combine_chunks())
        self._waiting, self._bytes = [], 0

    def tables(self) -> Iterator[pa.Table]:
        """All rows, a piece at a time; nothing can be added any more."""
        if self._writer is not None:
            if not self._is_whole:
                self._flush()
                self._writer.close()
                self._is_whole = True
            for batch in batches(self._path):
                yield pa.Table.from_batches([batch])
        else:
            yield from self._waiting

    def table(self) -> pa.Table:
        return pa.concat_tables([self._schema.empty_table(), *self.tables()]).combine_chunks()


class Buckets:
    """Rows with a column `key`, in `count` piles; a power of two, so that twice as many split each of them."""

    def __init__(self, folder: Path, name: str, schema: pa.Schema, count: int) -> None:
        self.count = count
        self.schema = schema
        self.rows = 0
        self._piles = [Pile(folder / f"{name}.{n}.pile", schema, _KEPT // count) for n in range(count)]

    def add(self, rows: pa.Table) -> None:
        self.rows += rows.num_rows
        if self.count == 1:
            self._piles[0].add(rows)
            return
        keys: Any = rows.column("key").to_pylist()
        places: Any = whole_numbers(array("I", map(crc32, keys)), pa.uint32())
        places = pc.bit_wise_and(places, pa.scalar(self.count - 1, pa.uint32()))
        ordered = rows.take(pc.sort_indices(places)).combine_chunks()
        at = 0
        counted = pc.value_counts(places).to_pylist()
        for found in sorted(counted, key=lambda each: int(each["values"])):
            self._piles[found["values"]].add(ordered.slice(at, found["counts"]))
            at += found["counts"]

    def __iter__(self) -> Iterator[pa.Table]:
        """The rows of each bucket, in the order in which they were added to it."""
        for pile in self._piles:
            yield pile.table()


def whole_numbers(found: array[int], of: pa.DataType) -> Any:
    """An array of Arrow over the same memory; a list would be looked at value by value."""
    return pa.Array.from_buffers(of, len(found), [None, pa.py_buffer(found)])


def buckets_for(rows: int) -> int:
    """How many buckets keep each of them small."""
    count = 1
    while count < _MOST and rows > HELD * count:
        count *= 2
    return count
