"""Messages of the logical decoding plugin pgoutput (protocol 1), as data.

https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
"""

from __future__ import annotations

import struct
from enum import Enum

from msgspec import Struct


class Sent(Enum):
    """What stands for a column's value: `UNCHANGED` is a large value that the log does not repeat."""

    NULL = "n"
    UNCHANGED = "u"


Value = bytes | Sent
Tuple = tuple[Value, ...]


class RelationColumn(Struct, frozen=True):
    name: str
    type_oid: int
    modifier: int
    in_key: bool


class RelationMessage(Struct, frozen=True):
    """What the following rows of the relation look like."""

    oid: int
    name: tuple[str, str]
    columns: tuple[RelationColumn, ...]


class Begin(Struct, frozen=True):
    final_lsn: int


class CommitMessage(Struct, frozen=True):
    end_lsn: int


class Inserted(Struct, frozen=True):
    oid: int
    new: Tuple


class Updated(Struct, frozen=True):
    """`old` is there when the key changed or the replica identity is FULL."""

    oid: int
    old: Tuple | None
    new: Tuple


class Deleted(Struct, frozen=True):
    oid: int
    old: Tuple


class Truncated(Struct, frozen=True):
    oids: tuple[int, ...]


Message = RelationMessage | Begin | CommitMessage | Inserted | Updated | Deleted | Truncated


class Scanner:
    """A position in a message."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, form: str) -> tuple[int, ...]:
        found = struct.unpack_from(">" + form, self._data, self._at)
        self._at += struct.calcsize(">" + form)
        return found

    def letter(self) -> bytes:
        self._at += 1
        return self._data[self._at - 1 : self._at]

    def text(self) -> str:
        end = self._data.index(0, self._at)
        found = self._data[self._at : end].decode()
        self._at = end + 1
        return found

    def row(self) -> Tuple:
        (count,) = self.take("H")
        return tuple(self._value() for _ in range(count))

    def _value(self) -> Value:
        match self.letter():
            case b"n":
                return Sent.NULL
            case b"u":
                return Sent.UNCHANGED
            case _:  # b"t" or b"b", as was asked for
                (size,) = self.take("i")
                self._at += size
                return self._data[self._at - size : self._at]


def parse_message(data: bytes) -> Message | None:
    """The message; None for those that say nothing about rows (types, origins)."""
    scan = Scanner(data)
    match scan.letter():
        case b"B":
            return Begin(scan.take("Q")[0])
        case b"C":
            _, _, end = scan.take("BQQ")
            return CommitMessage(end)
        case b"R":
            return _relation(scan)
        case b"I":
            (oid,) = scan.take("I")
            scan.letter()
            return Inserted(oid, scan.row())
        case b"U":
            return _updated(scan)
        case b"D":
            (oid,) = scan.take("I")
            scan.letter()
            return Deleted(oid, scan.row())
        case b"T":
            count, _ = scan.take("IB")
            return Truncated(scan.take(f"{count}I"))
        case _:
            return None


def _relation(scan: Scanner) -> RelationMessage:
    (oid,) = scan.take("I")
    name = (scan.text() or "pg_catalog", scan.text())
    scan.letter()
    (count,) = scan.take("H")
    columns = []
    for _ in range(count):
        (flags,) = scan.take("B")
        label = scan.text()
        type_oid, modifier = scan.take("Ii")
        columns.append(RelationColumn(label, type_oid, modifier, bool(flags & 1)))
    return RelationMessage(oid, name, tuple(columns))


def _updated(scan: Scanner) -> Updated:
    (oid,) = scan.take("I")
    old = None
    if scan.letter() != b"N":  # K or O: the old key, or the old row
        old = scan.row()
        scan.letter()
    return Updated(oid, old, scan.row())
