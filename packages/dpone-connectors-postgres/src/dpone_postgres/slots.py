"""Replication slots and publications: made, checked, confirmed and looked after. A lost one is an error with a name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct
from psycopg import pq

from dpone.connector import Json, ReadRequest
from dpone.errors import PlanError, RemoteError, StateError
from dpone_postgres.catalog import PARTITIONED, Relation
from dpone_postgres.config import PostgresConfig
from dpone_postgres.dialect import POSTGRES
from dpone_postgres.session import Connection, session

PREFIX = "dpone_"
_GENERATED_SINCE = 180000


class Feed(Struct, frozen=True):
    """The names under which one pipeline follows one table; `own` is false for a publication that was given."""

    slot: str
    publication: str
    own: bool


def feed_of(request: ReadRequest) -> Feed:
    """The slot and the publication of a request: those of its options, or dpone's own, named by pipeline and table."""
    options = request.dataset.options
    digest = hashlib.sha256("\0".join((request.pipeline, *request.dataset.name)).encode()).hexdigest()[:24]
    given = options.get("publication")
    return Feed(options.get("slot") or PREFIX + digest, given or PREFIX + digest, own=given is None)


# ------------------------------------------------------------------- publications


def ensure_publication(connection: Connection, feed: Feed, relation: Relation) -> None:
    """Dpone's own publication is there for a first load."""
    if not feed.own or _publication(connection, feed) is not None:
        return
    options = ["publish_via_partition_root = true"]
    if connection.info.server_version >= _GENERATED_SINCE:
        options.append("publish_generated_columns = stored")
    name, table = POSTGRES.quote(feed.publication), POSTGRES.table(relation.name)
    connection.execute(f"CREATE PUBLICATION {name} FOR TABLE {table} WITH ({', '.join(options)})".encode())


def _publication(connection: Connection, feed: Feed) -> tuple[object, ...] | None:
    return connection.execute(
        "SELECT p.oid, p.xmin::text, p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate, p.pubviaroot "
        "FROM pg_catalog.pg_publication p WHERE p.pubname = %s",
        (feed.publication,),
    ).fetchone()


def publication_mark(connection: Connection, feed: Feed, relation: Relation) -> Json:
    """What changes whenever the publication or the table's place in it does; refuses one that leaves changes out."""
    found = _publication(connection, feed)
    if found is None:
        raise RemoteError(
            f"the publication {feed.publication} is not there",
            code="source.publication_missing",
            hint="create it again and run `dpone resync`: changes made meanwhile were not recorded",
        )
    oid, version, publishes_all, via_root = found
    rows = connection.execute(
        "SELECT r.xmin::text, r.prqual IS NOT NULL, r.prattrs IS NOT NULL FROM pg_catalog.pg_publication_rel r "
        "WHERE r.prpubid = %s AND r.prrelid = %s",
        (oid, relation.oid),
    ).fetchone()
    listed = connection.execute(
        "SELECT 1 FROM pg_catalog.pg_publication_tables WHERE pubname = %s AND schemaname = %s AND tablename = %s",
        (feed.publication, *relation.name),
    ).fetchone()
    partial = not publishes_all or (rows is not None and (rows[1] or rows[2]))
    if listed is None or partial or (relation.kind == PARTITIONED and not via_root):
        raise PlanError(
            f"the publication {feed.publication} does not publish every change of {'.'.join(relation.name)}",
            code="source.publication_incomplete",
            hint="publish insert, update, delete and truncate of the whole table, via its root when it is partitioned",
        )
    return {"oid": str(oid), "version": version, "entry": rows[0] if rows else None}


# -------------------------------------------------------------------------- slots


@contextmanager
def fresh_slot(config: PostgresConfig, connection: Connection, feed: Feed) -> Iterator[tuple[str, int]]:
    """A new slot: the name of the snapshot with which its changes begin, and where; the name is good in the context.

    A slot of that name without a stored position is a rest of a load that never committed, and is dropped.
    """
    if _slot(connection, feed) is not None:
        connection.execute("SELECT pg_catalog.pg_drop_replication_slot(%s)", (feed.slot,))
    with session(config, "source", replication=True) as maker:
        name = POSTGRES.quote(feed.slot)
        made = maker.pgconn.exec_(f"CREATE_REPLICATION_SLOT {name} LOGICAL pgoutput (SNAPSHOT 'export')".encode())
        if made.status != pq.ExecStatus.TUPLES_OK:
            raise _no_slot(config, (made.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode())
        point, snapshot = made.get_value(0, 1), made.get_value(0, 2)
        assert point is not None
        assert snapshot is not None
        yield snapshot.decode(), parse_lsn(point.decode())


def usable_slot(connection: Connection, feed: Feed, since: int) -> None:
    """Raises unless the slot still holds every change after `since`."""
    found = _slot(connection, feed)
    if found is None:
        raise _lost(feed, "it is not there")
    status, plugin, confirmed = found
    if status == "lost":
        raise _lost(feed, "the server removed the log that it needs")
    if plugin != "pgoutput":
        raise PlanError(
            f"the slot {feed.slot} decodes by {plugin}, not by pgoutput",
            code="source.slot_plugin",
            hint="name another slot, or none",
        )
    if confirmed is not None and parse_lsn(str(confirmed)) > since:
        raise StateError(
            f"the slot {feed.slot} was confirmed to {confirmed}, beyond the stored position {print_lsn(since)}",
            code="source.slot_moved",
            hint="another reader used the slot, so changes are missing here; run `dpone resync`",
        )


def confirm(connection: Connection, feed: Feed, upto: int) -> None:
    """The server may forget what lies before `upto`."""
    found = _slot(connection, feed)
    if found is None:
        raise _lost(feed, "it is not there")
    status, _, confirmed = found
    if status == "lost":
        raise _lost(feed, "the server removed the log that it needs")
    if confirmed is None or parse_lsn(str(confirmed)) < upto:
        connection.execute("SELECT pg_catalog.pg_replication_slot_advance(%s, %s)", (feed.slot, print_lsn(upto)))


def flushed(connection: Connection) -> int:
    """The end of the log that is on disk: every change committed before now lies before it."""
    row = connection.execute("SELECT pg_catalog.pg_current_wal_flush_lsn()::text").fetchone()
    assert row is not None
    return parse_lsn(row[0])


def _slot(connection: Connection, feed: Feed) -> tuple[object, ...] | None:
    return connection.execute(
        "SELECT wal_status, plugin, confirmed_flush_lsn::text "
        "FROM pg_catalog.pg_replication_slots WHERE slot_name = %s",
        (feed.slot,),
    ).fetchone()


def parse_lsn(text: str) -> int:
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) | int(low, 16)


def print_lsn(position: int) -> str:
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def _lost(feed: Feed, why: str) -> RemoteError:
    return RemoteError(
        f"the replication slot {feed.slot} is lost: {why}",
        code="source.slot_lost",
        hint="changes since the last load cannot be read any more; run `dpone resync`",
    )


def _no_slot(config: PostgresConfig, state: str) -> RemoteError:
    hints = {
        "55000": "set wal_level = logical and restart the server",
        "53400": "raise max_replication_slots, or drop slots that nobody uses",
        "42501": "grant REPLICATION to the connection's user",
    }
    return RemoteError(
        f"{config.label} makes no replication slot (SQLSTATE {state})",
        code="source.no_slot",
        hint=hints.get(state, "check wal_level, max_replication_slots and the user's REPLICATION right"),
    )
