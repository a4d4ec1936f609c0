"""The difference of a load of prepared rows: decided bucket by bucket, sent batch by batch, whatever its size."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dpone.connector import Layout
from dpone.ops import Append, Program, Recreate
from dpone.oracle import Counts
from dpone.where import Row
from dpone_kafka.deciding import Bucket, Decided, Tally, decide
from dpone_kafka.difference import AT_ONCE, Writes, constants
from dpone_kafka.encoding import Encoder
from dpone_kafka.index import Segments, settled
from dpone_kafka.json_text import json_objects
from dpone_kafka.layouts import columns_of
from dpone_kafka.piles import Buckets, Pile
from dpone_kafka.plain_rows import PlainRows
from dpone_kafka.prepared import CONTENT, HASH, KEY
from dpone_kafka.rendered import completed
from dpone_kafka.rendering import Known, key_taken
from dpone_kafka.values import python_rows

_TO_THE_END = 2**31 - 1


@dataclass
class StreamedDifference:
    """`index` are the entries of the target that the program must know, in buckets of which `staged` has as many.

    `before` says how many rows were there of which nothing is known here. `fresh` makes the keys of rows without.
    """

    layout: Layout
    encoder: Encoder
    plain: PlainRows
    program: Program
    index: Buckets | None
    segments: Segments
    appended_before: frozenset[str]
    fresh: Callable[[int], bytes]
    values: Callable[[], Mapping[bytes, Known]]
    folder: Path
    known: int = 0
    epoch: bool = False
    _tally: Tally = field(init=False)
    _marks: bytearray | None = None  # one at the number of each row that is written; None where all are that count
    _gone: Pile = field(init=False)
    _anew: dict[str, Buckets] = field(default_factory=dict)  # what is staged, in as many buckets as the index

    def __post_init__(self) -> None:
        self.epoch = any(isinstance(op, Recreate) for op in self.program)
        self._tally = Tally(self.program)
        self._gone = Pile(self.folder / "gone.pile", pa.schema([("key", pa.binary())]))
        if self.plain.taken is not None:
            raise key_taken(self.plain.taken)
        if self.index is None or not (self.index.rows or self.plain.dead is not None):
            self._decide_unknown()
        else:
            self._decide_known()
        for reach in self._tally.reaches.values():
            reach.refuse_excess()

    def _decide_unknown(self) -> None:
        """Nothing of the target is known, or there is nothing: each row goes the way of every other."""
        size = self.plain.live
        alike = pa.table({"key": pa.repeat(pa.scalar(0, pa.int8()), size), "hash": pa.nulls(size, pa.binary())})
        known = pa.table({"key": pa.array([], pa.int8()), "hash": pa.array([], pa.binary())})
        self._decide(Bucket(alike, known))
        if not self._tally.written:
            self._marks = bytearray(self.plain.received)

    def _decide_known(self) -> None:
        marks = bytearray(self.plain.received)
        for bucket in self._buckets():
            self.known += bucket.known.num_rows
            found = self._decide(bucket)
            numbers: Any = bucket.staged.column("number").filter(found.written).to_pylist()
            for number in numbers:
                marks[number] = 1
            self._gone.add(pa.table([found.gone], names=["key"]))
        self._marks = marks

    def _buckets(self) -> Iterator[Bucket]:
        """What is staged and what is known, bucket by bucket."""
        assert self.index is not None  # asked for only then
        plain = self.plain
        assert plain.entries is not None  # rows with keys
        dead, present = (
            itertools.repeat(None) if found is None else (_keys(keys) for keys in self._as_many(name, found))
            for name, found in (("dead", plain.dead), ("present", plain.present))
        )
        entries = self._as_many("staged", plain.entries)
        # what is repeated without end comes last
        for staged, known, gone, there in zip(entries, self.index, dead, present, strict=False):
            yield Bucket(self._live(staged), settled(known), gone, there, cleared=plain.cleared)

    def _as_many(self, name: str, found: Buckets) -> Buckets:
        """The same in as many buckets as the index's."""
        assert self.index is not None
        if found.count == self.index.count:
            return found
        if name not in self._anew:
            self._anew[name] = Buckets(self.folder, f"{name} anew", found.schema, self.index.count)
            for bucket in found:
                self._anew[name].add(bucket)
        return self._anew[name]

    def _live(self, staged: pa.Table) -> pa.Table:
        dropped = self.plain.dropped
        if dropped is None:
            return staged
        numbers: Any = staged.column("number").to_pylist()
        mask = pa.array([not dropped[n] for n in numbers], pa.bool_())
        return staged.filter(mask)

    def _decide(self, bucket: Bucket, tally: Tally | None = None) -> Decided:
        stamped = bool(constants(self.layout))
        return decide(tally or self._tally, bucket, stamped=stamped, appended=self.appended_before)

    # ----------------------------------------------------------------------- what it is

    @property
    def counts(self) -> tuple[Counts, ...]:
        return tuple(self._tally.counts)

    @property
    def rows(self) -> int:
        return self._tally.rows

    @property
    def written(self) -> int:
        return self._tally.written

    @property
    def gone(self) -> int:
        return self._tally.gone

    @property
    def appended(self) -> frozenset[str]:
        return self.appended_before | {op.load_id for op in self.program if isinstance(op, Append)}

    # ---------------------------------------------------------------------- what is sent

    def writes(self) -> Iterator[Writes]:
        if not self.written:
            return
        prepared = self.plain.stage.prepared
        assert prepared is not None  # the rows are prepared ones
        raw = () if prepared.content else self.plain.stage.schema.names
        suffix = self._suffix() if prepared.content else b""
        number = 0
        for batch in self.plain.batches([*raw, *prepared.schema.names], self._marks):
            if not batch.num_rows:
                continue
            keys = batch.column(KEY) if prepared.key else self._fresh_keys(number, batch.num_rows)
            hashes = batch.column(HASH) if prepared.hash else pa.nulls(batch.num_rows, pa.binary())
            yield keys, self._messages(batch, suffix), hashes
            number += batch.num_rows

    def _fresh_keys(self, first: int, count: int) -> Any:
        return pa.array([self.fresh(number) for number in range(first, first + count)], pa.binary())

    def _messages(self, batch: pa.RecordBatch, suffix: bytes) -> Sequence[bytes]:
        if CONTENT not in batch.schema.names:
            return self.encoder.values(completed(pa.Table.from_batches([batch]), self.layout))
        texts: Any = batch.column(CONTENT)
        if suffix:
            texts = pc.binary_replace_slice(texts, -1, _TO_THE_END, suffix)
        return list(texts.to_pylist())

    def _suffix(self) -> bytes:
        """How a message ends behind the content: the system's columns, which are the same in every row of a load."""
        fields = columns_of(self.layout)[len(self.layout.schema) :]
        if not fields:
            return b""
        one = completed(pa.table({"": pa.nulls(1)}), self.layout)
        texts = json_objects([one.column(f.name).combine_chunks() for f in fields], fields)
        return f",{texts[0].as_py()[1:]}".encode()

    def tombstones(self) -> Iterator[Any]:
        for table in self._gone.tables():
            for at in range(0, table.num_rows, AT_ONCE):
                yield _keys(table.slice(at, AT_ONCE))

    def untouched(self) -> Iterator[tuple[Any, Any]]:
        if self.index is None or not self.index.rows:
            return
        for bucket in self._buckets():
            left = self._decide(bucket, Tally(self.program)).untouched
            yield left.column("key").combine_chunks(), left.column("hash").combine_chunks()

    # ------------------------------------------------------------------------ questions

    def result(self) -> Iterator[Row]:
        rows: dict[bytes, Row] = {}
        if self.index is not None and self.index.rows:
            rows = {key: known.row for key, known in self.values().items() if known.row is not None}
        for keys in self.tombstones():
            for key in keys.to_pylist():
                del rows[key]
        stage, stamps = self.plain.stage, constants(self.layout)
        loose = 0
        names = [*stage.schema.names, *([KEY] if self.layout.schema.key else [])]
        for batch in self.plain.batches(names, self._marks) if self.written else ():
            found = python_rows(pa.Table.from_batches([batch]), stage.schema.fields)
            if self.layout.schema.key:
                keys = batch.column(KEY).to_pylist()
            else:
                keys = [self.fresh(n) for n in range(loose, loose + len(found))]
            loose += len(found)
            rows |= {key: {**row, **stamps} for key, row in zip(keys, found, strict=True)}
        yield from rows.values()


def _keys(found: pa.Table) -> Any:
    return found.column("key").combine_chunks()
