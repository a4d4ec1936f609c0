"""The index of a target: the key and a hash of every row, in a compacted topic beside it.

Each load adds a few segments, which hold thousands of keys each, so that the index costs a thousandth of the load's
messages. Reading it to the end gives what is in the target without reading the target. When more than half of what the
segments hold is outdated they are written anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from dpone.errors import StateError
from dpone_kafka.state import INDEX

if TYPE_CHECKING:
    from dpone_kafka.client import Client

_SCHEMA = pa.schema([("key", pa.binary()), ("hash", pa.binary())])  # a hash that is NULL: the key is gone
_SEGMENT = 400_000  # bytes of keys and hashes in one message
_SLACK = 10_000  # outdated entries that are not worth a rewrite
_HASH = 16


@dataclass(frozen=True, slots=True)
class Index:
    """What the segments amount to, and what there is of them."""

    hashes: dict[bytes, bytes]
    segments: tuple[str, ...] = ()
    entries: int = 0


Entry = tuple[str, bytes | None]  # the key and the value of a message


def content_hashes(texts: Any) -> list[bytes]:
    """A hash of each row's content, which is given as text."""
    return [blake2b(text, digest_size=_HASH).digest() for text in pc.cast(texts, pa.binary()).to_pylist()]


def load(client: Client, topic: str) -> Index:
    """The index of the target as it is now."""
    if client.partitions(INDEX + topic) is None:
        return Index({})
    segments: dict[str, bytes] = {}
    for message in client.read_all(INDEX + topic):
        name = (message.key() or b"").decode()
        segments.pop(name, None)  # so that they stand in the order in which they came
        if (value := message.value()) is not None:
            segments[name] = value
    hashes: dict[bytes, bytes] = {}
    entries = 0
    for segment in segments.values():
        table = pa.ipc.open_stream(segment).read_all()
        entries += table.num_rows
        keys: Any = table.column("key").to_pylist()
        for key, found in zip(keys, table.column("hash").to_pylist(), strict=True):
            if found is None:
                hashes.pop(key, None)
            else:
                hashes[key] = found
    return Index(hashes, tuple(segments), entries)


def written(index: Index, load_id: str, put: Mapping[bytes, bytes], gone: Sequence[bytes]) -> Iterator[Entry]:
    """The messages that bring the index from before the load to after it."""
    after = len(index.hashes) + len(put)
    if index.entries + len(put) + len(gone) > 2 * after + _SLACK:
        whole = {**index.hashes, **put}
        for key in gone:
            whole.pop(key, None)
        yield from ((name, None) for name in index.segments)
        yield from _segments(f"{load_id} whole", list(whole.items()))
        return
    yield from _segments(load_id, [*put.items(), *((key, None) for key in gone)])


def _segments(name: str, pairs: Sequence[tuple[bytes, bytes | None]]) -> Iterator[Entry]:
    part: list[tuple[bytes, bytes | None]] = []
    size = number = 0
    for pair in pairs:
        part.append(pair)
        size += len(pair[0]) + _HASH + 8
        if size > _SEGMENT:
            yield f"{name} {number}", _encoded(part)
            part, size, number = [], 0, number + 1
    if part:
        yield f"{name} {number}", _encoded(part)


def _encoded(pairs: Sequence[tuple[bytes, bytes | None]]) -> bytes:
    keys, hashes = zip(*pairs, strict=True)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, _SCHEMA) as writer:
        writer.write_batch(
            pa.record_batch([pa.array(keys, pa.binary()), pa.array(hashes, pa.binary())], schema=_SCHEMA)
        )
    return bytes(sink.getvalue().to_pybytes())


def refuse_other_keys(topic: str, index: Index, found: Mapping[bytes, object]) -> None:
    """Raises when the topic does not hold just the keys that the index has."""
    missing, unknown = len(index.hashes.keys() - found.keys()), len(found.keys() - index.hashes.keys())
    if missing or unknown:
        raise StateError(
            f"{topic} lacks {missing} rows that its index has, and holds {unknown} that it has not",
            code="sink.concurrent_writer",
            hint="somebody else writes to the topic, or its retention removes rows: `dpone state reset` and a "
            "full_refresh into a new topic begin again",
        )
