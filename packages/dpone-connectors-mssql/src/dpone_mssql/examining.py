"""What `dpone doctor` and wildcards ask of a server."""
# ruff: noqa: S608 - all text here is made of encoded literals and quoted identifiers

from __future__ import annotations

from dpone.connector import Finding
from dpone_mssql.dialect import MSSQL
from dpone_mssql.session import Connection
from dpone_mssql.state import LOADS

_PREFIX = "_dpone_"


def find_tables(connection: Connection, pattern: tuple[str, ...]) -> list[tuple[str, str]]:
    """Tables and views whose schema and name match; `*` stands for any characters."""
    schema, name = pattern if len(pattern) > 1 else ("dbo", *pattern)
    rows = connection.rows(
        "SELECT SCHEMA_NAME(o.schema_id) AS s, o.name FROM sys.objects AS o WHERE o.type IN (N'U', N'V') "
        f"AND o.is_ms_shipped = 0 AND LEFT(o.name, {len(_PREFIX)}) <> N'{_PREFIX}' "
        f"AND SCHEMA_NAME(o.schema_id) LIKE {_like(schema)} AND o.name LIKE {_like(name)} ORDER BY s, o.name"
    )
    return [(s, t) for s, t in rows]


def _like(pattern: str) -> str:
    escaped = "".join(f"[{c}]" if c in "[%_" else c for c in pattern)
    return MSSQL.text(escaped.replace("*", "%"))


def find_books(connection: Connection) -> list[tuple[str, str]]:
    """The schema of the ledger and the name of each target that any ledger of the database names with stages."""
    schemas = connection.rows(
        f"SELECT SCHEMA_NAME(t.schema_id) AS s FROM sys.tables AS t WHERE t.name = N'{LOADS}' ORDER BY s"
    )
    found: list[tuple[str, str]] = []
    for (schema,) in schemas:
        rows = connection.rows(f"SELECT DISTINCT target FROM {MSSQL.table((schema, LOADS))} WHERE stages <> N'[]'")
        found += [(schema, target) for (target,) in rows]
    return found


def _common(connection: Connection) -> list[Finding]:
    driver = connection.driver
    (version,) = connection.one("SELECT CAST(SERVERPROPERTY(N'ProductVersion') AS nvarchar(128)) AS v")
    encrypted = connection.row("SELECT c.encrypt_option FROM sys.dm_exec_connections AS c WHERE c.session_id = @@SPID")
    is_encrypted = encrypted is not None and encrypted[0] == "TRUE"
    return [
        Finding("version", ok=True, found=str(version)),
        Finding("driver", ok=True, found=f"{driver.name}: {driver.why}"),
        Finding("encrypted", ok=True, found="yes" if is_encrypted else "no, by choice, or the server does not say"),
    ]


def examine_source(connection: Connection) -> list[Finding]:
    """Version, driver, encryption, whether a reading sees one moment, and whether cdc can be had."""
    snapshot, captures = connection.one(
        "SELECT d.snapshot_isolation_state, d.is_cdc_enabled FROM sys.databases AS d WHERE d.name = DB_NAME()"
    )
    return [
        *_common(connection),
        Finding(
            "snapshot isolation",
            ok=snapshot == 1,
            found="allowed" if snapshot == 1 else "not allowed: a reading sees rows of several moments",
            action="ALTER DATABASE ... SET ALLOW_SNAPSHOT_ISOLATION ON",
        ),
        Finding("cdc", ok=True, found="enabled" if captures else "not enabled; Change Tracking may be, table by table"),
    ]


def examine_sink(connection: Connection) -> list[Finding]:
    """Version, driver, encryption and the right to make tables."""
    (may_create,) = connection.one("SELECT HAS_PERMS_BY_NAME(DB_NAME(), N'DATABASE', N'CREATE TABLE') AS p")
    return [
        *_common(connection),
        Finding(
            "may create tables",
            ok=may_create == 1,
            found="yes" if may_create == 1 else "no",
            action="grant CREATE TABLE, and ALTER on the schema",
        ),
    ]
