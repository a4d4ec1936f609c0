"""One PostgreSQL connection behind one client: statements that the client may interrupt, and transactions."""

from __future__ import annotations

import select
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import psycopg
from psycopg.pq import DiagnosticField, ExecStatus, TransactionStatus

from dpone_mssql.emulator.faults import Fault, from_postgres
from dpone_mssql.emulator.names import LongNames

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

_SETTINGS = (
    b"SET search_path = pg_catalog, tsql, dbo; SET timezone = 'UTC'; SET bytea_output = 'hex'; SET datestyle = 'ISO'; "
    b"SET client_min_messages = 'error'; SET jit = off; SET standard_conforming_strings = on"
)
_SAVED = b"SAVEPOINT statement"


class Interrupted(Exception):
    """The client sent an attention while its statement ran."""


class Backend:
    def __init__(self, dsn: str, names: LongNames, *, encrypted: bool) -> None:
        self._connection = psycopg.connect(dsn, autocommit=True)
        self.pg = self._connection.pgconn
        self.names = names
        self.pg.exec_(_SETTINGS)
        self.pg.exec_(f"SET tsql.encrypted = '{str(encrypted).upper()}'".encode())
        names.load(self.pg)
        found = self.pg.exec_(
            b"SELECT t.oid, t.typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace "
            b"WHERE n.nspname = 'tsql' OR (n.nspname = 'pg_catalog' AND t.typtype = 'b')"
        )
        self.types = {
            int(found.get_value(i, 0) or 0): (found.get_value(i, 1) or b"").decode() for i in range(found.ntuples)
        }
        self.is_interrupted: Callable[[float], bool] = lambda _: False
        self.client: int | None = None

    @property
    def pid(self) -> int:
        return self.pg.backend_pid

    @property
    def in_transaction(self) -> bool:
        return self.pg.transaction_status in {TransactionStatus.INTRANS, TransactionStatus.INERROR}

    @property
    def connection(self) -> psycopg.Connection[tuple[object, ...]]:
        return self._connection

    def close(self) -> None:
        self._connection.close()

    def run(self, text: str, values: Sequence[str | None] = ()) -> PGresult:
        """The last result of the statement; an error is a fault with its number."""
        self.names.save(self.pg)
        given = [None if value is None else value.encode() for value in values]
        if given:
            self.pg.send_query_params(text.encode(), given)
        else:
            self.pg.send_query(text.encode())
        last: PGresult | None = None
        interrupted = self._wait()
        while (found := self.pg.get_result()) is not None:
            if last is None or last.status != ExecStatus.FATAL_ERROR:
                last = found
        if interrupted:
            raise Interrupted
        assert last is not None
        if last.status == ExecStatus.FATAL_ERROR:
            raise _fault(last)
        return last

    def _wait(self) -> bool:
        """The answer is there; true when the client interrupted, and the statement was cancelled."""
        interrupted = False
        socket = self.pg.socket
        while True:
            self.pg.consume_input()
            if not self.pg.is_busy():
                return interrupted
            watched = [socket] if interrupted or self.client is None else [socket, self.client]
            ready, _, _ = select.select(watched, [], [], 60)
            if self.client in ready and not interrupted and self.is_interrupted(0):
                interrupted = True
                self.pg.get_cancel().cancel()

    # ---------------------------------------------------------------------- transactions

    def protect(self) -> None:
        """A failure of the next statement leaves the transaction as it is now."""
        self.pg.exec_(_SAVED)

    def release(self) -> None:
        self.pg.exec_(b"RELEASE SAVEPOINT statement")

    def restore(self) -> None:
        self.pg.exec_(b"ROLLBACK TO SAVEPOINT statement; RELEASE SAVEPOINT statement")


def _fault(result: PGresult) -> Fault:
    state = (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()
    said = (result.error_field(DiagnosticField.MESSAGE_PRIMARY) or b"").decode(errors="replace")
    fault = from_postgres(state, said)
    if state == "23505":
        name = (result.error_field(DiagnosticField.CONSTRAINT_NAME) or b"").decode(errors="replace")
        if not name.endswith(("_pkey", "_key")) and not name.startswith(("pk", "PK", "uq", "UQ")):
            fault = Fault(2601, f"Cannot insert duplicate key row in object with unique index '{name}'.")
    return fault
