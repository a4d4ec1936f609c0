"""What `dpone doctor` and wildcards ask of a server."""

from __future__ import annotations

from collections.abc import Sequence

from dpone.connector import Finding
from dpone_postgres.dialect import POSTGRES
from dpone_postgres.session import Connection
from dpone_postgres.slots import PREFIX
from dpone_postgres.state import LOADS

_LAG_LIMIT = 1 << 30


def find_tables(connection: Connection, pattern: tuple[str, ...]) -> list[tuple[str, str]]:
    """Tables and views whose schema and name match; `*` stands for any characters."""
    schema, name = pattern if len(pattern) > 1 else ("public", *pattern)
    rows = connection.execute(
        "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition "
        "AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%%' "
        "AND c.relname NOT LIKE '\\_dpone\\_%%' AND n.nspname LIKE %s AND c.relname LIKE %s ORDER BY 1, 2",
        (_like(schema), _like(name)),
    ).fetchall()
    return [(s, t) for s, t in rows]


def _like(pattern: str) -> str:
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%")


def examine_source(connection: Connection) -> list[Finding]:
    """Version, encryption, what cdc needs, and how far its slots lag behind."""
    return [
        Finding("version", ok=True, found=str(connection.info.parameter_status("server_version"))),
        Finding(
            "encrypted", ok=True, found="yes" if connection.pgconn.ssl_in_use else "no, over loopback or by choice"
        ),
        _wal_level(connection),
        *_slots(connection),
    ]


def _encrypted(connection: Connection) -> Finding:
    encrypted = bool(connection.pgconn.ssl_in_use)
    return Finding("encrypted", ok=True, found="yes" if encrypted else "no: by loopback or by choice")


def _wal_level(connection: Connection) -> Finding:
    row = connection.execute("SELECT pg_catalog.current_setting('wal_level')").fetchone()
    level = row[0] if row else ""
    return Finding(
        "wal_level", ok=level == "logical", found=level, action="cdc needs wal_level = logical and a restart"
    )


def _slots(connection: Connection) -> Sequence[Finding]:
    rows = connection.execute(
        "SELECT slot_name, coalesce(wal_status, ''), "
        "pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() "
        "ELSE pg_catalog.pg_current_wal_lsn() END, restart_lsn)::bigint "
        "FROM pg_catalog.pg_replication_slots WHERE slot_type = 'logical' AND starts_with(slot_name, %s) ORDER BY 1",
        (PREFIX,),
    ).fetchall()
    return [
        Finding(
            f"slot {name}",
            ok=status != "lost" and (lag or 0) < _LAG_LIMIT,
            found=f"{status}, {lag or 0} bytes of log kept for it",
            action="run its pipeline, or drop the slot if the pipeline is gone",
        )
        for name, status, lag in rows
    ]


def examine_sink(connection: Connection) -> list[Finding]:
    """Version, encryption and the right to make tables."""
    row = connection.execute(
        "SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMP'), "
        "NOT pg_catalog.pg_is_in_recovery()"
    ).fetchone()
    temporary, writable = row or (False, False)
    return [
        Finding("version", ok=True, found=str(connection.info.parameter_status("server_version"))),
        Finding(
            "encrypted", ok=True, found="yes" if connection.pgconn.ssl_in_use else "no, over loopback or by choice"
        ),
        Finding("writable", ok=bool(writable), found="yes" if writable else "a standby", action="name the primary"),
        Finding("temporary tables", ok=bool(temporary), found=str(temporary), action="grant TEMP on the database"),
    ]


def find_books(connection: Connection) -> list[tuple[str, str]]:
    """The schema of the ledger and the name of each target that any ledger of the database names with stages."""
    schemas = connection.execute(
        "SELECT n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relname = %s AND c.relkind = 'r' ORDER BY 1",
        (LOADS,),
    ).fetchall()
    found: list[tuple[str, str]] = []
    for (schema,) in schemas:
        query = f"SELECT DISTINCT target FROM {POSTGRES.table((schema, LOADS))} WHERE stages <> '{{}}'"  # noqa: S608 - quoted
        found += [(schema, target) for (target,) in connection.execute(query.encode()).fetchall()]
    return found
