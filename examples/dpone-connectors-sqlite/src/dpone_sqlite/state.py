"""dpone's own tables in the file: positions, loads with the files of their stages, chunks of unfinished plans."""
# ruff: noqa: S608 -- all text here is made of fixed names

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from dpone.books import position_texts, refuse_conflict, stored_of
from dpone.connector import Commit, Position, Stored
from dpone.sql.load import Ledger
from dpone_sqlite.database import SQLITE, Connection

_STATE, _LOADS, _CHUNKS = "_dpone_state", "_dpone_loads", "_dpone_chunks"
_TABLES = (
    (
        f"CREATE TABLE IF NOT EXISTS {_STATE} (pipeline TEXT NOT NULL, target TEXT NOT NULL, kind TEXT, token TEXT, "
        "generation INTEGER NOT NULL, load_id TEXT NOT NULL, PRIMARY KEY (pipeline, target))"
    ),
    (
        f"CREATE TABLE IF NOT EXISTS {_LOADS} (load_id TEXT NOT NULL, target TEXT NOT NULL, pipeline TEXT NOT NULL, "
        "run_id TEXT, stage TEXT, committed INTEGER NOT NULL DEFAULT 0, "
        "started_at REAL NOT NULL DEFAULT (julianday('now')), PRIMARY KEY (load_id, target))"
    ),
    (
        f"CREATE TABLE IF NOT EXISTS {_CHUNKS} (plan TEXT NOT NULL, target TEXT NOT NULL, chunk TEXT NOT NULL, "
        "PRIMARY KEY (plan, target, chunk))"
    ),
)


def ensure_books(connection: Connection) -> None:
    """The tables are there."""
    for statement in _TABLES:
        connection.execute(statement)


def ledger_of(target: str) -> Ledger:
    """Where Append finds the loads that were committed."""
    return Ledger(SQLITE.table((_LOADS,)), also={"target": target, "committed": 1})


# ----------------------------------------------------------------------- positions


def positions(connection: Connection, target: str) -> dict[str, Stored]:
    """What is stored for each pipeline that feeds the target."""
    rows = connection.execute(
        f"SELECT pipeline, kind, token, generation, load_id FROM {_STATE} WHERE target = ? ORDER BY pipeline", (target,)
    ).fetchall()
    return {
        pipeline: stored_of(kind, token, generation, load_id) for pipeline, kind, token, generation, load_id in rows
    }


def save(connection: Connection, target: str, pipeline: str, commit: Commit) -> None:
    """Position, ledger and chunk as `commit` says, if the position still is the expected one."""
    found = positions(connection, target).get(pipeline)
    refuse_conflict(found, target, commit)
    new = commit.new
    connection.execute(
        f"INSERT OR REPLACE INTO {_STATE} VALUES (?, ?, ?, ?, ?, ?)",
        (pipeline, target, *position_texts(new.position), new.generation, new.load_id),
    )
    enter_load(connection, target, new.load_id, pipeline, commit.run_id)
    if commit.chunk is None:
        return
    if commit.chunk.last:
        connection.execute(f"DELETE FROM {_CHUNKS} WHERE plan = ? AND target = ?", (commit.chunk.plan, target))
    else:
        connection.execute(f"INSERT INTO {_CHUNKS} VALUES (?, ?, ?)", (commit.chunk.plan, target, commit.chunk.id))


def set_position(connection: Connection, target: str, pipeline: str, position: Position | None) -> None:
    """What an operator asks for: another position, or None, so that the next load is a first one."""
    if position is None:
        connection.execute(f"DELETE FROM {_STATE} WHERE pipeline = ? AND target = ?", (pipeline, target))
        return
    connection.execute(
        f"INSERT INTO {_STATE} VALUES (?, ?, ?, ?, 1, 'set by hand') ON CONFLICT DO UPDATE SET "
        "kind = excluded.kind, token = excluded.token, generation = generation + 1",
        (pipeline, target, *position_texts(position)),
    )


# ---------------------------------------------------------------- loads and chunks


def is_committed(connection: Connection, target: str, load_id: str) -> bool:
    return bool(
        connection.execute(
            f"SELECT 1 FROM {_LOADS} WHERE load_id = ? AND target = ? AND committed", (load_id, target)
        ).fetchone()
    )


def committed_chunks(connection: Connection, target: str, plan: str) -> frozenset[str]:
    rows = connection.execute(f"SELECT chunk FROM {_CHUNKS} WHERE plan = ? AND target = ?", (plan, target)).fetchall()
    return frozenset(chunk for (chunk,) in rows)


def begin_load(connection: Connection, target: str, load_id: str, pipeline: str, stage: str) -> None:
    """The ledger names the stage's file before there is one."""
    connection.execute(
        f"INSERT INTO {_LOADS} (load_id, target, pipeline, stage) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
        "stage = excluded.stage, started_at = julianday('now')",
        (load_id, target, pipeline, stage),
    )


def enter_load(connection: Connection, target: str, load_id: str, pipeline: str, run_id: str | None = None) -> None:
    """The rows of the load are in the target, as soon as the transaction is."""
    connection.execute(
        f"INSERT INTO {_LOADS} (load_id, target, pipeline, run_id, committed) VALUES (?, ?, ?, ?, 1) "
        "ON CONFLICT DO UPDATE SET run_id = COALESCE(excluded.run_id, run_id), committed = 1",
        (load_id, target, pipeline, run_id),
    )


def end_load(connection: Connection, target: str, load_id: str) -> None:
    """The stage is gone; a load that was not committed leaves no entry."""
    given = (load_id, target)
    connection.execute(f"DELETE FROM {_LOADS} WHERE load_id = ? AND target = ? AND NOT committed", given)
    connection.execute(f"UPDATE {_LOADS} SET stage = NULL WHERE load_id = ? AND target = ?", given)


def leftovers(connection: Connection, older_than: timedelta = timedelta(0)) -> Sequence[tuple[str, str, str]]:
    """Target, load and stage of each load whose stage is still there."""
    found: list[tuple[str, str, str]] = connection.execute(
        f"SELECT target, load_id, stage FROM {_LOADS} WHERE stage IS NOT NULL AND started_at <= julianday('now') - ?",
        (older_than / timedelta(days=1),),
    ).fetchall()
    return found
