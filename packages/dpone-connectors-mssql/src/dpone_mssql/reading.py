"""Open readings by SCAN and SINCE: one snapshot where the database allows it, the window fixed in it, the splits."""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

from msgspec import Struct, field

from dpone.connector import ReadRequest, Split
from dpone.errors import PlanError
from dpone.readings import OpenReading, requested
from dpone.schema import Field, Kind, Schema
from dpone.strategies import Read
from dpone_mssql.catalog import describe_query, readable_relation
from dpone_mssql.dialect import MSSQL
from dpone_mssql.selecting import Subject, select, typed_null
from dpone_mssql.session import Connection, Connections
from dpone_mssql.staging import CHANGE_COLUMNS

if TYPE_CHECKING:
    from dpone_mssql.since import Window

_ALLOWED = 1
_RANGED = frozenset({Kind.INT, Kind.UINT})


class Held(Struct):
    """The sessions of open readings, since a single split is read on its reading's own: by its number, and with what
    is read by the identity of the request, so that it can be measured in its own snapshot.
    """

    sessions: dict[str, Connection] = field(default_factory=dict)
    measurable: dict[int, tuple[Connection, str, Schema]] = field(default_factory=dict)


def subject_of(connection: Connection, request: ReadRequest) -> Subject:
    """What a request reads, as the catalogue has it now."""
    if request.dataset.query is not None:
        query, schema = describe_query(connection, request.dataset.query)
        return Subject(schema, query=query)
    relation = readable_relation(connection, request.dataset.name)
    return Subject(relation.schema, relation)


def begin_snapshot(connection: Connection, asked: str) -> None:
    """A transaction that sees one moment, where the database allows it or the manifest insists."""
    if asked != "read_committed":
        (state,) = connection.one("SELECT d.snapshot_isolation_state FROM sys.databases AS d WHERE d.name = DB_NAME()")
        if state == _ALLOWED:
            connection.run("SET TRANSACTION ISOLATION LEVEL SNAPSHOT")
        elif asked == "snapshot":
            raise PlanError(
                "the database does not allow snapshot isolation",
                code="source.no_snapshot",
                hint="ALTER DATABASE ... SET ALLOW_SNAPSHOT_ISOLATION ON, or set `isolation: read_committed`",
            )
    connection.run("BEGIN TRANSACTION")


@contextmanager
def open_rows(connections: Connections, request: ReadRequest, held: Held) -> Iterator[OpenReading]:
    """A reading of rows as they are at one moment."""
    isolation = str(request.dataset.options.get("isolation") or "auto")
    with connections.session(timeout=request.timeout) as connection:
        subject = subject_of(connection, request)
        window = _window(connection, request, subject)
        begin_snapshot(connection, isolation)
        connection.rows(f"SELECT TOP (1) 1 AS one FROM {subject.source}")  # the snapshot is taken now
        schema = requested(subject.schema, request.columns)
        conditions, upto = window.conditions(connection, request, subject) if window else ([], None)
        number = uuid4().hex
        splits = _splits(connection, request, subject, schema.fields, conditions, number, isolation)
        reading = OpenReading(schema, upto, splits, changes=request.present)
        held.sessions[number] = connection
        held.measurable[id(request)] = connection, select(subject, request, conditions), reading.schema
        try:
            yield reading
        finally:
            held.sessions.pop(number, None)
            held.measurable.pop(id(request), None)


def _window(connection: Connection, request: ReadRequest, subject: Subject) -> Window | None:
    if request.read is not Read.SINCE:
        return None
    from dpone_mssql.since import window_of  # 3 ms, which others need not wait for

    return window_of(connection, request, subject)


def _beside(request: ReadRequest) -> list[str]:
    if not request.present:
        return []
    values = ("CAST(0 AS bigint)", "N'U'", "CAST(NULL AS nvarchar(1))")
    return [f"{v} AS {MSSQL.quote(f.name)}" for v, f in zip(values, CHANGE_COLUMNS, strict=True)]


def _with_keys(request: ReadRequest, subject: Subject, fields: Sequence[Field], rows: str) -> str:
    """The rows and, when asked, an entry for the key of every row that matches the filter."""
    if not request.present:
        return rows
    entries = [
        f"t.{MSSQL.quote(c.source)}" if c.source in request.key else typed_null(f)
        for c, f in zip(request.columns, fields, strict=True)
    ]
    where = MSSQL.where(request.where, "t", subject.schema.fields)
    keys = f"SELECT {', '.join(entries)}, CAST(0 AS bigint), N'P', CAST(NULL AS nvarchar(1)) FROM {subject.source}"
    return f"{rows} UNION ALL {keys} WHERE {where}"


def _splits(
    connection: Connection,
    request: ReadRequest,
    subject: Subject,
    fields: Sequence[Field],
    conditions: list[str],
    number: str,
    isolation: str,
) -> tuple[Split, ...]:
    """One, since no two sessions share a snapshot; ranges of the key where none is asked for."""
    described = [*fields, *(CHANGE_COLUMNS if request.present else ())]
    ranges = _ranges(connection, request, subject, isolation)

    def split(place: int, terms: list[str]) -> Split:
        query = _with_keys(request, subject, fields, select(subject, request, [*conditions, *terms], _beside(request)))
        columns = [[f.name, str(f.type), f.native or ""] for f in described]
        payload = {"session": number, "alone": len(ranges) == 1, "query": query, "fields": columns}
        return Split(f"{place}", payload)

    return tuple(split(place, terms) for place, terms in enumerate(ranges))


def _ranges(connection: Connection, request: ReadRequest, subject: Subject, isolation: str) -> list[list[str]]:
    """The conditions of each part, of which there is one unless several sessions may each see what they see."""
    wanted = int(request.dataset.options.get("splits") or request.splits or 1)
    key = subject.schema.key
    if wanted == 1 or isolation != "read_committed" or request.present or len(key) != 1:
        return [[]]
    if subject.schema[key[0]].type.kind not in _RANGED:
        return [[]]
    column = f"t.{MSSQL.quote(key[0])}"
    least, greatest = connection.one(f"SELECT MIN({column}) AS a, MAX({column}) AS b FROM {subject.source}")
    if least is None or greatest - least < wanted:
        return [[]]
    edges = [least + (greatest - least + 1) * place // wanted for place in range(1, wanted)]
    ends: list[int | None] = [None, *edges, None]
    return [
        [*([f"{column} >= {lo}"] if lo is not None else []), *([f"{column} < {hi}"] if hi is not None else [])]
        for lo, hi in itertools.pairwise(ends)
    ]
