"""The tokens of TDS 7.4 as bytes, and a reader of what clients send."""

from __future__ import annotations

import struct

from msgspec import Struct

DONE, DONE_PROC, DONE_IN_PROC = 0xFD, 0xFE, 0xFF
MORE, ERROR, COUNT, ATTENTION, IN_BATCH = 0x01, 0x02, 0x10, 0x20, 0x80
SELECT, OTHER, CALL, BULK = 0xC1, 0xC3, 0xE0, 0xF0
ROW, METADATA = 0xD1, 0x81
_LONGEST_MESSAGE = 2000


def short_text(text: str) -> bytes:
    """Up to 255 characters."""
    return bytes([len(text.encode("utf-16-le")) // 2]) + text.encode("utf-16-le")


def long_text(text: str) -> bytes:
    data = text.encode("utf-16-le")
    return struct.pack("<H", len(data) // 2) + data


def environment(kind: int, new: bytes, old: bytes = b"\0") -> bytes:
    """A change of the session, its values as the kind has them, lengths before them."""
    body = bytes([kind]) + new + old
    return b"\xe3" + struct.pack("<H", len(body)) + body


def error(number: int, message: str, severity: int = 16) -> bytes:
    body = struct.pack("<iBB", number, 1, severity) + long_text(message[:_LONGEST_MESSAGE])
    body += short_text("emulator") + short_text("") + struct.pack("<i", 1)
    return b"\xaa" + struct.pack("<H", len(body)) + body


def done(token: int = DONE, status: int = 0, command: int = 0, count: int = 0) -> bytes:
    return struct.pack("<BHHQ", token, status, command, count)


def returned_status(value: int = 0) -> bytes:
    return b"\x79" + struct.pack("<i", value)


def returned_handle(handle: int) -> bytes:
    """An output parameter that is an int."""
    return b"\xac\0\0\0\x01" + struct.pack("<IH", 0, 9) + b"\x26\x04\x04" + struct.pack("<i", handle)


def acknowledgement() -> bytes:
    body = b"\x01\x74\x00\x00\x04" + short_text("Microsoft SQL Server") + bytes([16, 0, 0x10, 0x5B])
    return b"\xad" + struct.pack("<H", len(body)) + body


class Reader(Struct):
    """What a client sent, read from the front."""

    data: bytes
    at: int = 0

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def take(self, size: int) -> bytes:
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def peek(self) -> int:
        return self.data[self.at]

    def short_text(self) -> str:
        return self.take(self.number(1) * 2).decode("utf-16-le")

    def long_text(self) -> str:
        return self.take(self.number(2) * 2).decode("utf-16-le")

    def chunks(self) -> bytes | None:
        """A value of unknown length."""
        if self.take(8) == b"\xff" * 8:
            return None
        found = []
        while size := self.number(4):
            found.append(self.take(size))
        return b"".join(found)


def without_headers(data: bytes) -> bytes:
    """A request after the headers that every request begins with."""
    return data[struct.unpack_from("<I", data)[0] :]
