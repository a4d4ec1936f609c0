"""Reading changes from the capture tables of CDC: a snapshot first, then every change by its LSN.

The first position is asked before the snapshot is taken: a change that lies between the two is read again, and the
programs that take changes are idempotent by key. An update is read as the old row and the new one, so that one of the
key takes the old key away.
"""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from dpone.connector import Position, ReadRequest, Split
from dpone.errors import DataError, PlanError
from dpone.schema import Schema
from dpone.strategies import Read
from dpone_mssql.dialect import MSSQL
from dpone_mssql.reading import Held, OpenReading, begin_snapshot, kept_key, subject_of
from dpone_mssql.selecting import Subject, select, selected, sent
from dpone_mssql.session import Connection, Connections
from dpone_mssql.staging import CHANGE_COLUMNS

_NOTHING = "0x00000000000000000000"
_HEX = "CONVERT(nvarchar(50), {0}, 1)"


@contextmanager
def open_changes(connections: Connections, request: ReadRequest, held: Held) -> Iterator[OpenReading]:
    """All rows for a first load, later the changes since the stored position."""
    if request.where:
        raise PlanError(
            "a filter cannot be applied to a log of changes: a row that leaves it would stay in the target",
            code="source.filtered_changes",
            hint="leave `where` out; filter behind the target, or use snapshot_diff",
        )
    with connections.session(timeout=request.timeout) as connection:
        subject = subject_of(connection, request)
        instance = _instance(connection, request, subject)
        fields = selected(subject, request.columns)
        greatest = _greatest(connection)
        if request.since is None:
            begin_snapshot(connection, str(request.dataset.options.get("isolation") or "auto"))
            connection.rows(f"SELECT TOP (1) 1 AS one FROM {subject.source}")  # the snapshot is taken now
            query, upto = select(subject, request, [], _as_upserts()), greatest
        else:
            query, upto = _since(connection, request, subject, instance, greatest)
        number = uuid4().hex
        columns = [[f.name, str(f.type), f.native or ""] for f in (*fields, *CHANGE_COLUMNS)]
        split = Split("0", {"session": number, "alone": True, "query": query, "fields": columns})
        position = Position(Read.CHANGES, {"lsn": upto, "capture": instance})
        held.sessions[number] = connection
        try:
            yield OpenReading(Schema(fields, kept_key(subject, request)), position, (split,), changes=True)
        finally:
            held.sessions.pop(number, None)


def _as_upserts() -> list[str]:
    values = ("CAST(0 AS bigint)", "N'U'", "CAST(NULL AS nvarchar(1))")
    return [f"{v} AS {MSSQL.quote(f.name)}" for v, f in zip(values, CHANGE_COLUMNS, strict=True)]


def _instance(connection: Connection, request: ReadRequest, subject: Subject) -> str:
    """The capture instance that is read: the manifest's, the stored position's, or the only one."""
    relation = subject.table("cdc")
    if request.dataset.options.get("changes") == "change_tracking":
        raise PlanError(
            "Change Tracking is not read by this version",
            code="source.no_capture",
            hint="enable CDC for the table: EXEC sys.sp_cdc_enable_table ...",
        )
    try:
        rows = connection.rows(
            f"SELECT c.capture_instance FROM cdc.change_tables AS c WHERE c.source_object_id = {relation.id} "
            "ORDER BY c.start_lsn DESC"
        )
    except PlanError:
        rows = []  # a database without CDC has no such table
    known = [str(name) for (name,) in rows]
    wanted = request.dataset.options.get("capture_instance")
    if wanted is None and request.since is not None:
        wanted = request.since.token.get("capture")
    if wanted is None and known:
        wanted = known[0]
    if wanted not in known:
        raise PlanError(
            f"CDC is not enabled for {'.'.join(relation.name)}" + (f" as {wanted}" if wanted else ""),
            code="source.no_capture",
            hint="EXEC sys.sp_cdc_enable_db, then EXEC sys.sp_cdc_enable_table for it",
        )
    _refuse_uncaptured(connection, request, str(wanted))
    return str(wanted)


def _refuse_uncaptured(connection: Connection, request: ReadRequest, instance: str) -> None:
    """Raises when a column came after the instance was made, whose changes it does not hold."""
    table = MSSQL.text(MSSQL.table(("cdc", f"{instance}_CT")))
    rows = connection.rows(f"SELECT c.name FROM sys.columns AS c WHERE c.object_id = OBJECT_ID({table})")
    captured = {name for (name,) in rows}
    missing = [c.source for c in request.columns if c.source not in captured]
    if missing:
        raise PlanError(
            f"the capture instance {instance} does not hold {', '.join(missing)}",
            code="source.capture_outdated",
            hint="make a second capture instance, name it under `capture_instance:`, and run `dpone resync`",
        )


def _greatest(connection: Connection) -> str:
    (found,) = connection.one(f"SELECT {_HEX.format('sys.fn_cdc_get_max_lsn()')} AS lsn")
    return found or _NOTHING


def _since(
    connection: Connection, request: ReadRequest, subject: Subject, instance: str, greatest: str
) -> tuple[str, str]:
    """The query for the changes after the stored position, and the position after them."""
    assert request.since is not None
    stored = str(request.since.token["lsn"])
    empty = f"{select(subject, request, ['1 = 0'], _as_upserts())}"
    low, least, through = connection.one(
        f"SELECT {_HEX.format(f'sys.fn_cdc_increment_lsn({stored})')} AS low, "
        f"{_HEX.format(f'sys.fn_cdc_get_min_lsn({MSSQL.text(instance)})')} AS least, "
        f"CASE WHEN {stored} >= {greatest} THEN 1 ELSE 0 END AS through"
    )
    if least is None or (int(low, 16) < int(least, 16) and not _is_untouched(stored, least)):
        raise DataError(
            f"changes after {stored} are no longer kept by the capture instance {instance}",
            code="source.changes_lost",
            hint="`dpone resync` reads the table again; a longer retention of CDC avoids this",
        )
    if through:
        return empty, stored
    first = low if int(low, 16) >= int(least, 16) else least
    call = f"cdc.{MSSQL.quote(f'fn_cdc_get_all_changes_{instance}')}({first}, {greatest}, N'all update old') AS t"
    columns = [
        f"{sent(f't.{MSSQL.quote(c.source)}', subject.schema[c.source], request.format)} AS {MSSQL.quote(c.name)}"
        for c in request.columns
    ]
    order = "ROW_NUMBER() OVER (ORDER BY t.[__$start_lsn], t.[__$seqval], t.[__$operation])"
    kind = "CASE WHEN t.[__$operation] IN (1, 3) THEN N'D' ELSE N'U' END"
    values = (order, kind, "CAST(NULL AS nvarchar(1))")
    columns += [f"{v} AS {MSSQL.quote(f.name)}" for v, f in zip(values, CHANGE_COLUMNS, strict=True)]
    return f"SELECT {', '.join(columns)} FROM {call}", greatest


def _is_untouched(stored: str, least: str) -> bool:
    """The position was taken when nothing had been captured yet."""
    return stored == _NOTHING and least != _NOTHING
