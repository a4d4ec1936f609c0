"""Names: PostgreSQL's end at 63 bytes, SQL Server's at 128 characters, so a long one is kept under its digest."""

from __future__ import annotations

import hashlib
from threading import Lock
from typing import TYPE_CHECKING

from psycopg.pq import ExecStatus

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn

_LONGEST = 63
_MARK = "~"


class LongNames:
    """The long names of one database, which `tsql.long_names` remembers for the catalogue views."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._fresh: list[tuple[str, str]] = []
        self._lock = Lock()

    def short(self, name: str) -> str:
        """What the object is called in PostgreSQL."""
        if len(name.encode()) <= _LONGEST:
            return name
        short = _MARK + hashlib.sha256(name.encode()).hexdigest()[:40]
        with self._lock:
            if short not in self._known:
                self._known[short] = name
                self._fresh.append((short, name))
        return short

    def long(self, name: str) -> str:
        """What SQL Server calls it."""
        return self._known.get(name, name) if name.startswith(_MARK) else name

    def load(self, connection: PGconn) -> None:
        """Those of an earlier life of the server are known."""
        found = connection.exec_(b"SELECT short, name FROM tsql.long_names")
        for row in range(found.ntuples):
            short, name = found.get_value(row, 0), found.get_value(row, 1)
            assert short is not None
            assert name is not None
            self._known[short.decode()] = name.decode()

    def save(self, connection: PGconn) -> None:
        """The catalogue views know all names that were seen so far; part of the running transaction."""
        if not self._fresh:
            return
        with self._lock:
            fresh, self._fresh = self._fresh, []
        for short, name in fresh:
            done = connection.exec_params(
                b"INSERT INTO tsql.long_names VALUES ($1, $2) ON CONFLICT DO NOTHING", [short.encode(), name.encode()]
            )
            if done.status != ExecStatus.COMMAND_OK:
                self._fresh.append((short, name))


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
