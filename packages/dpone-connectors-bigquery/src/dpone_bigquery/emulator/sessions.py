"""Sessions and their transactions, with the rule by which BigQuery lets concurrent ones conflict.

A transaction that changes rows of a table (not one that only adds some) has the table to itself: another transaction
that does the same is aborted, a statement outside of any waits. So is one that began before the last such change.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from msgspec import Struct, field

from dpone_bigquery.emulator.answers import Refused, invalid_query
from dpone_bigquery.emulator.store import Connection, Store

_PATIENCE = 20.0  # seconds that a statement waits for a transaction
Table = tuple[str, str]


class Session(Struct):
    """One connection, on which one query runs at a time."""

    own: Connection
    id: str = field(default_factory=lambda: uuid4().hex)
    running: threading.RLock = field(default_factory=threading.RLock)
    is_open: bool = False  # a transaction was begun
    began: int = 0
    changed: set[Table] = field(default_factory=set)


class Sessions:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, Session] = {}
        self._moved = threading.Condition()
        self._holders: dict[Table, Session | None] = {}
        self._last: dict[Table, int] = {}
        self._clock = 0

    def make(self) -> Session:
        """A session that lasts until it is aborted."""
        session = self.brief()
        self._known[session.id] = session
        return session

    def brief(self) -> Session:
        """The session of a single job."""
        return Session(self._store.connect())

    def find(self, id_: str) -> Session:
        if (found := self._known.get(id_)) is None:
            raise Refused(404, "notFound", f"Not found: Session {id_}")
        return found

    def abort(self, id_: str) -> None:
        """The session is gone, and what its transaction did is undone."""
        if (session := self._known.pop(id_, None)) is not None:
            with session.running:
                self.roll_back(session)

    # -------------------------------------------------------------- transactions

    def begin(self, session: Session) -> None:
        if session.is_open:
            raise invalid_query("Transaction is already in progress")
        with self._moved:
            session.began = self._clock
            session.own.execute("BEGIN")
            session.own.execute("SELECT count(*) FROM __emulator.datasets").fetchone()  # the snapshot is taken now
        session.is_open = True

    def commit(self, session: Session) -> None:
        if not session.is_open:
            raise invalid_query("There is no transaction to commit")
        try:
            session.own.execute("COMMIT")
        except BaseException:
            self._end(session, done=False)
            raise
        self._end(session, done=True)

    def roll_back(self, session: Session) -> None:
        if session.is_open:
            try:
                session.own.execute("ROLLBACK")
            finally:
                self._end(session, done=False)

    def _end(self, session: Session, *, done: bool) -> None:
        with self._moved:
            session.is_open = False
            for table in session.changed:
                self._holders.pop(table, None)
                if done:
                    self._clock += 1
                    self._last[table] = self._clock
            session.changed = set()
            self._moved.notify_all()

    @contextmanager
    def changing(self, session: Session, table: Table) -> Iterator[None]:
        """Within the context rows of the table may be updated or deleted."""
        if session.is_open:
            with self._moved:
                if self._holders.get(table, session) is not session or self._last.get(table, 0) > session.began:
                    raise invalid_query(
                        f"Transaction is aborted due to concurrent update against table {'.'.join(table)}"
                    )
                self._holders[table] = session
                session.changed.add(table)
            yield
            return
        with self._moved:
            if not self._moved.wait_for(lambda: table not in self._holders, _PATIENCE):
                raise invalid_query(f"Could not serialize access to table {'.'.join(table)} due to concurrent update")
            self._holders[table] = None
        try:
            yield
        finally:
            with self._moved:
                del self._holders[table]
                self._clock += 1
                self._last[table] = self._clock
                self._moved.notify_all()
