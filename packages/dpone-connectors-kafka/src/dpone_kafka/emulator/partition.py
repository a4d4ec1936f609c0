"""One partition: an append-only file of record batches and an index of their headers, rebuilt by reading them."""

from __future__ import annotations

import bisect
import os
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct, field

from dpone_kafka.emulator.codes import Code
from dpone_kafka.emulator.files import Files
from dpone_kafka.emulator.records import (
    HEAD,
    MAGIC,
    Head,
    commits,
    control_batch,
    head_of,
    lacks_key,
    place,
    records_of,
    stamped,
)
from dpone_kafka.emulator.rules import Rules

_REMEMBERED = 5  # batches of a producer, as many as it may have on the way at once
_SEQUENCES = 1 << 31

# (producer, epoch, is transactional) -> whether it may write now
Permission = Callable[[int, int, bool], Code]


class Written(Struct):
    """What one producer wrote last: ranges of sequence numbers, and the offsets where they are."""

    epoch: int
    batches: list[tuple[int, int, int]] = field(default_factory=list)


class Aborted(Struct, frozen=True):
    producer: int
    first: int
    marker: int


class Partition:
    """The log and what follows from it. Offsets are those of records; `start` may lie behind the first that is kept."""

    def __init__(self, path: Path, files: Files, start: int = 0) -> None:
        self.path = path
        self._files = files
        self.start = start
        self.tombstones: dict[int, float] = {}  # by offset: when a compaction met it first
        self.recover()

    def recover(self) -> None:
        """The index is that of the file; an end that a crash tore off is cut."""
        self.heads: list[Head] = []
        self.places: list[int] = []
        self._lasts: list[int] = []
        self._newest: list[int] = []
        self.end = self.size = 0
        self.open: dict[int, int] = {}  # producer -> first offset of its transaction
        self.aborted: list[Aborted] = []
        self._written: dict[int, Written] = {}
        descriptor = self._files.descriptor(self.path)
        length = os.fstat(descriptor).st_size
        while self.size + HEAD.size <= length:
            head = head_of(os.pread(descriptor, HEAD.size, self.size))
            if head.magic != MAGIC or self.size + head.length > length:
                break
            committed = head.is_control and commits(os.pread(descriptor, head.length, self.size))
            self._index(head, committed=committed)
        if self.size < length:
            os.ftruncate(descriptor, self.size)
        self.end = max(self.end, self.start)

    @property
    def stable_end(self) -> int:
        """Where the first transaction begins that has not ended; what a reader of committed records comes to."""
        return min(self.open.values(), default=self.end)

    def batch(self, index: int) -> bytes:
        return os.pread(self._files.descriptor(self.path), self.heads[index].length, self.places[index])

    def _index(self, head: Head, *, committed: bool = False) -> None:
        self.heads.append(head)
        self.places.append(self.size)
        self._lasts.append(head.last)
        self._newest.append(max(head.newest, self._newest[-1] if self._newest else head.newest))
        self.end = head.last + 1
        self.size += head.length
        if head.producer < 0:
            return
        if head.is_control:
            first = self.open.pop(head.producer, None)
            if first is not None and not committed:
                self.aborted.append(Aborted(head.producer, first, head.base))
            return
        written = self._written.get(head.producer)
        if written is None or written.epoch != head.epoch:
            written = self._written[head.producer] = Written(head.epoch)
        # counted by offsets, for a batch that was compacted holds fewer records than it had sequence numbers
        written.batches = [
            *written.batches,
            (head.sequence, head.sequence + head.last_delta, head.base),
        ][-_REMEMBERED:]
        if head.is_transactional:
            self.open.setdefault(head.producer, head.base)

    # ------------------------------------------------------------------- writing

    def append(self, data: memoryview, permitted: Permission, rules: Rules) -> tuple[Code, int]:
        """The batches are in the log, or none of them is: the answer, and the offset of the first."""
        out = bytearray(data)
        at, offset = 0, self.end
        heads: list[Head] = []
        while at < len(out):
            if len(out) - at < HEAD.size:
                return Code.CORRUPT_MESSAGE, -1
            head = head_of(out, at)
            if head.magic != MAGIC:
                return Code.UNSUPPORTED_FOR_MESSAGE_FORMAT, -1
            if head.length > rules.largest:
                return Code.MESSAGE_TOO_LARGE, -1
            if rules.is_keyed and lacks_key(out[at : at + head.length]):
                return Code.INVALID_RECORD, -1
            code, known = self._sequence(head, permitted)
            if code is not Code.OK or known is not None:
                return code, -1 if known is None else known
            if rules.is_stamped:
                out[at : at + head.length] = stamped(out[at : at + head.length], int(time.time() * 1000))
            place(out, at, offset)
            heads.append(head_of(out, at))
            offset += head.last_delta + 1
            at += head.length
        first = self.end
        os.write(self._files.descriptor(self.path), out)
        for head in heads:
            self._index(head)
        return Code.OK, first

    def _sequence(self, head: Head, permitted: Permission) -> tuple[Code, int | None]:
        """Whether the batch is the producer's next one; the offset where it is, when it came before."""
        if head.producer < 0 or head.sequence < 0:
            return Code.OK, None
        code = permitted(head.producer, head.epoch, head.is_transactional)
        if code is not Code.OK:
            return code, None
        written = self._written.get(head.producer)
        if written is not None and head.epoch < written.epoch:
            return Code.INVALID_PRODUCER_EPOCH, None
        if written is None or head.epoch != written.epoch or not written.batches:
            return Code.OK if head.sequence == 0 else Code.OUT_OF_ORDER_SEQUENCE_NUMBER, None
        for first, last, offset in written.batches:
            if (first, last) == (head.sequence, head.sequence + head.last_delta):
                return Code.OK, offset
        last = written.batches[-1][1]
        if head.sequence == (last + 1) % _SEQUENCES:
            return Code.OK, None
        late = head.sequence <= last
        return Code.DUPLICATE_SEQUENCE_NUMBER if late else Code.OUT_OF_ORDER_SEQUENCE_NUMBER, None

    def end_transaction(self, producer: int, epoch: int, *, commit: bool) -> None:
        """The producer's transaction has ended here; where it wrote nothing, nothing is said."""
        if producer in self.open:
            batch = control_batch(self.end, producer, epoch, commit=commit)
            os.write(self._files.descriptor(self.path), batch)
            self._index(head_of(batch), committed=commit)

    # ------------------------------------------------------------------- reading

    def read(self, offset: int, most: int, *, committed: bool, at_least_one: bool) -> bytes:
        """Whole batches from the one that holds the offset on."""
        high = self.stable_end if committed else self.end
        first = bisect.bisect_left(self._lasts, offset)
        index, size = first, 0
        while index < len(self.heads) and self.heads[index].base < high:
            length = self.heads[index].length
            if size + length > most and not (index == first and at_least_one):
                break
            size += length
            index += 1
        return os.pread(self._files.descriptor(self.path), size, self.places[first]) if size else b""

    def aborted_between(self, low: int, high: int) -> list[Aborted]:
        return [a for a in self.aborted if a.marker >= low and a.first < high]

    def first_since(self, timestamp: int) -> int:
        """Where the first batch begins that is not older as a whole, but not behind what readers may come to."""
        index = bisect.bisect_left(self._newest, timestamp)
        return min(self.heads[index].base if index < len(self.heads) else self.end, self.stable_end)

    def offset_at(self, timestamp: int) -> tuple[int, int]:
        """The time and the offset of the first record that is not older; (-1, -1) when all are."""
        index = bisect.bisect_left(self._newest, timestamp)
        while index < len(self.heads) and self.heads[index].last < self.start:
            index += 1
        if index >= len(self.heads):
            return -1, -1
        head = self.heads[index]
        for record in records_of(self.batch(index)) or ():
            at, offset = head.first_timestamp + record.timestamp_delta, head.base + record.delta
            if (head.newest if head.is_stamped else at) >= timestamp and offset >= self.start:
                return at, offset
        return head.first_timestamp, max(head.base, self.start)  # of a batch that cannot be looked into

    # ------------------------------------------------------------------ rewriting

    def replace(self, batches: bytes) -> None:
        """The file holds these batches, after a crash at any moment either them or the old ones."""
        beside = self.path.with_suffix(".new")
        beside.write_bytes(batches)
        end = self.end
        remembered = self._written
        self._files.forget(self.path)
        beside.replace(self.path)
        self.recover()
        self.end = max(self.end, end)
        self._written = remembered | self._written

    def remove(self) -> None:
        self._files.forget(self.path)
        self.path.unlink(missing_ok=True)
