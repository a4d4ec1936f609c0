"""The right to write one target: an advisory lock of a connection that lives as long as the lease."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg

from dpone.books import WAIT, HeldLease, held_elsewhere, in_books
from dpone.connector import Target
from dpone.errors import StateError
from dpone_postgres.connections import Connections
from dpone_postgres.dialect import POSTGRES
from dpone_postgres.session import Connection
from dpone_postgres.state import (
    Books,
    books_of,
    committed_chunks,
    end_load,
    ensure_books,
    is_committed,
    leftovers,
    positions,
)


@contextmanager
def leased(connections: Connections, target: Target, pipeline: str) -> Iterator[HeldLease]:
    """The lease; what runs that died left of this target is removed first."""
    books = books_of(target)
    with connections.session() as connection:
        _take(connection, books, float(target.options.get("lease_timeout", WAIT)))
        try:
            ensure_books(connection, books)
            drop_leftovers(connection, books)
            with connections.lending(connection):
                yield HeldLease(
                    positions(connection, books),
                    pipeline,
                    in_books(connections.brief, books, is_committed),
                    in_books(connections.brief, books, committed_chunks),
                )
        finally:
            # closing alone would free it a moment later, and the next run might come sooner
            if not connection.closed:
                connection.execute("SELECT pg_catalog.pg_advisory_unlock(%s)", (books.lock,))


def _take(connection: Connection, books: Books, seconds: float) -> None:
    row = connection.execute("SELECT pg_catalog.pg_try_advisory_lock(%s)", (books.lock,)).fetchone()
    if row is not None and row[0]:
        return
    if seconds <= 0:
        raise _leased(books)
    connection.execute(f"SET lock_timeout = {int(seconds * 1000)}".encode())
    try:
        connection.execute("SELECT pg_catalog.pg_advisory_lock(%s)", (books.lock,))
    except psycopg.errors.LockNotAvailable:
        raise _leased(books) from None
    finally:
        connection.execute("RESET lock_timeout")


def _leased(books: Books) -> StateError:
    return held_elsewhere(
        books.target, "wait until it is done, or set `lease_timeout` so that this one waits by itself"
    )


def drop_leftovers(connection: Connection, books: Books, seconds: float = 0, *, also_kept: bool = False) -> list[str]:
    """The stage tables that the ledger names are gone; their names. Only the holder of the lease may call this."""
    dropped = []
    for load_id, stages in leftovers(connection, books, seconds, also_kept=also_kept):
        drop_stages(connection, books, load_id, stages)
        dropped += stages
    return dropped


def drop_stages(connection: Connection, books: Books, load_id: str, stages: Sequence[str]) -> None:
    with connection.transaction():
        if stages:
            tables = ", ".join(POSTGRES.table((books.name[0], stage)) for stage in stages)
            connection.execute(f"DROP TABLE IF EXISTS {tables}".encode())
        end_load(connection, books, load_id)


@contextmanager
def lease_if_free(connection: Connection, books: Books) -> Iterator[bool]:
    """True when no run holds the lease; then none gets it in the context."""
    row = connection.execute("SELECT pg_catalog.pg_try_advisory_lock(%s)", (books.lock,)).fetchone()
    free = bool(row and row[0])
    try:
        yield free
    finally:
        if free:
            connection.execute("SELECT pg_catalog.pg_advisory_unlock(%s)", (books.lock,))
