"""The connections of one end: who is done with one leaves it to the next who asks, since a login costs 10 to 20 ms."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Lock

import psycopg
from psycopg import pq

from dpone_postgres.config import PostgresConfig
from dpone_postgres.faults import Side, translate
from dpone_postgres.session import Connection, connect


class Connections:
    """Safe to share between threads: a connection is in one hand at a time.

    With `keeps` those at rest stay open until `close`; without, each is closed when it is given back.
    """

    def __init__(self, config: PostgresConfig, side: Side, *, keeps: bool = False) -> None:
        self.config = config
        self.side = side
        self._keeps = keeps
        self._resting: list[tuple[timedelta | None, Connection]] = []
        self._lent: Connection | None = None
        self._lock = Lock()

    @property
    def label(self) -> str:
        """The server, without secrets."""
        return self.config.label

    @contextmanager
    def session(self, *, timeout: timedelta | None = None) -> Iterator[Connection]:
        """A connection of the caller's own, outside of any transaction; its errors leave as dpone's."""
        connection = self._rested(timeout) or connect(self.config, self.side, timeout=timeout)
        try:
            yield connection
        except psycopg.Error as error:
            raise translate(error, self.side, self.label) from None
        finally:
            self._give_back(connection, timeout)

    @contextmanager
    def lending(self, connection: Connection) -> Iterator[None]:
        """Within the context others may ask their brief questions on a connection that merely holds something."""
        self._lent = connection
        try:
            yield
        finally:
            self._lent = None

    @contextmanager
    def brief(self) -> Iterator[Connection]:
        """A connection for single queries, each a transaction of its own, perhaps shared with others who ask some."""
        lent = self._lent
        if lent is None or lent.closed:
            with self.session() as connection:
                yield connection
            return
        try:
            yield lent
        except psycopg.Error as error:
            raise translate(error, self.side, self.label) from None

    def close(self) -> None:
        """No connection is open but those in use, which are closed when they are given back."""
        with self._lock:
            self._keeps = False
            resting, self._resting = self._resting, []
        for _, connection in resting:
            connection.close()

    def _rested(self, timeout: timedelta | None) -> Connection | None:
        """A connection with that limit that is still alive, the one that was used last."""
        while True:
            with self._lock:
                found = next((i for i in reversed(range(len(self._resting))) if self._resting[i][0] == timeout), None)
                if found is None:
                    return None
                _, connection = self._resting.pop(found)
            if not _has_news(connection):
                return connection
            connection.close()

    def _give_back(self, connection: Connection, timeout: timedelta | None) -> None:
        if _is_at_rest(connection):
            with self._lock:
                if self._keeps:
                    self._resting.append((timeout, connection))
                    return
        connection.close()


def _has_news(connection: Connection) -> bool:
    """The server said something unasked, which to a connection at rest is most likely that it is going down."""
    readable, _, _ = select.select([connection.fileno()], [], [], 0)
    return bool(readable)


def _is_at_rest(connection: Connection) -> bool:
    """No transaction is open on it any more."""
    if connection.closed:
        return False
    try:
        if connection.pgconn.transaction_status in {pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR}:
            connection.execute("ROLLBACK")
    except psycopg.Error:
        return False
    return connection.pgconn.transaction_status == pq.TransactionStatus.IDLE
