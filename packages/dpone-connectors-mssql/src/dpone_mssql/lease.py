"""The right to write one target: an application lock of a session that lives as long as the lease."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dpone.books import WAIT, HeldLease, held_elsewhere, in_books
from dpone.connector import Target
from dpone_mssql.dialect import MSSQL
from dpone_mssql.session import Connection, Connections
from dpone_mssql.state import (
    Books,
    books_of,
    committed_chunks,
    end_load,
    ensure_books,
    is_committed,
    leftovers,
    positions,
    take_lock,
)


@contextmanager
def leased(connections: Connections, target: Target, pipeline: str) -> Iterator[HeldLease]:
    """The lease; what runs that died left of this target is removed first."""
    books = books_of(target)
    with connections.session() as connection:
        (taken,) = connection.one(take_lock(books.lock, "Session", int(WAIT * 1000)))
        if taken < 0:
            raise held_elsewhere(books.target)
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
            _release(connection, books)


def _release(connection: Connection, books: Books) -> None:
    """Closing alone would free it a moment later, and the next run might come sooner."""
    connection.undo()
    if not connection.closed:
        connection.run(f"EXEC sp_releaseapplock @Resource = {MSSQL.text(books.lock)}, @LockOwner = N'Session'")


def drop_leftovers(connection: Connection, books: Books, seconds: float = 0) -> list[str]:
    """The stage tables that the ledger names are gone; their names. Only the holder of the lease may call this."""
    dropped = []
    for load_id, stages in leftovers(connection, books, seconds):
        drop_stages(connection, books, load_id, stages)
        dropped += stages
    return dropped


def drop_stages(connection: Connection, books: Books, load_id: str, stages: Sequence[str]) -> None:
    with connection.transaction():
        for stage in stages:
            connection.run(MSSQL.drop(MSSQL.table((books.name[0], stage))))
        end_load(connection, books, load_id)


@contextmanager
def lease_if_free(connection: Connection, books: Books) -> Iterator[bool]:
    """True when no run holds the lease; then none gets it in the context."""
    (taken,) = connection.one(take_lock(books.lock, "Session", 0))
    try:
        yield taken >= 0
    finally:
        if taken >= 0:
            _release(connection, books)
