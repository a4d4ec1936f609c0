"""What a compacted partition keeps: the last record of each key, and for a while the tombstone of a deleted one.

Only what is committed is touched. The newest batch and those whose compression cannot be read stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from dpone_kafka.emulator.partition import Partition
from dpone_kafka.emulator.records import Record, records_of, with_records

_MUCH = 1 << 20


class Compacting(Struct, frozen=True):
    """How a topic is compacted, by its own configuration."""

    dirty_share: float
    segment_ms: int
    tombstones_ms: int
    largest: int

    @classmethod
    def of(cls, config: Mapping[str, str]) -> Compacting | None:
        """None for a topic that is not compacted."""
        if "compact" not in config["cleanup.policy"].split(","):
            return None
        return cls(
            float(config["min.cleanable.dirty.ratio"]),
            int(config["segment.ms"]),
            int(config["delete.retention.ms"]),
            min(int(config["segment.bytes"]), _MUCH),
        )


def is_due(partition: Partition, how: Compacting, cleaned: int, now: float) -> bool:
    """Whether enough was written since the file had the size `cleaned`."""
    dirty = partition.size - cleaned
    if dirty <= 0 or dirty < how.dirty_share * partition.size:
        return False
    oldest = next((h for h, at in zip(partition.heads, partition.places, strict=True) if at >= cleaned), None)
    aged = oldest is not None and now * 1000 - oldest.newest >= how.segment_ms
    return dirty >= how.largest or aged


def compact(partition: Partition, how: Compacting, now: float) -> None:
    """The partition holds the last record of each key below its stable end."""
    high = partition.stable_end
    parts: list[tuple[int, list[Record] | None]] = []
    latest: dict[bytes, int] = {}
    for index, head in enumerate(partition.heads):
        found = None
        touchable = head.last < high and not head.is_control and index < len(partition.heads) - 1
        records = None if head.is_control else records_of(partition.batch(index))
        if records is not None and _is_aborted(partition, index):
            records = []
        for record in (records or ()) if head.last < high else ():
            if record.key is not None:
                latest[record.key] = head.base + record.delta
        if touchable:
            found = records
        parts.append((index, found))
    out = bytearray()
    for index, records in parts:
        batch = partition.batch(index)
        if records is None:
            out += batch
            continue
        head = partition.heads[index]
        kept = [
            record
            for record in records
            if record.key is None
            or (
                latest[record.key] == head.base + record.delta
                and not (record.is_tombstone and _is_forgotten(partition, head.base + record.delta, how, now))
            )
        ]
        if len(kept) == head.records:
            out += batch
        elif kept:
            out += with_records(batch, kept)
    partition.replace(bytes(out))


def _is_forgotten(partition: Partition, offset: int, how: Compacting, now: float) -> bool:
    """Whether a tombstone's time is over, which begins with the compaction that meets it first."""
    first = partition.tombstones.setdefault(offset, now)
    forgotten = first < now and (now - first) * 1000 >= how.tombstones_ms
    if forgotten:
        del partition.tombstones[offset]
    return forgotten


def _is_aborted(partition: Partition, index: int) -> bool:
    head = partition.heads[index]
    return head.is_transactional and any(
        a.producer == head.producer and a.first <= head.base < a.marker for a in partition.aborted
    )
