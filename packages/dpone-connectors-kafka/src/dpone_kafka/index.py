"""The index of a target: the key and a hash of every row, in a compacted topic beside it.

Each load adds a few segments, which hold thousands of keys each, so that the index costs a thousandth of the load's
messages. Reading it to the end gives what is in the target without reading the target. When more than half of what the
segments hold is outdated they are written anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct
from xxhash import xxh3_128_digest

from dpone.errors import StateError
from dpone_kafka.piles import Buckets
from dpone_kafka.state import INDEX

if TYPE_CHECKING:
    from dpone_kafka.client import Client

SCHEMA = pa.schema([("key", pa.binary()), ("hash", pa.binary())])  # a hash that is NULL: the key is gone
_SEGMENT = 400_000  # bytes of keys and hashes in one message
_SLACK = 10_000  # outdated entries that are not worth a rewrite
_HASH, _OFFSETS = 16, 8


class Segments(Struct, frozen=True):
    """What lies in the index's topic: the names of the segments that count, and how many entries they hold.

    They are void when they speak of a topic that is gone.
    """

    names: tuple[str, ...] = ()
    entries: int = 0
    are_void: bool = False

    def are_outdated(self, known: int, put: int, gone: int) -> bool:
        """Whether a load that puts and removes so many keys should write the index anew; `known` keys are in it."""
        return self.are_void or self.entries + put + gone > 2 * (known + put) + _SLACK


Entry = tuple[str, bytes | None]  # the key and the value of a message


def content_hashes(texts: Any) -> Any:
    """A hash of each row's content, which is given as text; an array of bytes.

    It tells one content of a row from the next one, and is not made to withstand who looks for two that are alike.
    """
    data: Any = pc.cast(texts, pa.binary()).to_pylist()
    hashes = b"".join(map(xxh3_128_digest, data))
    fixed = pa.Array.from_buffers(pa.binary(_HASH), len(data), [None, pa.py_buffer(hashes)])
    return pc.cast(fixed, pa.binary())


def read(client: Client, topic: str, into: Buckets, folder: Path) -> Segments:
    """The entries of the index as it is now are in the buckets, those of a key in the order in which they came."""
    if client.partitions(INDEX + topic) is None:
        return Segments()
    places: dict[str, tuple[int, int]] = {}
    with (folder / "segments").open("w+b") as file:
        for batch in client.all_of(INDEX + topic):
            for message in batch:
                name = (message.key() or b"").decode()
                places.pop(name, None)  # so that they stand in the order in which they came
                if (value := message.value()) is not None:
                    places[name] = file.tell(), len(value)
                    file.write(value)
        for at, size in places.values():
            file.seek(at)
            into.add(pa.ipc.open_stream(file.read(size)).read_all())
    return Segments(tuple(places), into.rows)


def settled(entries: pa.Table) -> pa.Table:
    """The last entry of each key, without those that say that their key is gone."""
    keys = entries.column("key").combine_chunks()
    different = pc.unique(keys)
    if len(different) != len(keys):
        backwards = entries.take(pa.array(range(len(keys) - 1, -1, -1), pa.int64()))
        entries = backwards.take(pc.index_in(different, backwards.column("key").combine_chunks()))
    return entries.filter(pc.is_valid(entries.column("hash")))


class SegmentWriter:
    """Entries as they come, and messages as soon as there is enough for one."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._number = 0
        self._waiting: list[pa.Table] = []
        self._bytes = 0

    def add(self, keys: Any, hashes: Any = None) -> Iterator[Entry]:
        """Keys with the hashes of their rows; without them the keys are gone."""
        if not len(keys):
            return
        table = pa.table([keys, pa.nulls(len(keys), pa.binary()) if hashes is None else hashes], schema=SCHEMA)
        sizes = pc.cumulative_sum(pc.add(pc.cast(pc.binary_length(keys), pa.int64()), _HASH + _OFFSETS))
        ends: Any = pc.add(sizes, self._bytes)
        full, at = 0, 0
        for found in pc.value_counts(pc.divide(ends, _SEGMENT)).to_pylist():  # they come in order, since ends grow
            if found["values"] != full and self._waiting:
                yield self._message()
            full = found["values"]
            self._waiting.append(table.slice(at, found["counts"]))
            at += found["counts"]
        self._bytes = ends[-1].as_py() - full * _SEGMENT

    def rest(self) -> Iterator[Entry]:
        if self._waiting:
            yield self._message()

    def _message(self) -> Entry:
        name = f"{self._name} {self._number}"
        table = pa.concat_tables(self._waiting).combine_chunks()
        self._waiting, self._number = [], self._number + 1
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, SCHEMA) as writer:
            writer.write_table(table)
        return name, bytes(sink.getvalue().to_pybytes())


def refuse_other_keys(topic: str, index: Mapping[bytes, bytes], found: Mapping[bytes, object]) -> None:
    """Raises when the topic does not hold just the keys that the index has."""
    missing, unknown = len(index.keys() - found.keys()), len(found.keys() - index.keys())
    if missing or unknown:
        raise StateError(
            f"{topic} lacks {missing} rows that its index has, and holds {unknown} that it has not",
            code="sink.concurrent_writer",
            hint="somebody else writes to the topic, or its retention removes rows: `dpone state reset` and a "
            "full_refresh into a new topic begin again",
        )
