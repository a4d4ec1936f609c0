"""The primitive values of Kafka's protocol: read from a request, written into an answer."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Self, TypeVar

T = TypeVar("T")

INT8, INT16, INT32, INT64 = (struct.Struct(f) for f in (">b", ">h", ">i", ">q"))


class MalformedError(Exception):
    """A request is not what its key and version say; its connection is closed."""


class Reader:
    """A request, read from its beginning to its end."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: memoryview, at: int = 0) -> None:
        self._data = data
        self._at = at

    def int8(self) -> int:
        return self._number(INT8)

    def int16(self) -> int:
        return self._number(INT16)

    def int32(self) -> int:
        return self._number(INT32)

    def int64(self) -> int:
        return self._number(INT64)

    def flag(self) -> bool:
        return self._number(INT8) != 0

    def text(self) -> str:
        """A string; one that is null reads as an empty one."""
        return self.text_or_none() or ""

    def text_or_none(self) -> str | None:
        found = self._piece(self.int16())
        return None if found is None else str(found, "utf-8")

    def data(self) -> bytes:
        """Bytes; those that are null read as none."""
        found = self._piece(self.int32())
        return b"" if found is None else bytes(found)

    def view(self) -> memoryview:
        """Bytes that are not copied."""
        found = self._piece(self.int32())
        return memoryview(b"") if found is None else found

    def array(self, item: Callable[[], T]) -> list[T]:
        """The items; an array that is null reads as an empty one."""
        return self.array_or_none(item) or []

    def array_or_none(self, item: Callable[[], T]) -> list[T] | None:
        size = self.int32()
        return None if size < 0 else [item() for _ in range(size)]

    def _number(self, of: struct.Struct) -> int:
        try:
            (value,) = of.unpack_from(self._data, self._at)
        except struct.error as error:
            raise MalformedError from error
        self._at += of.size
        return int(value)

    def _piece(self, size: int) -> memoryview | None:
        if size < 0:
            return None
        if self._at + size > len(self._data):
            raise MalformedError
        found = self._data[self._at : self._at + size]
        self._at += size
        return found


class Writer:
    """An answer, written from its beginning to its end."""

    __slots__ = ("out",)

    def __init__(self) -> None:
        self.out = bytearray()

    def int8(self, value: int) -> Self:
        self.out += INT8.pack(value)
        return self

    def int16(self, value: int) -> Self:
        self.out += INT16.pack(value)
        return self

    def int32(self, value: int) -> Self:
        self.out += INT32.pack(value)
        return self

    def int64(self, value: int) -> Self:
        self.out += INT64.pack(value)
        return self

    def flag(self, value: bool) -> Self:  # noqa: FBT001 - the value that is written
        self.out.append(1 if value else 0)
        return self

    def text(self, value: str | None) -> Self:
        if value is None:
            return self.int16(-1)
        encoded = value.encode()
        self.int16(len(encoded))
        self.out += encoded
        return self

    def data(self, value: bytes | None) -> Self:
        if value is None:
            return self.int32(-1)
        self.int32(len(value))
        self.out += value
        return self

    def array(self, items: Iterable[T], write: Callable[[T], object]) -> Self:
        listed: Sequence[T] = items if isinstance(items, Sequence) else list(items)
        self.int32(len(listed))
        for item in listed:
            write(item)
        return self

    def empty(self) -> Self:
        """An array without items."""
        return self.int32(0)
