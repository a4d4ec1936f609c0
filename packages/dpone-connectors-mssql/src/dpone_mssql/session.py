"""Sessions with SQL Server: statements, answers, transactions, and failures by their numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from threading import Lock
from typing import Any

from dpone.errors import DponeError
from dpone_mssql.config import MssqlConfig
from dpone_mssql.drivers import Driver, connection_string, driver_for
from dpone_mssql.faults import Side, login_failed, translate

_SETTINGS = "SET XACT_ABORT ON; SET ARITHABORT ON; SET LOCK_TIMEOUT -1; SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
Row = tuple[Any, ...]


class Connection:
    """One session, outside of any transaction until it begins one. Errors leave as dpone's."""

    def __init__(self, config: MssqlConfig, side: Side, timeout: timedelta | None = None) -> None:
        self.config = config
        self.label = config.label
        self._side: Side = side
        self._driver: Driver = driver_for(config, side)
        try:
            self._raw = self._driver.open(connection_string(config, self._driver), config.login_timeout)
        except self._driver.error as error:
            raise _told(login_failed(error, side, config.label), config, side) from None
        if timeout is not None:
            self._raw.timeout = max(1, int(timeout.total_seconds()))
        self._cursor = self._raw.cursor()
        self._one_at_a_time = Lock()  # a session that was lent may be asked by two threads, and drivers do not wait
        self.closed = False
        self.run(_SETTINGS)

    @property
    def raw(self) -> Any:
        """The driver's own connection."""
        return self._raw

    @property
    def driver(self) -> Driver:
        return self._driver

    def run(self, text: str, values: Sequence[object] = ()) -> int:
        """The statement was carried out; how many rows it changed."""
        return int(self._execute(text, values, lambda cursor: cursor.rowcount))

    def rows(self, text: str, values: Sequence[object] = ()) -> list[Row]:
        """All rows of an answer."""
        return [tuple(row) for row in self._execute(text, values, _all)]

    def row(self, text: str, values: Sequence[object] = ()) -> Row | None:
        found = self.rows(text, values)
        return found[0] if found else None

    def one(self, text: str, values: Sequence[object] = ()) -> Row:
        """The one row that an answer has."""
        found = self.row(text, values)
        assert found is not None  # the query says so
        return found

    def _execute(self, text: str, values: Sequence[object], take: Callable[[Any], Any]) -> Any:
        with self._one_at_a_time:
            try:
                self._cursor.execute(text, *([tuple(values)] if values else []))
                found = take(self._cursor)
                while self._cursor.nextset():
                    if self._cursor.description is not None:
                        found = take(self._cursor)
            except self._driver.error as error:
                raise self.failed(error) from None
            return found

    def failed(self, error: Exception) -> Exception:
        """The error as dpone's. Drivers keep the server's number to themselves; the server does not."""
        return translate(error, self._side, self.label, self._number())

    def _number(self) -> int | None:
        try:
            cursor = self._raw.cursor()
            cursor.execute("SELECT @@ERROR")
            (found,) = cursor.fetchone()
            cursor.close()
        except self._driver.error:
            self.close()
            return None
        return int(found) or None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything within, or nothing."""
        self.run("BEGIN TRANSACTION")
        try:
            yield
        except BaseException:
            self.undo()
            raise
        self.run("COMMIT TRANSACTION")

    def undo(self) -> None:
        """No transaction is open; a lost connection has none anyway."""
        if self.closed:
            return
        try:
            self._cursor.execute("IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION")
        except self._driver.error:
            self.close()

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        with suppress(self._driver.error):  # it may be lost already
            self._raw.close()


def _told(failed: DponeError, config: MssqlConfig, side: Side) -> DponeError:
    """The same failure; where it is TLS that stands between, which drivers do not tell apart, this with its reason."""
    if failed.code != f"{side}.unreachable":
        return failed
    from dpone_mssql.trust import refused_trust

    return refused_trust(config, side) or failed


def _all(cursor: Any) -> list[Any]:
    return list(cursor.fetchall()) if cursor.description is not None else []


class Connections:
    """The sessions of one end. Safe to share between threads: a session is in one hand at a time.

    With `keeps` those at rest stay open until `close`; without, each is closed when it is given back.
    """

    def __init__(self, config: MssqlConfig, side: Side, *, keeps: bool = False) -> None:
        self.config = config
        self.side: Side = side
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
        """A session of the caller's own, outside of any transaction."""
        connection = self._rested(timeout) or Connection(self.config, self.side, timeout)
        try:
            yield connection
        finally:
            self._give_back(connection, timeout)

    @contextmanager
    def lending(self, connection: Connection) -> Iterator[None]:
        """Within the context others may ask their brief questions on a session that merely holds something."""
        self._lent = connection
        try:
            yield
        finally:
            self._lent = None

    @contextmanager
    def brief(self) -> Iterator[Connection]:
        """A session for single queries, each a transaction of its own, perhaps shared with others who ask some."""
        lent = self._lent
        if lent is None or lent.closed:
            with self.session() as connection:
                yield connection
            return
        yield lent

    def close(self) -> None:
        """No session is open but those in use, which are closed when they are given back."""
        with self._lock:
            self._keeps = False
            resting, self._resting = self._resting, []
        for _, connection in resting:
            connection.close()

    def _rested(self, timeout: timedelta | None) -> Connection | None:
        """A session with that limit that still answers, with its settings as they were at first."""
        while True:
            with self._lock:
                found = next((i for i in reversed(range(len(self._resting))) if self._resting[i][0] == timeout), None)
                if found is None:
                    return None
                _, connection = self._resting.pop(found)
            try:
                connection.run(_SETTINGS)
            except DponeError:
                connection.close()
            else:
                return connection

    def _give_back(self, connection: Connection, timeout: timedelta | None) -> None:
        connection.undo()
        if not connection.closed:
            with self._lock:
                if self._keeps:
                    self._resting.append((timeout, connection))
                    return
        connection.close()
