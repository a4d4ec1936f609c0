"""What prepared rows amount to after sealing: one row for each key, found in buckets, so that memory stays small."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from dpone_kafka.piles import Buckets, buckets_for, whole_numbers
from dpone_kafka.prepared import HASH, KEY
from dpone_kafka.sealing import chosen

if TYPE_CHECKING:
    from dpone_kafka.staging import SpillStage

_FIELDS: Mapping[str, Any] = {"key": pa.binary(), "hash": pa.binary(), "number": pa.int64()}
ENTRIES = pa.schema(_FIELDS)


class PlainRows(Struct):
    """Prepared rows after sealing: one for each key, where rows have one."""

    stage: SpillStage
    received: int
    live: int
    nulls: Mapping[str, int]
    entries: Buckets | None  # key, hash and number of every row, where rows have a key
    dropped: bytearray | None = None  # one at the number of each row that gave way to another one of its key
    dead: Buckets | None = None  # keys that were deleted, where rows came as changes
    present: Buckets | None = None  # keys that the source has, where it said so
    cleared: bool = False
    taken: bytes | None = None  # a key of several rows, where the program asks for no key and rows have one

    def batches(self, names: Sequence[str], written: bytearray | None = None) -> Iterator[pa.RecordBatch]:
        """These columns of the rows that count, or of those that are marked as written."""
        at = 0
        for batch in self.stage.batches(names):
            rows = batch
            if written is not None:
                rows = batch.filter(_marked(written, at, batch.num_rows))
            elif self.dropped is not None:
                rows = batch.filter(pc.invert(_marked(self.dropped, at, batch.num_rows)))
            at += batch.num_rows
            yield rows


def _marked(marks: bytearray, at: int, size: int) -> Any:
    part = pa.py_buffer(bytes(marks[at : at + size]))
    return pc.not_equal(pa.Array.from_buffers(pa.uint8(), size, [None, part]), pa.scalar(0, pa.uint8()))


def plain_rows(stage: SpillStage) -> PlainRows | None:
    """What the rows of a stage amount to, when each of them can be looked at by itself; None when they cannot."""
    prepared, spec = stage.prepared, stage.spec
    if prepared is None:
        return None
    if spec.is_tagged:
        from dpone_kafka.changed_rows import changed_rows  # which makes what this module holds

        return changed_rows(stage)
    schema = spec.layout.schema
    required = [f.name for f in schema if f.name in spec.columns and (not f.nullable or f.name in schema.key)]
    received = stage.spill.rows()
    nulls = dict.fromkeys(required, 0)
    entries = Buckets(stage.spill.path, "staged", ENTRIES, buckets_for(received)) if prepared.key else None
    beside = [KEY, *([HASH] if prepared.hash else [])] if prepared.key else []
    number = 0
    for batch in stage.batches([*required, *beside]) if required or beside else ():
        for name in required:
            nulls[name] += batch.column(name).null_count
        size = batch.num_rows
        if entries is not None:
            hashes = batch.column(HASH) if prepared.hash else pa.nulls(size, pa.binary())
            numbers = whole_numbers(array("q", range(number, number + size)), pa.int64())
            entries.add(pa.table([batch.column(KEY), hashes, numbers], schema=ENTRIES))
        number += size
    if any(nulls.get(name, received) for name in schema.key) and received:
        return None
    found = PlainRows(stage, received, received, nulls, entries)
    for bucket in entries or ():
        _one_of_each_key(found, bucket)
    return found


def nulls_of(stage: SpillStage, names: Sequence[str]) -> tuple[Mapping[str, int], int]:
    """How many NULLs these columns hold, of those that the stage has; and its rows."""
    if stage.plain is not None:
        return stage.plain.nulls, stage.plain.live
    live = stage.sealed.live
    return {c: live.column(c).null_count for c in names if c in live.column_names}, live.num_rows


def _one_of_each_key(found: PlainRows, bucket: pa.Table) -> None:
    """Of several rows of a key all but the last are dropped, as the sealing says which that is."""
    keys = bucket.column("key").combine_chunks()
    if len(pc.unique(keys)) == len(keys):
        return
    counted: Any = pc.value_counts(keys)
    several: Any = counted.field("values").filter(pc.greater(counted.field("counts"), pa.scalar(1)))
    stage = found.stage
    if not stage.spec.sealing.key:
        found.taken = several[0].as_py()
        return
    alike: Any = bucket.filter(pc.is_in(keys, several))
    numbers: list[int] = alike.column("number").to_pylist()
    kept = set(chosen(stage.rows_at(numbers), alike.column("key").to_pylist(), stage.spec, stage.schema))
    found.dropped = found.dropped or bytearray(found.received)
    for at, number in enumerate(numbers):
        if at not in kept:
            found.dropped[number] = 1
            found.live -= 1
