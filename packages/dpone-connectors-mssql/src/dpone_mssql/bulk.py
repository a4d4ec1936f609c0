"""Rows on their way into a table: bulk copy over TDS, or parameters of an INSERT where a manifest asks for that."""
# ruff: noqa: S608 - all text here is made of quoted identifiers

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from dpone.errors import DponeError, RemoteError
from dpone_mssql.arrow_text import spelled
from dpone_mssql.dialect import MSSQL
from dpone_mssql.drivers import connection_string
from dpone_mssql.faults import number_of, rejected, translate
from dpone_mssql.session import Connection

_WAITING = 4  # batches between whoever makes them and the wire: memory stays as it is, whatever the table's size
_PATIENCE = 0.5


class BulkCopy(Protocol):
    def send(self, batch: Any) -> None: ...  # a pyarrow.RecordBatch of all columns


class _Abandoned(Exception):
    """Whoever makes the batches stopped."""


class _Pulled:
    """Batches that are pushed here and pulled by a thread, which bulk copy wants."""

    def __init__(self, connection: Connection, table: str, names: Sequence[str]) -> None:
        self._connection = connection
        self._table = table
        self._names = list(names)
        self._batches: queue.Queue[Any] = queue.Queue(maxsize=_WAITING)
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def send(self, batch: Any) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._copy, daemon=True)
            self._thread.start()
        self._put(batch)

    def finish(self) -> None:
        """All rows that were sent are in the table."""
        if self._thread is None:
            return
        self._put(None)
        self._thread.join()
        self._refuse()

    def abandon(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            with suppress(DponeError):  # it may have failed by itself
                self._put(_Abandoned())
            self._thread.join()

    def _put(self, batch: Any) -> None:
        while True:
            self._refuse()
            try:
                self._batches.put(batch, timeout=_PATIENCE)
            except queue.Full:
                continue
            return

    def _refuse(self) -> None:
        """Raises what the thread found."""
        error = self._error
        if error is None or isinstance(error, _Abandoned):
            return
        label = self._connection.label
        if number_of(error) if isinstance(error, Exception) else 0:
            raise translate(error, "sink", label) from None  # type: ignore[arg-type]  # an Exception, as was asked above
        if isinstance(error, ValueError | OverflowError | TypeError):
            raise rejected("sink", label, error) from None
        raise RemoteError(
            f"the bulk copy to {label} did not come to its end",
            code="sink.bulk_copy_failed",
            hint="run again; `bulk: executemany` does without bulk copy",
            retryable=True,
            cause=type(error).__name__,
        ) from None

    def _pull(self) -> Iterator[Any]:
        while (batch := self._batches.get()) is not None:
            if isinstance(batch, _Abandoned):
                raise batch
            yield batch

    def _copy(self) -> None:
        import mssql_python

        config = self._connection.config
        try:
            raw = mssql_python.connect(connection_string(config), autocommit=True, timeout=config.login_timeout)
            try:
                raw.cursor().bulkcopy_arrow(
                    self._table, self._pull(), timeout=0, table_lock=True, keep_nulls=True, column_mappings=self._names
                )
            finally:
                raw.close()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asks
            self._error = _without_frames(error)
            while not self._batches.empty():
                self._batches.get_nowait()


def _without_frames(error: BaseException) -> BaseException:
    """The error, which keeps nothing of the driver's alive.

    Its frames hold a connection, and are held by what they hold: only the garbage collector would find them. When that
    comes within another bulk copy, the driver panics, since a runtime must not end inside of one.
    """
    found: BaseException | None = error
    while found is not None:
        found.__traceback__ = None
        found = found.__context__
    return error


@contextmanager
def bulk_copy(connection: Connection, table: str, names: Sequence[str]) -> Iterator[BulkCopy]:
    """Bulk copy of one split; its rows are in the table when the context ends, or the split failed."""
    pulled = _Pulled(connection, table, names)
    try:
        yield pulled
    except BaseException:
        pulled.abandon()
        raise
    pulled.finish()


class _Inserted:
    """Parameters of an INSERT, many rows at a time."""

    def __init__(self, connection: Connection, statement: str) -> None:
        self._connection = connection
        self._statement = statement
        self._cursor = connection.raw.cursor()
        self._cursor.fast_executemany = True

    def send(self, batch: Any) -> None:
        try:
            rows = list(zip(*map(spelled, batch.columns), strict=True))
        except ValueError as error:
            raise rejected("sink", self._connection.label, error) from None
        sizes = self._connection.driver.sizes
        if sizes is not None:
            self._cursor.setinputsizes(sizes(["binary" in str(column.type) for column in batch.columns]))
        try:
            self._cursor.executemany(self._statement, rows)
        except self._connection.driver.error as error:
            raise self._connection.failed(error) from None


@contextmanager
def bulk_insert(connection: Connection, table: str, names: Sequence[str]) -> Iterator[BulkCopy]:
    """The floor: slower, and all that is left where bulk copy is not to be used."""
    columns = ", ".join(map(MSSQL.quote, names))
    places = ", ".join("?" for _ in names)
    yield _Inserted(connection, f"INSERT INTO {table} ({columns}) VALUES ({places})")
