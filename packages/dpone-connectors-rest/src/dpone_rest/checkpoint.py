"""Pages of a reading that is not complete yet, in a file: if this run is killed, the next one goes on after them.

What is kept is answers, each with the request that it is of. The next run asks again for the first page and the last
one, and goes on only where both still hold the records that they held: otherwise the collection moved, and what is
kept of it is of no use. Everything that is watched for among pages is watched for again, over those that were kept as
well. A reading that ends well leaves no file behind.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import time
from typing import Any
from zlib import crc32

from msgspec import Struct

from dpone.errors import DponeError, RemoteError
from dpone.failpoints import hit
from dpone_rest.answers import Record
from dpone_rest.client import Answer
from dpone_rest.paging import Ask

FOLDER = Path(".dpone/pages")
MOST_BYTES = 8 << 30  # a reading of more goes on without being kept
_FORGOTTEN = 86_400.0  # seconds after which nobody comes back for a file; no manifest may say more
_HEAD, _WIDTH = 16, 8  # of an entry: its length and its checksum, in hexadecimal digits
_VERSION = 1
_KEPT_HEADERS = ("Link", "Date")  # that pages follow from, and the clock
_MOVED = frozenset({"source.table_missing", "rest.request_refused"})  # a place in the collection that is no more
_LIMITED = "limits."

Fetch = Callable[[Ask], Answer]
Records = Callable[[Answer], list[Record]]


class _Place(Struct, frozen=True):
    """Where an entry is in the file."""

    at: int
    end: int


class Checkpoint:
    """The pages of one reading, in their order. `begun` is when the first of them was asked for."""

    def __init__(self, handle: int, path: Path, identity: str, within: timedelta) -> None:
        self._handle = handle
        self._path = path
        self._identity = identity
        self._places: list[_Place] = []
        self._is_full = False
        self.begun = datetime.now(UTC)
        self.pages = 0  # of an earlier process
        if time() - os.fstat(handle).st_mtime > within.total_seconds() or not self._found():
            self._begin()

    # ------------------------------------------------------------------- the file

    def _found(self) -> bool:
        """What an earlier process left is taken in, up to the last page that is whole."""
        head = self._entry(0)
        if head is None:
            return False
        known = json.loads(head[0])
        if known["version"] != _VERSION or known["identity"] != self._identity:
            return False
        self.begun = datetime.fromisoformat(known["begun"])
        end = head[1]
        while (entry := self._entry(end)) is not None:
            self._places.append(_Place(end, entry[1]))
            end = entry[1]
        os.ftruncate(self._handle, end)
        self.pages = len(self._places)
        return True

    def _begin(self) -> None:
        """Nothing is kept yet."""
        self._places, self.pages, self.begun = [], 0, datetime.now(UTC)
        os.ftruncate(self._handle, 0)
        known = {"version": _VERSION, "identity": self._identity, "begun": self.begun.isoformat()}
        self._append(json.dumps(known).encode())

    def _entry(self, at: int) -> tuple[bytes, int] | None:
        """The payload of the entry there and where it ends; None where there is no whole one."""
        head = os.pread(self._handle, _HEAD, at)
        try:
            size, told = int(head[:_WIDTH], 16), int(head[_WIDTH:], 16)
        except ValueError:
            return None
        payload = os.pread(self._handle, size, at + _HEAD)
        return None if len(payload) != size or crc32(payload) != told else (payload, at + _HEAD + size)

    def _append(self, told: bytes, body: bytes = b"") -> _Place:
        at, size = os.fstat(self._handle).st_size, len(told) + len(body)
        head = b"%08x%08x" % (size, crc32(body, crc32(told)))
        if os.pwritev(self._handle, (head, told, body), at) != _HEAD + size:
            raise OSError(errno.ENOSPC, "the disk is full")
        return _Place(at, at + _HEAD + size)

    def _page(self, number: int) -> tuple[Ask, Answer]:
        entry = self._entry(self._places[number].at)
        assert entry is not None  # it was whole when it was found or written, and nobody else has the file
        said, _, body = entry[0].partition(b"\n")
        known: Any = json.loads(said)
        return Ask(*known["ask"]), Answer(known["url"], known["status"], known["headers"], body)

    # ------------------------------------------------------------------- a reading

    def go_on(self, fetch: Fetch, records: Records) -> None:
        """The pages that are kept are those of the collection as it is now, by the first and the last of them; or none
        is kept.
        """
        for number in dict.fromkeys((0, self.pages - 1)) if self.pages else ():
            ask, before = self._page(number)
            try:
                now = fetch(ask)
            except DponeError as error:
                if error.code not in _MOVED:
                    raise
                self._begin()
                return
            if records(now) != records(before):
                self._begin()
                return
            if number == self.pages - 1:  # what follows it is asked for by what the API says now
                os.ftruncate(self._handle, self._places.pop().at)
                self._put(ask, now)

    def known(self, number: int, ask: Ask) -> Answer | None:
        """The answer that is kept of the page of this number, from zero on."""
        if number >= len(self._places):
            return None
        asked, answer = self._page(number)
        if asked == ask:
            return answer
        os.ftruncate(self._handle, self._places[number].at)  # what follows here now are other pages
        del self._places[number:]
        return None

    def keep(self, number: int, ask: Ask, answer: Answer) -> None:
        """The page is safe from whatever becomes of this process. A disk that has no room for it ends nothing."""
        if number < len(self._places):
            return
        self._put(ask, answer)
        hit("rest.page")

    def _put(self, ask: Ask, answer: Answer) -> None:
        if self._is_full:
            return
        try:
            self._is_full = os.fstat(self._handle).st_size + len(answer.body) > MOST_BYTES
            if not self._is_full:
                self._places.append(self._append(_told(ask, answer), answer.body))
        except OSError:
            self._is_full = True
        if self._is_full:
            with suppress(OSError):
                self._path.unlink()

    def close(self, *, keeps: bool) -> None:
        """The file is another process's from now on, or gone."""
        if not keeps:
            with suppress(OSError):
                self._path.unlink()
        os.close(self._handle)


def _told(ask: Ask, answer: Answer) -> bytes:
    """All of a page but its body."""
    headers = {name: answer.headers[name] for name in _KEPT_HEADERS if name in answer.headers}
    known = {
        "ask": [ask.url, dict(ask.params), ask.token],
        "url": answer.url,
        "status": answer.status,
        "headers": headers,
    }
    return json.dumps(known).encode() + b"\n"


@contextmanager
def checkpoint(identity: str, within: timedelta, folder: Path | None = None) -> Iterator[Checkpoint | None]:
    """The checkpoint of the reading of this identity; None where none can be kept, or another process has it.

    Its file outlives a reading that a signal, a limit or a machine ended, and a process that was killed: not one that
    ended well, and not one that its data ended, which would end the next one as well.
    """
    found = _opened(folder or FOLDER, identity, within)
    if found is None:
        yield None
        return
    try:
        yield found
    except BaseException as error:
        found.close(keeps=_passes(error))
        raise
    found.close(keeps=False)


def _passes(error: BaseException) -> bool:
    if isinstance(error, DponeError):
        return isinstance(error, RemoteError) or error.code.startswith(_LIMITED)
    return not isinstance(error, Exception)  # a signal


def _opened(folder: Path, identity: str, within: timedelta) -> Checkpoint | None:
    path = folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.pages"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _forget(folder)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_ino != path.stat().st_ino:
            raise FileNotFoundError  # its last reader ended well, and removed it meanwhile
        return Checkpoint(handle, path, identity, within)
    except (OSError, ValueError, KeyError):
        os.close(handle)
        return None


def _forget(folder: Path) -> None:
    """Files that nobody came back for are gone."""
    for path in folder.glob("*.pages"):
        with suppress(OSError):
            if time() - path.stat().st_mtime > _FORGOTTEN:
                path.unlink()
