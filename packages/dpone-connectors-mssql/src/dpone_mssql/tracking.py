"""Change Tracking: which keys changed since a version, and their rows as they are now.

The server keeps keys alone and no old values: between two readings, a row that changed five times is read once. Version
and rows must be of one moment, so a database that does not allow snapshot isolation is refused, unless the manifest
says `isolation: read_committed`: the version is then asked first, and what changes meanwhile is read again.
"""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals

from __future__ import annotations

from dpone.connector import CHANGE_FIELDS, Position, ReadRequest
from dpone.errors import DataError, PlanError
from dpone.strategies import Read
from dpone_mssql.catalog import Relation
from dpone_mssql.dialect import MSSQL
from dpone_mssql.selecting import Subject, sent
from dpone_mssql.session import Connection


def is_tracked(connection: Connection, table: int) -> bool:
    try:
        found = connection.row(f"SELECT 1 AS found FROM sys.change_tracking_tables AS c WHERE c.object_id = {table}")
    except PlanError:
        return False  # a server that only speaks like SQL Server may not have it
    return found is not None


def refuse_other_key(relation: Relation, request: ReadRequest) -> None:
    """Raises when a deleted row would not be known by the key of the load."""
    told = [c.name for c in request.columns if c.source in relation.key]
    if not set(request.key) <= set(told):
        raise PlanError(
            f"Change Tracking tells deleted rows of {'.'.join(relation.name)} by {', '.join(relation.key)}, "
            f"not by {', '.join(request.key)}",
            code="source.tracked_key",
            hint="key the load by the primary key, all of which must be read, or enable CDC for the table",
        )


def isolation_of(request: ReadRequest) -> str:
    """Snapshot, unless the manifest does without."""
    asked = str(request.dataset.options.get("isolation") or "auto")
    return "snapshot" if asked == "auto" else asked


def version_after(connection: Connection, relation: Relation, since: Position | None) -> int:
    """The version of this moment. A position whose changes are no longer kept is an error."""
    now, least = connection.one(
        f"SELECT CHANGE_TRACKING_CURRENT_VERSION() AS now, CHANGE_TRACKING_MIN_VALID_VERSION({relation.id}) AS least"
    )
    if since is not None:
        stored = stored_version(since)
        if least is None or not int(least) <= stored <= int(now or 0):
            raise DataError(
                f"changes after version {stored} are no longer kept for {'.'.join(relation.name)}: "
                f"the least valid version is {least}, the last one {now}",
                code="source.changes_lost",
                hint="`dpone resync` reads the table again; a longer CHANGE_RETENTION avoids this, TRUNCATE causes it",
            )
    return int(now or 0)


def position(version: int) -> Position:
    return Position(Read.CHANGES, {"version": version})


def stored_version(since: Position) -> int:
    return int(str(since.token["version"]))


def tracked_query(subject: Subject, relation: Relation, request: ReadRequest, since: Position) -> str:
    """The rows of all keys that changed, one entry for each; a key without a row was deleted."""
    columns = []
    for column in request.columns:
        name = MSSQL.quote(column.source)
        value = f"COALESCE(t.{name}, c.{name})" if column.source in relation.key else f"t.{name}"
        said = sent(value, subject.schema[column.source], request.format)
        columns.append(f"{said} AS {MSSQL.quote(column.name)}")
    first = MSSQL.quote(relation.key[0])
    values = (
        "ROW_NUMBER() OVER (ORDER BY c.SYS_CHANGE_VERSION)",
        f"CASE WHEN t.{first} IS NULL THEN N'D' ELSE N'U' END",
        "CAST(NULL AS nvarchar(1))",
    )
    columns += [f"{v} AS {MSSQL.quote(f)}" for v, f in zip(values, CHANGE_FIELDS, strict=True)]
    table = MSSQL.table(relation.name)
    same = " AND ".join(f"t.{MSSQL.quote(k)} = c.{MSSQL.quote(k)}" for k in relation.key)
    changes = f"CHANGETABLE(CHANGES {table}, {stored_version(since)}) AS c"
    return f"SELECT {', '.join(columns)} FROM {changes} LEFT JOIN {table} AS t ON {same}"
