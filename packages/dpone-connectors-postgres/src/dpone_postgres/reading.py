"""Open readings by SCAN, SINCE and XMIN: one snapshot, the window fixed in it, and the splits that share it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec import Struct, field

from dpone.connector import Position, ReadRequest, Split
from dpone.readings import OpenReading, requested
from dpone.schema import Field, Schema
from dpone.strategies import Read
from dpone_postgres.catalog import TABLE, describe_query, readable_relation
from dpone_postgres.connections import Connections
from dpone_postgres.dialect import POSTGRES
from dpone_postgres.selecting import CHANGE_COLUMNS, Subject, copy_statement, select, typed_null
from dpone_postgres.session import Connection
from dpone_postgres.xmin import xmin_condition, xmin_position

if TYPE_CHECKING:
    from dpone_postgres.since import Window

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_PARALLEL_CORES, _PARALLEL_BLOCKS, _MOST_SPLITS = 4, (1 << 30) // 8192, 4


class Held(Struct):
    """The connections of open readings: by the name of their snapshot, since a single split is read on its reading's
    own, and with what is read by the identity of the request, so that it can be measured in its own snapshot.
    """

    connections: dict[str, Connection] = field(default_factory=dict)
    measurable: dict[int, tuple[Connection, str, Schema]] = field(default_factory=dict)

    @contextmanager
    def holding(
        self, request: ReadRequest, connection: Connection, reading: OpenReading, query: str
    ) -> Iterator[OpenReading]:
        """The reading, found by its snapshot and its request while it is open."""
        snapshot = str(reading.splits[0].payload["snapshot"])
        self.connections[snapshot] = connection
        self.measurable[id(request)] = connection, query, reading.schema
        try:
            yield reading
        finally:
            self.connections.pop(snapshot, None)
            self.measurable.pop(id(request), None)


def subject_of(connection: Connection, request: ReadRequest) -> Subject:
    """What a request reads, as the catalogue has it now."""
    if request.dataset.query is not None:
        query, schema = describe_query(connection, request.dataset.query)
        return Subject(schema, query=query)
    relation = readable_relation(connection, request.dataset.name)
    return Subject(relation.schema, relation)


@contextmanager
def open_rows(connections: Connections, request: ReadRequest, held: Held) -> Iterator[OpenReading]:
    """A reading of rows as they are at one moment."""
    with connections.session(timeout=request.timeout) as connection:
        window = _window(connection, request)  # who is writing is asked before the snapshot is taken
        connection.execute(_BEGIN)
        subject = subject_of(connection, request)
        schema = requested(subject.schema, request.columns)
        conditions, upto = _conditions(connection, request, subject, window)
        splits = row_splits(connection, request, subject, schema.fields, conditions)
        reading = OpenReading(schema, upto, splits, changes=request.present)
        with held.holding(request, connection, reading, select(subject, request, conditions)):
            yield reading


def _window(connection: Connection, request: ReadRequest) -> Window | None:
    if request.read is not Read.SINCE:
        return None
    from dpone_postgres.since import window_of  # 3 ms, which others need not wait for

    return window_of(connection, request, subject_of(connection, request))


def _conditions(
    connection: Connection, request: ReadRequest, subject: Subject, window: Window | None
) -> tuple[list[str], Position | None]:
    if window is not None:
        return window.conditions(connection, request, subject)
    if request.read is Read.XMIN:
        subject.table("xmin")
        upto = xmin_position(connection)
        return xmin_condition(request.since, upto), upto
    return [], None


def _beside(request: ReadRequest) -> list[str]:
    if not request.present:
        return []
    values = ("0::bigint", "'U'::text", "NULL::text")
    return [f"{v} AS {POSTGRES.quote(f.name)}" for v, f in zip(values, CHANGE_COLUMNS, strict=True)]


def _with_keys(request: ReadRequest, subject: Subject, fields: Sequence[Field], rows: str) -> str:
    """The rows and, when asked, an entry for the key of every row that matches the filter."""
    if not request.present:
        return rows
    entries = [
        f"t.{POSTGRES.quote(c.source)}" if c.source in request.key else typed_null(f)
        for c, f in zip(request.columns, fields, strict=True)
    ]
    where = POSTGRES.where(request.where, "t", subject.schema.fields)
    keys = f"SELECT {', '.join(entries)}, 0::bigint, 'P'::text, NULL::text FROM {subject.source} WHERE {where}"  # noqa: S608 - names quoted, values encoded
    return f"{rows} UNION ALL {keys}"


# ------------------------------------------------------------------------- splits


def row_splits(
    connection: Connection, request: ReadRequest, subject: Subject, fields: Sequence[Field], conditions: list[str]
) -> tuple[Split, ...]:
    """The rows that match, in parts that share the transaction's snapshot."""
    snapshot = _exported(connection)
    whole = _with_keys(request, subject, fields, select(subject, request, conditions, _beside(request)))
    ranges = _ranges(request, subject, parallel=snapshot is not None and not request.present)
    return tuple(
        _split(
            number,
            snapshot,
            request,
            _within(request, subject, conditions, whole, limits),
            fields,
            alone=len(ranges) == 1,
        )
        for number, limits in enumerate(ranges)
    )


def _exported(connection: Connection) -> str | None:
    """The snapshot's name, for other connections; None on a standby, which exports none."""
    row = connection.execute("SELECT pg_catalog.pg_is_in_recovery()").fetchone()
    if row is None or row[0]:
        return None
    exported = connection.execute("SELECT pg_catalog.pg_export_snapshot()").fetchone()
    return str(exported[0]) if exported else None


def _ranges(request: ReadRequest, subject: Subject, *, parallel: bool) -> list[tuple[int, int | None] | None]:
    """Ranges of blocks, the last without an end; a single None where the subject is read as one."""
    relation = subject.relation
    if relation is None or relation.kind != TABLE or not parallel:
        return [None]
    wanted = request.dataset.options.get("splits") or request.splits or _default_splits(relation.blocks)
    parts = max(1, min(int(wanted), relation.blocks))
    if parts == 1:
        return [None]
    edges = [relation.blocks * i // parts for i in range(parts)]
    return [(lo, hi) for lo, hi in zip(edges, [*edges[1:], None], strict=True)]


def _default_splits(blocks: int) -> int:
    """One below 4 cores or 1 GiB, where splits were measured to lose."""
    cores = os.cpu_count() or 1
    return 1 if cores < _PARALLEL_CORES or blocks < _PARALLEL_BLOCKS else min(cores // 2, _MOST_SPLITS)


def _within(
    request: ReadRequest, subject: Subject, conditions: list[str], whole: str, limits: tuple[int, int | None] | None
) -> str:
    if limits is None:
        return whole
    lo, hi = limits
    terms = [f"t.ctid >= '({lo},0)'::tid", *([f"t.ctid < '({hi},0)'::tid"] if hi is not None else [])]
    return select(subject, request, [*conditions, *terms])


def _split(
    number: int, snapshot: str | None, request: ReadRequest, query: str, fields: Sequence[Field], *, alone: bool
) -> Split:
    described = [*fields, *(CHANGE_COLUMNS if request.present else ())]
    return Split(
        f"{number}",
        {
            "snapshot": snapshot or f"standby-{id(request)}",
            "alone": alone,
            "copy": copy_statement(query, request.format),
            "fields": [[f.name, str(f.type)] for f in described],
        },
    )
