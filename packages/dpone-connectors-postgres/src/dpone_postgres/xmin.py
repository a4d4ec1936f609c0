"""Reading by transaction numbers: what was written since a snapshot, safe against wraparound and another server."""

from __future__ import annotations

from dpone.connector import Position
from dpone.errors import StateError
from dpone.readings import other_system
from dpone.strategies import Read
from dpone_postgres.session import Connection

_HALF = 1 << 31
_FULL = 1 << 32

_IDENTITY = """
SELECT (SELECT system_identifier FROM pg_catalog.pg_control_system())::text,
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint())
            ELSE ('x' || left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 8))::bit(32)::int END
"""


def identity(connection: Connection) -> dict[str, object]:
    """Which server this is, and which history of it: numbers of transactions and of the log mean nothing elsewhere."""
    row = connection.execute(_IDENTITY).fetchone()
    assert row is not None
    return {"system": row[0], "timeline": row[1]}


def same_server(token: object, now: object) -> None:
    """Raises when a position was made by another server, or before a failover."""
    if token != now:
        raise other_system(f"another server, or of before a failover: {token}, here {now}")


def xmin_position(connection: Connection) -> Position:
    """The end of a reading in the transaction's own snapshot: everything below its xmin is finished and seen."""
    row = connection.execute("SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text").fetchone()
    assert row is not None
    return Position(Read.XMIN, {"xmin": row[0], **identity(connection)})


def xmin_condition(since: Position | None, upto: Position) -> list[str]:
    """True of rows that a transaction wrote which was not finished at `since`.

    Rows hold 32 of the 64 bits. Within half of the circle the distance to the stored number is unambiguous; a row that
    was frozen long ago may be read once more than needed, and none is left out.
    """
    if since is None:
        return []
    token, now = since.token, upto.token
    same_server({k: token.get(k) for k in ("system", "timeline")}, {k: now[k] for k in ("system", "timeline")})
    stored, current = int(token["xmin"]), int(now["xmin"])
    if stored > current:
        raise StateError(
            f"the stored xmin {stored} is ahead of the server, which is at {current}",
            code="source.other_system",
            hint="the server was restored from a backup; run `dpone resync`",
        )
    if current - stored >= _HALF:
        raise StateError(
            f"{current - stored} transactions passed since the last load; at most {_HALF - 1} can be told apart",
            code="source.xmin_gap",
            hint="run `dpone resync`; schedule the pipeline more often",
        )
    # +: a bigint never wraps here, and `%` of a non-negative number is non-negative
    return [f"(t.xmin::text::bigint - {stored % _FULL} + {_FULL}) % {_FULL} < {_HALF}"]
