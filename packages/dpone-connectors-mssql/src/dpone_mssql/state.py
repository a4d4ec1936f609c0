"""dpone's own tables at a sink: positions, loads with their stages, chunks of unfinished plans.

Each carries the version of its shape in an extended property. An older one is brought forward, a newer one is refused.
"""
# ruff: noqa: S608 - all text here is made of quoted identifiers, encoded literals and fixed parts

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from msgspec import Struct

from dpone.books import conflict, position_texts, shape_of, stored_of
from dpone.connector import Commit, Position, Stored, Target
from dpone.names import print_name
from dpone.sql.load import Ledger
from dpone_mssql.dialect import BINARY_COLLATION, MSSQL
from dpone_mssql.session import Connection

STATE, LOADS, CHUNKS = "_dpone_state", "_dpone_loads", "_dpone_chunks"
_PROPERTY, _MARK = "dpone", "shape "
_NAME = f"nvarchar(400) COLLATE {BINARY_COLLATION} NOT NULL"
_NOW = "DEFAULT SYSUTCDATETIME()"

# Statements that lead from each shape to the next, the first from nothing; {0} is the quoted table.
SHAPES: Mapping[str, Sequence[str]] = {
    STATE: (
        (
            f"CREATE TABLE {{0}} (pipeline {_NAME}, target {_NAME}, kind nvarchar(20) NULL, token nvarchar(max) NULL, "
            f"generation bigint NOT NULL, load_id nvarchar(400) NOT NULL, saved_at datetime2(7) NOT NULL {_NOW}, "
            "PRIMARY KEY NONCLUSTERED (pipeline, target))"
        ),
    ),
    LOADS: (
        (
            f"CREATE TABLE {{0}} (load_id {_NAME}, target {_NAME}, pipeline nvarchar(400) NOT NULL, "
            "run_id nvarchar(400) NULL, stages nvarchar(max) NOT NULL DEFAULT N'[]', committed bit NOT NULL DEFAULT 0, "
            f"started_at datetime2(7) NOT NULL {_NOW}, PRIMARY KEY NONCLUSTERED (load_id, target))"
        ),
    ),
    CHUNKS: (
        (
            f"CREATE TABLE {{0}} ([plan] nvarchar(200) COLLATE {BINARY_COLLATION} NOT NULL, target {_NAME}, "
            f"chunk nvarchar(200) COLLATE {BINARY_COLLATION} NOT NULL, load_id nvarchar(400) NOT NULL, "
            "PRIMARY KEY NONCLUSTERED ([plan], target, chunk))"
        ),
    ),
}


class Books(Struct, frozen=True):
    """Where the tables of one target are kept, and as what the target stands in them."""

    schema: str
    target: str
    name: tuple[str, str]

    def table(self, name: str) -> str:
        return MSSQL.table((self.schema, name))

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.table(LOADS), also={"target": self.target, "committed": True})

    @property
    def lock(self) -> str:
        return lock_name(f"target:{self.target}")


def books_of(target: Target) -> Books:
    schema, table = target.name
    return Books(target.options.get("state_schema") or schema, print_name(target.name), (schema, table))


def lock_name(of: str) -> str:
    """The name of an application lock, which has at most 255 characters."""
    return f"dpone:{hashlib.sha256(of.encode()).hexdigest()}"


def take_lock(name: str, owner: str, milliseconds: int) -> str:
    """A batch that answers with one number: not negative when the lock is ours."""
    return (
        f"DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = {MSSQL.text(name)}, @LockMode = N'Exclusive', "
        f"@LockOwner = N'{owner}', @LockTimeout = {milliseconds}; SELECT @taken"
    )


def ensure_books(connection: Connection, books: Books) -> None:
    """The tables are there in the shape that this code knows."""
    if all(found == len(SHAPES[name]) for name, found in _shapes(connection, books.schema).items()):
        return
    with connection.transaction():
        connection.one(take_lock(lock_name(f"books:{books.schema}"), "Transaction", 60_000))
        for name, found in _shapes(connection, books.schema).items():
            steps = SHAPES[name]
            for step in steps[found:]:
                connection.run(step.format(books.table(name)))
            if found < len(steps):
                action = "sp_updateextendedproperty" if found else "sp_addextendedproperty"
                connection.run(
                    f"EXEC sys.{action} @name = N'{_PROPERTY}', @value = N'{_MARK}{len(steps)}', "
                    f"@level0type = N'SCHEMA', @level0name = {MSSQL.text(books.schema)}, "
                    f"@level1type = N'TABLE', @level1name = {MSSQL.text(name)}"
                )


def _shapes(connection: Connection, schema: str) -> dict[str, int]:
    """The shape of each table, zero where there is none."""
    names = ", ".join(MSSQL.text(name) for name in SHAPES)
    rows = connection.rows(
        "SELECT t.name, CAST(p.value AS nvarchar(100)) FROM sys.tables AS t "
        "LEFT JOIN sys.extended_properties AS p ON p.major_id = t.object_id AND p.minor_id = 0 AND p.class = 1 "
        f"AND p.name = N'{_PROPERTY}' WHERE t.schema_id = SCHEMA_ID({MSSQL.text(schema)}) AND t.name IN ({names})"
    )
    return dict.fromkeys(SHAPES, 0) | {name: _shape(schema, name, said or "") for name, said in rows}


def _shape(schema: str, name: str, said: str) -> int:
    return shape_of(
        f"{schema}.{name}",
        said.removeprefix(_MARK),
        len(SHAPES[name]),
        package="dpone-connectors-mssql",
        hint="set `state_schema` to a schema of dpone's own",
    )


# ----------------------------------------------------------------------- positions


def stored_position(connection: Connection, books: Books, pipeline: str) -> Stored | None:
    return positions(connection, books).get(pipeline)


def positions(connection: Connection, books: Books) -> dict[str, Stored]:
    """What is stored for each pipeline that feeds the target."""
    rows = connection.rows(
        f"SELECT pipeline, kind, token, generation, load_id FROM {books.table(STATE)} "
        f"WHERE target = {MSSQL.text(books.target)} ORDER BY pipeline"
    )
    return {
        pipeline: stored_of(kind, token, generation, load_id) for pipeline, kind, token, generation, load_id in rows
    }


def save(connection: Connection, books: Books, pipeline: str, commit: Commit) -> None:
    """Position, ledger and chunk as `commit` says, if the position still is the expected one."""
    if not _compare_and_set(connection, books, pipeline, commit.expected, commit.new):
        raise conflict(books.target, commit)
    enter_load(connection, books, commit.new.load_id, pipeline, commit.run_id)
    if commit.chunk is None:
        return
    table, target = books.table(CHUNKS), MSSQL.text(books.target)
    if commit.chunk.last:
        connection.run(f"DELETE FROM {table} WHERE [plan] = {MSSQL.text(commit.chunk.plan)} AND target = {target}")
    else:
        values = map(MSSQL.text, (commit.chunk.plan, books.target, commit.chunk.id, commit.new.load_id))
        connection.run(f"INSERT INTO {table} ([plan], target, chunk, load_id) VALUES ({', '.join(values)})")


def _compare_and_set(connection: Connection, books: Books, pipeline: str, expected: Stored | None, new: Stored) -> bool:
    kind, token = position_texts(new.position)
    table = books.table(STATE)
    ours = f"pipeline = {MSSQL.text(pipeline)} AND target = {MSSQL.text(books.target)}"
    if expected is None:
        values = ", ".join(map(MSSQL.literal, (pipeline, books.target, kind, token, new.generation, new.load_id)))
        done = connection.run(
            f"INSERT INTO {table} (pipeline, target, kind, token, generation, load_id) SELECT {values} "
            f"WHERE NOT EXISTS (SELECT 1 FROM {table} AS s WITH (UPDLOCK, HOLDLOCK) WHERE {ours})"
        )
    else:
        done = connection.run(
            f"UPDATE {table} SET kind = {MSSQL.literal(kind)}, token = {MSSQL.literal(token)}, "
            f"generation = {new.generation}, load_id = {MSSQL.text(new.load_id)}, saved_at = SYSUTCDATETIME() "
            f"WHERE {ours} AND generation = {expected.generation} AND load_id = {MSSQL.text(expected.load_id)}"
        )
    return done == 1


def set_position(connection: Connection, books: Books, pipeline: str, position: Position | None) -> None:
    """What an operator asks for: another position, or None to forget it, so that the next load is a first one."""
    table = books.table(STATE)
    ours = f"pipeline = {MSSQL.text(pipeline)} AND target = {MSSQL.text(books.target)}"
    if position is None:
        connection.run(f"DELETE FROM {table} WHERE {ours}")
        return
    kind, token = map(MSSQL.literal, position_texts(position))
    with connection.transaction():
        done = connection.run(
            f"UPDATE {table} SET kind = {kind}, token = {token}, generation = generation + 1, "
            f"saved_at = SYSUTCDATETIME() WHERE {ours}"
        )
        if not done:
            values = f"{MSSQL.text(pipeline)}, {MSSQL.text(books.target)}, {kind}, {token}, 1, N'set by hand'"
            connection.run(
                f"INSERT INTO {table} (pipeline, target, kind, token, generation, load_id) VALUES ({values})"
            )


# -------------------------------------------------------------------- loads and chunks


def is_committed(connection: Connection, books: Books, load_id: str) -> bool:
    found = connection.row(f"SELECT committed FROM {books.table(LOADS)} WHERE {_load(books, load_id)}")
    return bool(found and found[0])


def committed_chunks(connection: Connection, books: Books, plan: str) -> frozenset[str]:
    rows = connection.rows(
        f"SELECT chunk FROM {books.table(CHUNKS)} "
        f"WHERE [plan] = {MSSQL.text(plan)} AND target = {MSSQL.text(books.target)}"
    )
    return frozenset(chunk for (chunk,) in rows)


def begin_load(connection: Connection, books: Books, load_id: str, pipeline: str, stages: Sequence[str]) -> None:
    """The ledger names the tables that will be made, before they are."""
    listed = MSSQL.text(json.dumps(list(stages)))
    _update_or_insert(
        connection, books, load_id, f"stages = {listed}, started_at = SYSUTCDATETIME()", pipeline, {"stages": listed}
    )


def enter_load(connection: Connection, books: Books, load_id: str, pipeline: str, run_id: str | None = None) -> None:
    """The rows of the load are in the target, as soon as the transaction is."""
    run = MSSQL.literal(run_id)
    sets = "committed = 1" if run_id is None else f"committed = 1, run_id = {run}"
    _update_or_insert(connection, books, load_id, sets, pipeline, {"committed": "1", "run_id": run})


def _update_or_insert(
    connection: Connection, books: Books, load_id: str, sets: str, pipeline: str, values: Mapping[str, str]
) -> None:
    """Only the holder of the lease writes entries of its target."""
    table = books.table(LOADS)
    if connection.run(f"UPDATE {table} SET {sets} WHERE {_load(books, load_id)}"):
        return
    given = {
        "load_id": MSSQL.text(load_id),
        "target": MSSQL.text(books.target),
        "pipeline": MSSQL.text(pipeline),
        **values,
    }
    connection.run(f"INSERT INTO {table} ({', '.join(given)}) VALUES ({', '.join(given.values())})")


def end_load(connection: Connection, books: Books, load_id: str) -> None:
    """The tables of the load are gone; a load that was not committed leaves no entry."""
    where = _load(books, load_id)
    connection.run(f"DELETE FROM {books.table(LOADS)} WHERE {where} AND committed = 0")
    connection.run(f"UPDATE {books.table(LOADS)} SET stages = N'[]' WHERE {where}")


def _load(books: Books, load_id: str) -> str:
    return f"load_id = {MSSQL.text(load_id)} AND target = {MSSQL.text(books.target)}"


def leftovers(connection: Connection, books: Books, seconds: float = 0) -> list[tuple[str, list[str]]]:
    """Loads of the target whose tables are still there, begun longer than `seconds` ago."""
    rows = connection.rows(
        f"SELECT load_id, stages FROM {books.table(LOADS)} WHERE target = {MSSQL.text(books.target)} "
        f"AND stages <> N'[]' AND started_at <= DATEADD(second, -{int(seconds)}, SYSUTCDATETIME())"
    )
    return [(load_id, json.loads(stages)) for load_id, stages in rows]
