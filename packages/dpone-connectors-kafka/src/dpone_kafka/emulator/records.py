"""Record batches (format 2): their headers, the records in one that is not compressed beyond gzip, control batches.

Batches are stored as they came. Only the base offset and the leader epoch are patched, which the checksum does not
cover, so that a message costs nothing.
"""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Sequence

from msgspec import Struct

MAGIC = 2
EPOCH = 0  # of the one leader that there ever is
HEAD = struct.Struct(">qiibIhiqqqhii")
_BEHIND_LENGTH = 12  # bytes of the base offset and the length itself
_ATTRIBUTES = 21  # where the part begins that the checksum covers
_COMPRESSION, _STAMPED, _TRANSACTIONAL, _CONTROL = 0x7, 0x08, 0x10, 0x20
_TIMES = 35  # where the newest time stands
_GZIP = 1
_MORE = 0x80


class Head(Struct, frozen=True):
    """The header of a batch, without what nobody here asks for."""

    base: int
    length: int  # of the whole batch
    magic: int
    attributes: int
    last_delta: int
    first_timestamp: int
    newest: int
    producer: int
    epoch: int
    sequence: int
    records: int

    @property
    def last(self) -> int:
        return self.base + self.last_delta

    @property
    def is_transactional(self) -> bool:
        return bool(self.attributes & _TRANSACTIONAL)

    @property
    def is_control(self) -> bool:
        return bool(self.attributes & _CONTROL)

    @property
    def is_stamped(self) -> bool:
        """Whether `newest` is the time of all its records."""
        return bool(self.attributes & _STAMPED)

    @property
    def compression(self) -> int:
        return self.attributes & _COMPRESSION


def head_of(data: bytes | bytearray | memoryview, at: int = 0) -> Head:
    base, length, _, magic, _, attributes, delta, first, newest, producer, epoch, sequence, records = HEAD.unpack_from(
        data, at
    )
    return Head(
        base, length + _BEHIND_LENGTH, magic, attributes, delta, first, newest, producer, epoch, sequence, records
    )


def place(data: bytearray, at: int, base: int) -> None:
    """The batch stands at this offset."""
    struct.pack_into(">q", data, at, base)
    struct.pack_into(">i", data, at + _BEHIND_LENGTH, EPOCH)


def stamped(batch: bytearray, now: int) -> bytes:
    """The batch with the broker's time, which is then that of all its records."""
    struct.pack_into(">h", batch, _ATTRIBUTES, head_of(batch).attributes | _STAMPED)
    struct.pack_into(">q", batch, _TIMES, now)
    struct.pack_into(">I", batch, _ATTRIBUTES - 4, crc32c(bytes(batch[_ATTRIBUTES:])))
    return bytes(batch)


def lacks_key(batch: bytearray) -> bool:
    """Whether the first record has no key. To look at every one would cost too much."""
    head = head_of(batch)
    if head.is_control or not head.records or head.compression:
        return False
    body = bytes(batch[HEAD.size : HEAD.size + 64])
    _, at = _varint(body, 0)
    _, at = _varint(body, at + 1)
    _, at = _varint(body, at)
    return _varint(body, at)[0] < 0


class Record(Struct, frozen=True):
    """One record: its bytes as they are in the batch, without their length, and what is asked of it."""

    delta: int
    timestamp_delta: int
    key: bytes | None
    is_tombstone: bool
    raw: bytes


def records_of(batch: bytes) -> list[Record] | None:
    """The records of a data batch, or None where its compression is not one that the standard library reads."""
    head = head_of(batch)
    body = batch[HEAD.size :]
    if head.compression == _GZIP:
        body = zlib.decompress(body, 31)
    elif head.compression:
        return None
    found: list[Record] = []
    at = 0
    for _ in range(head.records):
        size, at = _varint(body, at)
        raw = body[at : at + size]
        at += size
        found.append(_record(raw))
    return found


def _record(raw: bytes) -> Record:
    timestamp, at = _varint(raw, 1)
    delta, at = _varint(raw, at)
    size, at = _varint(raw, at)
    key = None
    if size >= 0:
        key, at = raw[at : at + size], at + size
    value, _ = _varint(raw, at)
    return Record(delta, timestamp, key, value < 0, raw)


def with_records(batch: bytes, kept: Sequence[Record]) -> bytes:
    """The batch with these of its records alone, at their offsets, uncompressed."""
    head = head_of(batch)
    body = b"".join(_zigzag(len(record.raw)) + record.raw for record in kept)
    attributes = head.attributes & ~_COMPRESSION
    tail = struct.pack(
        ">hiqqqhii",
        attributes,
        head.last_delta,
        head.first_timestamp,
        head.newest,
        head.producer,
        head.epoch,
        head.sequence,
        len(kept),
    )
    return _sealed(head.base, tail + body)


def control_batch(offset: int, producer: int, epoch: int, *, commit: bool) -> bytes:
    """The marker that ends a transaction in one partition."""
    now = int(time.time() * 1000)
    key, value = struct.pack(">hh", 0, int(commit)), struct.pack(">hi", 0, 0)
    record = b"\0\0\0" + _zigzag(len(key)) + key + _zigzag(len(value)) + value + b"\0"
    tail = struct.pack(">hiqqqhii", _TRANSACTIONAL | _CONTROL, 0, now, now, producer, epoch, -1, 1)
    return _sealed(offset, tail + _zigzag(len(record)) + record)


def commits(batch: bytes) -> bool:
    """Whether a control batch says that its transaction was committed."""
    keys = [record.key for record in records_of(batch) or ()]
    return keys == [struct.pack(">hh", 0, 1)]


def _sealed(base: int, tail: bytes) -> bytes:
    return struct.pack(">qiibI", base, 4 + 1 + 4 + len(tail), EPOCH, MAGIC, crc32c(tail)) + tail


def is_sound(batch: bytes | memoryview) -> bool:
    """Whether the checksum of a batch is right; only asked in tests, for a broker need not ask its own disk."""
    (stored,) = struct.unpack_from(">I", batch, _ATTRIBUTES - 4)
    return bool(stored == crc32c(bytes(batch[_ATTRIBUTES:])))


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & ~_MORE) << shift
        shift += 7
        if byte < _MORE:
            return (value >> 1) ^ -(value & 1), at


def _zigzag(value: int) -> bytes:
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value >= _MORE:
        out.append(value & ~_MORE & 0xFF | _MORE)
        value >>= 7
    out.append(value)
    return bytes(out)


def _table() -> list[int]:
    table = []
    for number in range(256):
        value = number
        for _ in range(8):
            value = (value >> 1) ^ 0x82F63B78 if value & 1 else value >> 1
        table.append(value)
    return table


_CRC32C = _table()


def crc32c(data: bytes) -> int:
    """The checksum of Castagnoli, which zlib does not have."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _CRC32C[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF
