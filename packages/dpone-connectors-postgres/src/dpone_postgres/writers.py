"""Who may still add rows to what is read: running transactions that hold the lock of a writer."""
# ruff: noqa: S608 - all text here is made of numbers and fixed parts

from __future__ import annotations

from collections.abc import Iterable

from dpone.errors import RemoteError
from dpone_postgres.selecting import Subject
from dpone_postgres.session import Connection

_WRITING = "('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')"


def _reach(subject: Subject) -> str:
    """The relations whose writers matter: the table with its partitions, or anything where that is not known."""
    if subject.relation is None or subject.relation.kind not in {"r", "p"}:
        return "TRUE"
    oid = subject.relation.oid
    return f"(l.relation = {oid} OR l.relation IN (SELECT relid FROM pg_catalog.pg_partition_tree({oid})))"


def _writers(subject: Subject) -> str:
    """Locks of writers in this database; a prepared transaction holds its own without a process."""
    return (
        "FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid "
        "WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid() "
        "AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) "
        f"AND l.mode IN {_WRITING} AND {_reach(subject)}"
    )


def oldest_start(connection: Connection, subject: Subject) -> str:
    """An expression: when the oldest transaction began that may still add rows, or infinity."""
    row = connection.execute(
        f"SELECT count(*) FILTER (WHERE a.xact_start IS NULL), min(a.xact_start)::text {_writers(subject)}".encode()
    ).fetchone()
    assert row is not None
    unseen, oldest = row
    if unseen:
        raise RemoteError(
            f"{unseen} transactions are writing what is read, and when they began cannot be seen",
            code="source.unseen_writers",
            hint="grant pg_read_all_stats to the connection's user, and end prepared transactions",
            retryable=True,
        )
    return "'infinity'::timestamptz" if oldest is None else f"'{oldest}'::timestamptz"


def writing(connection: Connection, subject: Subject) -> Iterable[object]:
    """The transactions that hold the lock of a writer now."""
    row = connection.execute(f"SELECT array_agg(DISTINCT l.virtualtransaction) {_writers(subject)}".encode()).fetchone()
    return (row and row[0]) or ()
