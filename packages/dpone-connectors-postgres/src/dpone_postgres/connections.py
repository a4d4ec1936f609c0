"""The connections of one end: who is done with one leaves it to the next who asks, since a login costs 10 to 20 ms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Lock, Thread

import psycopg
from psycopg import pq

from dpone_postgres.config import PostgresConfig
from dpone_postgres.faults import Side, translate
from dpone_postgres.session import Connection, connect
from dpone_postgres.waiting import EVENT_READ, wait_for

_A_MOMENT = 1.0  # seconds: a server that refuses us has long done so


class _Login:
    """A connection that is being made by a thread of its own."""

    def __init__(self, config: PostgresConfig, side: Side) -> None:
        self._lock = Lock()
        self._wanted = True
        self._made: Connection | None = None
        self._failed: BaseException | None = None
        # a daemon: an unreachable server must not keep a process that has failed elsewhere
        self._thread = Thread(target=self._connect, args=(config, side), name="dpone-login", daemon=True)
        self._thread.start()

    def _connect(self, config: PostgresConfig, side: Side) -> None:
        try:
            made = connect(config, side)
        except BaseException as error:  # noqa: BLE001 -- it is raised where the connection is asked for
            self._failed = error
            return
        with self._lock:
            if self._wanted:
                self._made = made
                return
        made.close()

    def result(self) -> Connection:
        """The connection, or the error with which the login ended."""
        self._thread.join()
        if self._failed is not None:
            raise self._failed
        assert self._made is not None  # it is wanted
        return self._made

    def forget(self) -> None:
        """Nobody asks for it any more."""
        with self._lock:
            self._wanted = False
            if self._made is not None:
                self._made.close()
        # a process that ends while libpq is at work in a thread may crash; in one that only waits nothing happens
        self._thread.join(_A_MOMENT)


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
        self._logins: list[_Login] = []
        self._lock = Lock()

    @property
    def label(self) -> str:
        """The server, without secrets."""
        return self.config.label

    @contextmanager
    def session(self, *, timeout: timedelta | None = None) -> Iterator[Connection]:
        """A connection of the caller's own, outside of any transaction; its errors leave as dpone's."""
        connection = self._rested(timeout) or self._logged_in(timeout)
        try:
            yield connection
        except psycopg.Error as error:
            raise translate(error, self.side, self.label) from None
        finally:
            self._give_back(connection, timeout)

    def log_in_ahead(self) -> None:
        """The next session without a limit finds its login under way; other work is done meanwhile."""
        with self._lock:
            if self._keeps and not self._logins and all(limit is not None for limit, _ in self._resting):
                self._logins.append(_Login(self.config, self.side))

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
            logins, self._logins = self._logins, []
        for login in logins:
            login.forget()
        for _, connection in resting:
            connection.close()

    def _logged_in(self, timeout: timedelta | None) -> Connection:
        with self._lock:
            login = self._logins.pop() if self._logins and timeout is None else None
        return login.result() if login else connect(self.config, self.side, timeout=timeout)

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
    return bool(wait_for(connection.fileno(), EVENT_READ, 0))


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
