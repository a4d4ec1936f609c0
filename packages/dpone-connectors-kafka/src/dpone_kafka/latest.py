"""Which message of each key counts when a topic is read as a table: found in buckets of keys, kept as one bit each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dpone.errors import DataError, StateError
from dpone_kafka.consuming import messages
from dpone_kafka.piles import Buckets, buckets_for
from dpone_kafka.spills import Spill

if TYPE_CHECKING:
    from confluent_kafka import Message

    from dpone_kafka.client import Client, Range

_FIELDS: Mapping[str, Any] = {
    "key": pa.binary(),
    "at": pa.int64(),  # milliseconds
    "partition": pa.int64(),
    "offset": pa.int64(),
    "is_there": pa.bool_(),
}
_ENTRIES = pa.schema(_FIELDS)


class Latest:
    """The last message of each key, where it has a value. Each is taken once; `missing` were not seen yet."""

    def __init__(self, ranges: Sequence[Range]) -> None:
        self._lows = {r.partition: r.low for r in ranges}
        self._bits = {r.partition: bytearray(r.size // 8 + 1) for r in ranges}
        self.missing = 0

    def mark(self, partition: int, offset: int) -> None:
        place, bit = divmod(offset - self._lows[partition], 8)
        self._bits[partition][place] |= 1 << bit
        self.missing += 1

    def take(self, found: Sequence[Message], partition: int) -> list[Message]:
        """Those of the partition's messages that are the last of their key."""
        low, bits = self._lows[partition], self._bits[partition]
        kept = [m for m in found if bits[(at := (m.offset() or 0) - low) >> 3] >> (at & 7) & 1]
        self.missing -= len(kept)
        return kept


@contextmanager
def _entries(client: Client, topic: str, ranges: Sequence[Range]) -> Iterator[Buckets]:
    """Room for every key of the topic, on disk where there are many."""
    spill = Spill.new(client.label, topic)
    try:
        yield Buckets(spill.path, "keys", _ENTRIES, buckets_for(sum(r.size for r in ranges)))
    finally:
        spill.drop()


def latest(client: Client, topic: str, ranges: Sequence[Range], tombstones: str) -> Latest:
    """Where the last message of each key is; by time where its messages lie in two partitions."""
    found = Latest(ranges)
    with _entries(client, topic, ranges) as entries:
        for wanted in ranges:
            for batch in messages(client, topic, wanted):
                entries.add(_keys(batch, wanted.partition, tombstones))
        for bucket in entries:
            _mark_last(found, bucket)
    return found


def _keys(batch: Sequence[Message], partition: int, tombstones: str) -> pa.Table:
    keys, there = [m.key() for m in batch], [m.value() is not None for m in batch]
    if None in keys:
        raise _no_key(batch[keys.index(None)])
    if tombstones == "refuse" and not all(there):
        raise StateError(
            f"{batch[0].topic()} holds a message without a value, and `tombstones: refuse` is set",
            code="source.tombstone",
            hint="`tombstones: delete` removes such rows, `ignore` keeps them",
        )
    columns: Mapping[str, Any] = {
        "key": keys,
        "at": [m.timestamp()[1] for m in batch],
        "partition": [partition] * len(batch),
        "offset": [m.offset() or 0 for m in batch],
        "is_there": there,
    }
    made = pa.table(columns, schema=_ENTRIES)
    return made if tombstones == "delete" else made.filter(made.column("is_there"))


def _mark_last(found: Latest, bucket: pa.Table) -> None:
    last: dict[bytes, tuple[int, int, int, bool]] = {}
    for key, *entry in zip(*(bucket.column(name).to_pylist() for name in _ENTRIES.names), strict=True):
        before = last.get(key)
        if before is None or before[1] == entry[1] or entry[0] >= before[0]:
            last[key] = entry
    for _, partition, offset, is_there in last.values():
        if is_there:
            found.mark(partition, offset)


def _no_key(message: Message) -> DataError:
    return DataError(
        f"{message.topic()}: the message at partition {message.partition()}, offset {message.offset()} has no key",
        code="source.no_key",
        hint="a table is made of messages with keys; read this topic with `view: log`",
    )
