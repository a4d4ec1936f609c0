"""Reading changes: a snapshot first, then what changed since the position that was taken before it.

A change that lies between the two is read again, and the programs that take changes are idempotent by key. SQL Server
keeps changes in two ways: CDC has each change with its old and new values, Change Tracking only the keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal
from uuid import uuid4

from msgspec import Struct

from dpone.connector import Position, ReadRequest, Split
from dpone.errors import PlanError
from dpone.readings import OpenReading, filtered_changes, requested
from dpone_mssql import captures, tracking
from dpone_mssql.captures import Capture
from dpone_mssql.catalog import Relation
from dpone_mssql.dialect import MSSQL
from dpone_mssql.reading import Held, begin_snapshot, subject_of
from dpone_mssql.selecting import Subject, select
from dpone_mssql.session import Connection, Connections
from dpone_mssql.staging import CHANGE_COLUMNS

_NAMES = {"cdc": "CDC", "change_tracking": "Change Tracking"}


class Way(Struct, frozen=True):
    """By what the changes are read, and why by that; the capture instances of the table, the newest first."""

    name: Literal["cdc", "change_tracking"]
    why: str
    known: Sequence[Capture] = ()


@contextmanager
def open_changes(connections: Connections, request: ReadRequest, held: Held) -> Iterator[OpenReading]:
    """All rows for a first load, later the changes since the stored position."""
    if request.where:
        raise filtered_changes()
    with connections.session(timeout=request.timeout) as connection:
        subject = subject_of(connection, request)
        relation = subject.table("cdc")
        way = _way(connection, request, relation)
        schema = requested(subject.schema, request.columns)
        opened = _captured if way.name == "cdc" else _tracked
        query, upto = opened(connection, request, subject, relation, way)
        number = uuid4().hex
        columns = [[f.name, str(f.type), f.native or ""] for f in (*schema, *CHANGE_COLUMNS)]
        split = Split("0", {"session": number, "alone": True, "query": query, "fields": columns})
        held.sessions[number] = connection
        try:
            yield OpenReading(schema, upto, (split,), changes=True)
        finally:
            held.sessions.pop(number, None)


def remarks(connection: Connection, request: ReadRequest) -> list[str]:
    """Which of the two a reading would go by, and why."""
    subject = subject_of(connection, request)
    relation = subject.table("cdc")
    way = _way(connection, request, relation)
    said = f"changes by {_NAMES[way.name]}: {way.why}"
    if way.name == "cdc":
        return [f"{said}; capture instance {captures.chosen(way.known, request, '.'.join(relation.name)).name}"]
    tracking.refuse_other_key(relation, request)
    return [f"{said}; the rows are read as they are, under isolation {tracking.isolation_of(request)}"]


def _way(connection: Connection, request: ReadRequest, relation: Relation) -> Way:
    """What the manifest says, what the stored position is of, or what is enabled for the table: CDC before tracking."""
    known = captures.captures(connection, relation.id)
    is_tracked = tracking.is_tracked(connection, relation.id)
    asked = request.dataset.options.get("changes") or "auto"
    stored = None if request.since is None else "change_tracking" if "version" in request.since.token else "cdc"
    if stored is not None and asked not in {"auto", stored}:
        raise PlanError(
            f"the stored position is one of {_NAMES[stored]}, and the manifest asks for {_NAMES[str(asked)]}",
            code="source.other_changes",
            hint=f"`dpone resync` begins again by the other way; `changes: {stored}` goes on",
        )
    why = "the manifest says so" if asked != "auto" else "the stored position is one of it" if stored else None
    wanted = str(asked) if asked != "auto" else stored
    if wanted == "cdc" or (wanted is None and known):
        return Way("cdc", why or "it is enabled for the table", known)
    if wanted == "change_tracking" and not is_tracked:
        raise _nothing(relation, "Change Tracking is not")
    if is_tracked:
        return Way("change_tracking", why or "it is enabled for the table, and CDC is not")
    raise _nothing(relation, "neither CDC nor Change Tracking is")


def _nothing(relation: Relation, what: str) -> PlanError:
    return PlanError(
        f"{what} enabled for {'.'.join(relation.name)}",
        code="source.no_capture",
        hint="EXEC sys.sp_cdc_enable_table for it, or ALTER TABLE ... ENABLE CHANGE_TRACKING, each after the like for "
        "the database; then a first load",
    )


def _captured(
    connection: Connection, request: ReadRequest, subject: Subject, relation: Relation, way: Way
) -> tuple[str, Position]:
    _refuse_computed(relation, request)
    capture = captures.chosen(way.known, request, ".".join(relation.name))
    greatest = captures.greatest_lsn(connection)
    if request.since is None:
        _begin(connection, subject, str(request.dataset.options.get("isolation") or "auto"))
        return select(subject, request, [], _as_upserts()), captures.beginning(capture, greatest)
    parts, upto = captures.windows(way.known, capture, request.since, greatest)
    if not parts:
        return select(subject, request, ["1 = 0"], _as_upserts()), upto
    return captures.changes_query(subject, request, parts), upto


def _tracked(
    connection: Connection, request: ReadRequest, subject: Subject, relation: Relation, _: Way
) -> tuple[str, Position]:
    tracking.refuse_other_key(relation, request)
    begin_snapshot(connection, tracking.isolation_of(request))
    version = tracking.version_after(connection, relation, request.since)
    if request.since is None:
        return select(subject, request, [], _as_upserts()), tracking.position(version)
    return tracking.tracked_query(subject, relation, request, request.since), tracking.position(version)


def _begin(connection: Connection, subject: Subject, isolation: str) -> None:
    begin_snapshot(connection, isolation)
    connection.rows(f"SELECT TOP (1) 1 AS one FROM {subject.source}")  # noqa: S608 - quoted; the snapshot is taken now


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
