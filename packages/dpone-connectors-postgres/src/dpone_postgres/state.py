"""dpone's own tables at a sink: positions, loads with their stages and splits, chunks of unfinished plans.

Each carries the version of its shape in its comment. An older one is brought forward, a newer one is refused.
"""
# ruff: noqa: S608 - all text here is made of quoted identifiers and fixed parts

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from dpone.books import conflict, position_texts, shape_of, stored_of
from dpone.connector import Commit, Json, Position, Stored, Target
from dpone.names import print_name
from dpone.sql.load import Ledger
from dpone_postgres.dialect import POSTGRES
from dpone_postgres.session import Connection

STATE, LOADS, CHUNKS = "_dpone_state", "_dpone_loads", "_dpone_chunks"
_MARK = "dpone, shape "

# Statements that lead from each shape to the next, the first from nothing; {0} is the quoted table.
SHAPES: Mapping[str, Sequence[str]] = {
    STATE: (
        (
            "CREATE TABLE {0} (pipeline text NOT NULL, target text NOT NULL, kind text, token text, "
            "generation bigint NOT NULL, load_id text NOT NULL, saved_at timestamptz NOT NULL DEFAULT now(), "
            "PRIMARY KEY (pipeline, target))"
        ),
    ),
    LOADS: (
        (
            "CREATE TABLE {0} (load_id text NOT NULL, target text NOT NULL, pipeline text NOT NULL, run_id text, "
            "stages text[] NOT NULL DEFAULT '{{}}', splits jsonb NOT NULL DEFAULT '{{}}', "
            "committed boolean NOT NULL DEFAULT false, started_at timestamptz NOT NULL DEFAULT clock_timestamp(), "
            "PRIMARY KEY (load_id, target))"
        ),
        "ALTER TABLE {0} ADD COLUMN kept jsonb, ADD COLUMN record jsonb",
    ),
    CHUNKS: (
        (
            "CREATE TABLE {0} (plan text NOT NULL, target text NOT NULL, chunk text NOT NULL, load_id text NOT NULL, "
            "PRIMARY KEY (plan, target, chunk))"
        ),
    ),
}


class Books(Struct, frozen=True):
    """Where the tables of one target are kept, and as what the target stands in them."""

    schema: str
    target: str
    name: tuple[str, str]

    def table(self, name: str) -> str:
        return POSTGRES.table((self.schema, name))

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.table(LOADS), also={"target": self.target, "committed": True})

    @property
    def lock(self) -> int:
        return lock_number(f"target:{self.target}")


def books_of(target: Target) -> Books:
    schema, table = target.name
    return Books(target.options.get("state_schema") or schema, print_name(target.name), (schema, table))


def lock_number(of: str) -> int:
    """The number of an advisory lock."""
    return int.from_bytes(hashlib.sha256(f"dpone:{of}".encode()).digest()[:8], "big", signed=True)


def ensure_books(connection: Connection, books: Books) -> None:
    """The tables are there in the shape that this code knows."""
    if all(found == len(SHAPES[name]) for name, found in _shapes(connection, books.schema).items()):
        return
    with connection.transaction():
        connection.execute("SELECT pg_catalog.pg_advisory_xact_lock(%s)", (lock_number(f"books:{books.schema}"),))
        for name, found in _shapes(connection, books.schema).items():
            steps = SHAPES[name]
            for step in steps[found:]:
                connection.execute(step.format(books.table(name)).encode())
            if found < len(steps):
                connection.execute(f"COMMENT ON TABLE {books.table(name)} IS '{_MARK}{len(steps)}'".encode())


def _shapes(connection: Connection, schema: str) -> dict[str, int]:
    """The shape of each table, zero where there is none."""
    rows = connection.execute(
        "SELECT c.relname, coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), '') FROM pg_catalog.pg_class c "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = ANY (%s)",
        (schema, list(SHAPES)),
    ).fetchall()
    return dict.fromkeys(SHAPES, 0) | {name: _shape(schema, name, comment) for name, comment in rows}


def _shape(schema: str, name: str, comment: str) -> int:
    return shape_of(
        f"{schema}.{name}",
        comment.removeprefix(_MARK),
        len(SHAPES[name]),
        package="dpone-connectors-postgres",
        hint="set `state_schema` to a schema of dpone's own",
    )


# ----------------------------------------------------------------------- positions


def stored_position(connection: Connection, books: Books, pipeline: str) -> Stored | None:
    return positions(connection, books).get(pipeline)


def positions(connection: Connection, books: Books) -> dict[str, Stored]:
    """What is stored for each pipeline that feeds the target."""
    rows = connection.execute(
        f"SELECT pipeline, kind, token, generation, load_id FROM {books.table(STATE)} "
        "WHERE target = %s ORDER BY pipeline".encode(),
        (books.target,),
    ).fetchall()
    return {
        pipeline: stored_of(kind, token, generation, load_id) for pipeline, kind, token, generation, load_id in rows
    }


def save(connection: Connection, books: Books, pipeline: str, commit: Commit) -> None:
    """Position, ledger and chunk as `commit` says, if the position still is the expected one."""
    changed = _compare_and_set(connection, books, pipeline, commit.expected, commit.new)
    if not changed:
        raise conflict(books.target, commit)
    enter_load(connection, books, commit.new.load_id, pipeline, commit.run_id, commit.record)
    if commit.chunk is None:
        return
    table = books.table(CHUNKS)
    if commit.chunk.last:
        connection.execute(
            f"DELETE FROM {table} WHERE plan = %s AND target = %s".encode(), (commit.chunk.plan, books.target)
        )
    else:
        connection.execute(
            f"INSERT INTO {table} VALUES (%s, %s, %s, %s)".encode(),
            (commit.chunk.plan, books.target, commit.chunk.id, commit.new.load_id),
        )


def _compare_and_set(connection: Connection, books: Books, pipeline: str, expected: Stored | None, new: Stored) -> bool:
    kind, token = position_texts(new.position)
    if expected is None:
        done = connection.execute(
            f"INSERT INTO {books.table(STATE)} (pipeline, target, kind, token, generation, load_id) "
            "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING".encode(),
            (pipeline, books.target, kind, token, new.generation, new.load_id),
        )
    else:
        done = connection.execute(
            f"UPDATE {books.table(STATE)} SET kind = %s, token = %s, generation = %s, load_id = %s, saved_at = now() "
            "WHERE pipeline = %s AND target = %s AND generation = %s AND load_id = %s".encode(),
            (kind, token, new.generation, new.load_id, pipeline, books.target, expected.generation, expected.load_id),
        )
    return done.rowcount == 1


def set_position(connection: Connection, books: Books, pipeline: str, position: Position | None) -> None:
    """What an operator asks for: another position, or None to forget it, so that the next load is a first one."""
    if position is None:
        connection.execute(
            f"DELETE FROM {books.table(STATE)} WHERE pipeline = %s AND target = %s".encode(), (pipeline, books.target)
        )
        return
    connection.execute(
        f"INSERT INTO {books.table(STATE)} AS s (pipeline, target, kind, token, generation, load_id) "
        "VALUES (%s, %s, %s, %s, 1, 'set by hand') ON CONFLICT (pipeline, target) DO UPDATE SET "
        "kind = excluded.kind, token = excluded.token, generation = s.generation + 1, saved_at = now()".encode(),
        (pipeline, books.target, *position_texts(position)),
    )


# -------------------------------------------------------------------- loads and chunks


def is_committed(connection: Connection, books: Books, load_id: str) -> bool:
    row = connection.execute(
        f"SELECT committed FROM {books.table(LOADS)} WHERE load_id = %s AND target = %s".encode(),
        (load_id, books.target),
    ).fetchone()
    return bool(row and row[0])


def committed_chunks(connection: Connection, books: Books, plan: str) -> frozenset[str]:
    rows = connection.execute(
        f"SELECT chunk FROM {books.table(CHUNKS)} WHERE plan = %s AND target = %s".encode(), (plan, books.target)
    ).fetchall()
    return frozenset(chunk for (chunk,) in rows)


def begin_load(connection: Connection, books: Books, load_id: str, pipeline: str, stages: Sequence[str]) -> None:
    """The ledger names the tables that will be made, before they are."""
    connection.execute(
        f"INSERT INTO {books.table(LOADS)} AS l (load_id, target, pipeline, stages) VALUES (%s, %s, %s, %s) "
        "ON CONFLICT (load_id, target) DO UPDATE SET stages = excluded.stages, splits = '{}', kept = NULL, "
        "started_at = clock_timestamp()".encode(),
        (load_id, books.target, pipeline, list(stages)),
    )


def enter_load(
    connection: Connection,
    books: Books,
    load_id: str,
    pipeline: str,
    run_id: str | None = None,
    record: Mapping[str, Json] | None = None,
) -> None:
    """The rows of the load are in the target, as soon as the transaction is."""
    connection.execute(
        f"INSERT INTO {books.table(LOADS)} AS l (load_id, target, pipeline, run_id, committed, record) "
        "VALUES (%s, %s, %s, %s, true, %s) ON CONFLICT (load_id, target) "
        "DO UPDATE SET committed = true, run_id = coalesce(excluded.run_id, l.run_id), "
        "record = coalesce(excluded.record, l.record)".encode(),
        (load_id, books.target, pipeline, run_id, json.dumps(record) if record else None),
    )


def loaded_records(connection: Connection, books: Books, run_id: str | None) -> list[Mapping[str, Json]]:
    """The records of committed loads, the newest first."""
    rows: list[Any] = connection.execute(
        f"SELECT record FROM {books.table(LOADS)} WHERE target = %s AND committed AND record IS NOT NULL "
        "AND (%s::text IS NULL OR run_id = %s) ORDER BY started_at DESC".encode(),
        (books.target, run_id, run_id),
    ).fetchall()
    return [record for (record,) in rows]


def keep_load(connection: Connection, books: Books, load_id: str, kept: Json) -> None:
    """The stage of the load is sealed, and stays until somebody decides about it."""
    connection.execute(
        f"UPDATE {books.table(LOADS)} SET kept = %s WHERE load_id = %s AND target = %s".encode(),
        (json.dumps(kept), load_id, books.target),
    )


def kept_loads(connection: Connection, books: Books) -> list[tuple[str, str, Json]]:
    """Loads whose sealed stages are there, each with its pipeline and with what was noted of it."""
    rows: list[Any] = connection.execute(
        f"SELECT load_id, pipeline, kept FROM {books.table(LOADS)} WHERE target = %s AND kept IS NOT NULL "
        "AND stages <> '{}' AND NOT committed ORDER BY load_id".encode(),
        (books.target,),
    ).fetchall()
    return [(load_id, pipeline, kept) for load_id, pipeline, kept in rows]


def end_load(connection: Connection, books: Books, load_id: str) -> None:
    """The tables of the load are gone; a load that was not committed leaves no entry."""
    where = "WHERE load_id = %s AND target = %s"
    given = (load_id, books.target)
    connection.execute(f"DELETE FROM {books.table(LOADS)} {where} AND NOT committed".encode(), given)
    connection.execute(
        f"UPDATE {books.table(LOADS)} SET stages = '{{}}', splits = '{{}}', kept = NULL {where}".encode(), given
    )


def split_writer(connection: Connection, books: Books, load_id: str, split: str) -> str | None:
    """The transaction that wrote a split before, as rows hold it in xmin."""
    row = connection.execute(
        f"SELECT splits ->> %s FROM {books.table(LOADS)} WHERE load_id = %s AND target = %s".encode(),
        (split, load_id, books.target),
    ).fetchone()
    return None if row is None else row[0]


def remember_split(connection: Connection, books: Books, load_id: str, split: str) -> None:
    connection.execute(
        f"UPDATE {books.table(LOADS)} SET splits = splits || jsonb_build_object(%s::text, "
        "pg_catalog.pg_current_xact_id()::xid::text) WHERE load_id = %s AND target = %s".encode(),
        (split, load_id, books.target),
    )


def leftovers(
    connection: Connection, books: Books, seconds: float = 0, *, also_kept: bool = False
) -> list[tuple[str, list[str]]]:
    """Loads of the target whose tables are still there, begun longer than `seconds` ago; a kept one is no leftover."""
    rows: list[Any] = connection.execute(
        f"SELECT load_id, stages FROM {books.table(LOADS)} WHERE target = %s AND stages <> '{{}}' "
        "AND (kept IS NULL OR committed OR %s) "
        "AND started_at <= clock_timestamp() - make_interval(secs => %s)".encode(),
        (books.target, also_kept, seconds),
    ).fetchall()
    return [(load_id, list(stages)) for load_id, stages in rows]
