"""Batches that wait on disk until it is known how far a reading comes; memory holds one at a time.

The file has no name, so that nobody else opens it and a process that is killed leaves nothing behind.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Spool:
    """Batches of one schema, written once and read as often as wanted."""

    def __init__(self, schema: pa.Schema) -> None:
        self._file = tempfile.TemporaryFile(prefix="dpone-rest-")  # noqa: SIM115 - open as long as the reading is
        self._writer = pa.ipc.new_stream(self._file, schema)

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)

    def seal(self) -> None:
        """No batch follows."""
        self._writer.close()
        self._file.flush()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The batches from the first on, whoever else is reading them."""
        with pa.ipc.open_stream(_Reader(self._file.fileno())) as reader:
            yield from reader

    def close(self) -> None:
        self._file.close()


class _Reader(io.RawIOBase):
    """A file from its beginning, with a place of its own in it."""

    def __init__(self, handle: int) -> None:
        super().__init__()
        self._handle = handle
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        data = os.pread(self._handle, len(view), self._at)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)
