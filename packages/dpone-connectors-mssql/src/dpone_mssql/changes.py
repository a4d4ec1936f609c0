"""Reading changes: a snapshot first, then every change since the position that was taken before it.

A change that lies between the two is read again, and the programs that take changes are idempotent by key. An update
is read as the old row and the new one, so that one of the key takes the old key away.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from dpone.connector import ReadRequest, Split
from dpone.errors import PlanError
from dpone.schema import Schema
from dpone_mssql.captures import beginning, captures, changes_query, chosen, greatest_lsn, windows
from dpone_mssql.catalog import Relation
from dpone_mssql.dialect import MSSQL
from dpone_mssql.reading import Held, OpenReading, begin_snapshot, kept_key, subject_of
from dpone_mssql.selecting import select, selected
from dpone_mssql.session import Connections
from dpone_mssql.staging import CHANGE_COLUMNS


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
        relation = subject.table("cdc")
        if request.dataset.options.get("changes") == "change_tracking":
            raise PlanError(
                "Change Tracking is not read by this version",
                code="source.no_capture",
                hint="enable CDC for the table: EXEC sys.sp_cdc_enable_table ...",
            )
        _refuse_computed(relation, request)
        known = captures(connection, relation.id)
        capture = chosen(known, request, ".".join(relation.name))
        fields = selected(subject, request.columns)
        greatest = greatest_lsn(connection)
        if request.since is None:
            begin_snapshot(connection, str(request.dataset.options.get("isolation") or "auto"))
            connection.rows(f"SELECT TOP (1) 1 AS one FROM {subject.source}")  # noqa: S608 - quoted; the snapshot is taken now
            query, upto = select(subject, request, [], _as_upserts()), beginning(capture, greatest)
        else:
            parts, upto = windows(known, capture, request.since, greatest)
            nothing = select(subject, request, ["1 = 0"], _as_upserts())
            query = changes_query(subject, request, parts) if parts else nothing
        number = uuid4().hex
        columns = [[f.name, str(f.type), f.native or ""] for f in (*fields, *CHANGE_COLUMNS)]
        split = Split("0", {"session": number, "alone": True, "query": query, "fields": columns})
        held.sessions[number] = connection
        try:
            yield OpenReading(Schema(fields, kept_key(subject, request)), upto, (split,), changes=True)
        finally:
            held.sessions.pop(number, None)


def _refuse_computed(relation: Relation, request: ReadRequest) -> None:
    """Raises for computed columns, of which a capture instance holds NULL, whatever their value is."""
    computed = {a.field.name for a in relation.attributes if a.is_computed}
    if asked := [c.source for c in request.columns if c.source in computed]:
        raise PlanError(
            f"CDC captures no value of the computed column {', '.join(asked)}",
            code="source.not_captured",
            hint="leave it out under `columns:`, or use Change Tracking or snapshot_diff, which read the table itself",
        )


def _as_upserts() -> list[str]:
    values = ("CAST(0 AS bigint)", "N'U'", "CAST(NULL AS nvarchar(1))")
    return [f"{v} AS {MSSQL.quote(f.name)}" for v, f in zip(values, CHANGE_COLUMNS, strict=True)]
