"""What `dpone doctor` and wildcards ask of a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dpone.connector import Finding, Size
from dpone.doctor.clocks import clock
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


def size_of(connection: Connection, name: tuple[str, ...]) -> Size | None:
    """What ANALYZE counted, and what lies on disk, indexes and all; None of what is no table."""
    schema, table = name[-2:] if len(name) > 1 else ("public", *name)
    row = connection.execute(
        "SELECT nullif(c.reltuples, -1)::bigint, pg_catalog.pg_total_relation_size(c.oid) FROM pg_catalog.pg_class c "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'm') AND n.nspname = %s AND c.relname = %s",
        (schema, table),
    ).fetchone()
    return None if row is None else Size(*row)


def _like(pattern: str) -> str:
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%")


def examine_source(connection: Connection) -> list[Finding]:
    """Version, encryption, clock, what we may read, what cdc needs, and how far its slots lag behind."""
    return [
        *_server(connection),
        _readable(connection),
        _wal_level(connection),
        _replication(connection),
        _free_slots(connection),
        *_slots(connection),
    ]


def _server(connection: Connection) -> list[Finding]:
    """The same at both ends."""
    encrypted = bool(connection.pgconn.ssl_in_use)
    return [
        Finding("version", ok=True, found=str(connection.info.parameter_status("server_version"))),
        Finding("encrypted", ok=True, found="yes" if encrypted else "no, over loopback or by choice"),
        clock(lambda: _one(connection, "SELECT pg_catalog.clock_timestamp()")),
    ]


def _one(connection: Connection, query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    return None if row is None else row[0]


def _readable(connection: Connection) -> Finding:
    row = connection.execute(
        "SELECT count(*) FILTER (WHERE pg_catalog.has_schema_privilege(n.oid, 'USAGE') "
        "AND pg_catalog.has_table_privilege(c.oid, 'SELECT')), count(*) FROM pg_catalog.pg_class c "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') "
        "AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%'"
    ).fetchone()
    may, there = row or (0, 0)
    found = f"{may} of {there} tables and views"
    action = "grant USAGE on the schemas and SELECT on the tables that are to be read"
    return Finding("may read", ok=may > 0 or there == 0, found=found, action=action, unless="warning")


def _replication(connection: Connection) -> Finding:
    may = bool(
        _one(connection, "SELECT rolsuper OR rolreplication FROM pg_catalog.pg_roles WHERE rolname = current_user")
    )
    action = "cdc needs a role WITH REPLICATION"
    return Finding("may replicate", ok=may, found="yes" if may else "no", action=action, unless="warning")


def _free_slots(connection: Connection) -> Finding:
    used, most = (
        int(_one(connection, query))
        for query in (
            "SELECT count(*) FROM pg_catalog.pg_replication_slots",
            "SELECT pg_catalog.current_setting('max_replication_slots')",
        )
    )
    action = "cdc makes a slot for each pipeline: raise max_replication_slots, or drop slots that nobody uses"
    return Finding("slots", ok=used < most, found=f"{used} of {most} in use", action=action, unless="warning")


def _wal_level(connection: Connection) -> Finding:
    row = connection.execute("SELECT pg_catalog.current_setting('wal_level')").fetchone()
    level = row[0] if row else ""
    return Finding(
        "wal_level",
        ok=level == "logical",
        found=level,
        action="cdc needs wal_level = logical and a restart",
        unless="warning",
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
    """Version, encryption, clock and the right to make tables."""
    row = connection.execute(
        "SELECT pg_catalog.has_database_privilege(d, 'TEMP'), pg_catalog.has_database_privilege(d, 'CREATE'), "
        "NOT pg_catalog.pg_is_in_recovery(), (SELECT count(*) FROM pg_catalog.pg_namespace n "
        "WHERE pg_catalog.has_schema_privilege(n.oid, 'CREATE') AND n.nspname NOT LIKE 'pg\\_%' "
        "AND n.nspname <> 'information_schema') FROM pg_catalog.current_database() AS d"
    ).fetchone()
    temporary, creates, writable, schemas = row or (False, False, False, 0)
    schema_action = "grant CREATE on the schema of the targets, where dpone makes them and its own tables"
    return [
        *_server(connection),
        Finding("writable", ok=bool(writable), found="yes" if writable else "a standby", action="name the primary"),
        Finding("temporary tables", ok=bool(temporary), found=str(temporary), action="grant TEMP on the database"),
        Finding("may make tables", ok=schemas > 0, found=f"in {schemas} schemas", action=schema_action),
        Finding(
            "may make schemas",
            ok=bool(creates),
            found="yes" if creates else "no",
            action="grant CREATE on the database, or make the schemas of the targets before",
            unless="warning",
        ),
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
