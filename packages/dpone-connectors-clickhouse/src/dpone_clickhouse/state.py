"""dpone's own tables beside a target: a cache of markers, and the ledger of loads and chunks before the last one.

Rows are only added, each with the server's time; the latest says what holds. So a row that is written twice changes
nothing, and no statement here needs a transaction.
"""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals

from __future__ import annotations

import json
from collections.abc import Mapping

from msgspec import Struct

from dpone.books import shape_of, stored_of
from dpone.connector import Json, Stored
from dpone.names import print_name
from dpone_clickhouse.catalog import Name
from dpone_clickhouse.dialect import CLICKHOUSE
from dpone_clickhouse.marker import Entry
from dpone_clickhouse.session import Session

STATE, LOADS, CHUNKS = "_dpone_state", "_dpone_loads", "_dpone_chunks"
_MARK = "dpone, shape "
_AT = "at DateTime64(9, 'UTC') DEFAULT now64(9)"
# The shapes of each table, the last one in force.
_STATE = (
    "(target String, pipeline String, kind Nullable(String), token Nullable(String), generation UInt64, "
    f"load_id String, forgotten Bool, {_AT}) ENGINE = MergeTree ORDER BY (target, pipeline, at)"
)
_LOADS = (
    f"(target String, load_id String, pipeline String, run_id String, {_AT}) "
    "ENGINE = MergeTree ORDER BY (target, load_id)"
)
_CHUNKS = (
    f"(target String, plan String, chunk String, last Bool, load_id String, {_AT}) "
    "ENGINE = MergeTree ORDER BY (target, plan, at)"
)
_RECORDED = _LOADS.replace("run_id String, ", "run_id String, record String, ")
SHAPES: Mapping[str, tuple[str, ...]] = {STATE: (_STATE,), LOADS: (_LOADS, _RECORDED), CHUNKS: (_CHUNKS,)}
# What leads a table that is there from each shape to the next.
_STEPS: Mapping[str, tuple[str, ...]] = {LOADS: ("ADD COLUMN IF NOT EXISTS record String AFTER run_id",)}


class Books(Struct, frozen=True):
    """Where the tables of one target are, and as what the target stands in them."""

    database: str
    target: str

    def table(self, name: str) -> str:
        return CLICKHOUSE.table((self.database, name))

    @property
    def here(self) -> str:
        return f"target = {CLICKHOUSE.text(self.target)}"


def books_of(name: Name) -> Books:
    return Books(name[0], print_name(name))


def ensure_books(session: Session, books: Books) -> None:
    """The tables are there in the shape that this code knows."""
    found = dict(
        session.ask(
            f"SELECT name, comment FROM system.tables WHERE database = {CLICKHOUSE.text(books.database)} "
            f"AND name IN ({', '.join(map(CLICKHOUSE.text, SHAPES))})"
        )
    )
    for name, shapes in SHAPES.items():
        if name not in found:
            session.run(f"CREATE TABLE IF NOT EXISTS {books.table(name)} {shapes[-1]} COMMENT '{_MARK}{len(shapes)}'")
            continue
        number = shape_of(
            f"{books.database}.{name}",
            found[name].removeprefix(_MARK),
            len(shapes),
            package="dpone-connectors-clickhouse",
            hint="rename it: dpone keeps its own tables beside the target under that name",
        )
        for step in _STEPS.get(name, ())[number - 1 :]:
            session.run(f"ALTER TABLE {books.table(name)} {step}")
        if number < len(shapes):
            session.run(f"ALTER TABLE {books.table(name)} MODIFY COMMENT '{_MARK}{len(shapes)}'")


def cached(session: Session, books: Books) -> dict[str, Stored]:
    """What the cache says of each pipeline."""
    rows = session.ask(
        f"SELECT pipeline, kind, token, generation, load_id, forgotten FROM {books.table(STATE)} "
        f"WHERE {books.here} ORDER BY at DESC LIMIT 1 BY pipeline"
    )
    found = {}
    for pipeline, kind, token, generation, load_id, forgotten in rows:
        if not forgotten:
            found[pipeline] = stored_of(kind, token, generation, load_id)
    return found


def remember(session: Session, books: Books, pipeline: str, stored: Stored | None) -> None:
    """The cache says this of the pipeline from now on; None forgets it."""
    if stored is None:
        values = [None, None, 0, "", True]
    else:
        at = stored.position
        token = None if at is None else json.dumps(at.token)
        values = [None if at is None else at.kind.value, token, stored.generation, stored.load_id, False]
    _insert(
        session, books, STATE, (("pipeline", "kind", "token", "generation", "load_id", "forgotten")), pipeline, *values
    )


def enter(
    session: Session, books: Books, pipeline: str, entry: Entry, record: Mapping[str, Json] | None = None
) -> None:
    """The cache and the ledger hold what the marker's entry says; its record is not in the marker, and may be lost."""
    told = json.dumps(record) if record else ""
    for load_id in dict.fromkeys((entry.stored.load_id, *entry.appended)):
        loaded = (load_id, pipeline, entry.run_id, told)
        _insert(session, books, LOADS, ("load_id", "pipeline", "run_id", "record"), *loaded)
    if entry.chunk is not None:
        chunk = entry.chunk
        given = (chunk.plan, chunk.id, chunk.last, entry.stored.load_id)
        _insert(session, books, CHUNKS, ("plan", "chunk", "last", "load_id"), *given)
    remember(session, books, pipeline, entry.stored)  # last: once it is there, nothing needs mending


def _insert(session: Session, books: Books, name: str, columns: tuple[str, ...], *values: object) -> None:
    listed = ", ".join(CLICKHOUSE.literal(v) for v in (books.target, *values))
    # a SELECT, since VALUES is parsed by the driver
    session.run(f"INSERT INTO {books.table(name)} (target, {', '.join(columns)}) SELECT {listed}")


def is_committed(session: Session, books: Books, load_id: str) -> bool:
    condition = f"{books.here} AND load_id = {CLICKHOUSE.text(load_id)}"
    return bool(session.value(f"SELECT count() FROM {books.table(LOADS)} WHERE {condition}"))


def records(session: Session, books: Books, run_id: str | None) -> list[Mapping[str, Json]]:
    """The records of committed loads, the newest first."""
    which = "" if run_id is None else f" AND run_id = {CLICKHOUSE.text(run_id)}"
    rows = session.ask(
        f"SELECT record FROM {books.table(LOADS)} WHERE {books.here}{which} AND record != '' ORDER BY at DESC"
    )
    return [json.loads(record) for (record,) in rows]


def committed_chunks(session: Session, books: Books, plan: str) -> frozenset[str]:
    """The chunks of a plan since its last one was committed."""
    here = f"{books.here} AND plan = {CLICKHOUSE.text(plan)}"
    done = f"(SELECT max(at) FROM {books.table(CHUNKS)} WHERE {here} AND last)"
    since = f"ifNull({done}, toDateTime64(0, 9, 'UTC'))"
    rows = session.ask(f"SELECT DISTINCT chunk FROM {books.table(CHUNKS)} WHERE {here} AND NOT last AND at > {since}")
    return frozenset(chunk for (chunk,) in rows)
