"""The final act: layout, program, position and ledger in one transaction of the target's file."""
# ruff: noqa: S608 -- all text here is made of quoted identifiers and encoded literals, by the dialect

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from dpone.books import exchanges_all, target_missing
from dpone.connector import AddColumn, Applied, Commit, CreateTarget, Layout, SchemaChange, Stage, StageSpec
from dpone.failpoints import hit
from dpone.ops import Append, Program, Recreate
from dpone.probes import Measurement, Probe
from dpone.schema import Field
from dpone.sql.perform import carry_out, validate
from dpone.sql.probe import render_probe
from dpone_sqlite.config import SqliteConfig
from dpone_sqlite.database import SQLITE, Connection, connected, table_schema, translated
from dpone_sqlite.staging import ATTACHED, FileStage, stage_path
from dpone_sqlite.state import enter_load, positions, save
from dpone_sqlite.values import answered

COMMITTED = "sqlite.committed"  # the file has the load, and the caller does not know it yet


class FilePublication:
    def __init__(self, connection: Connection, config: SqliteConfig, spec: StageSpec, target: str) -> None:
        self._connection, self._config, self._spec, self._target = connection, config, spec, target
        self._table = SQLITE.table(spec.target.name)
        self._layout = spec.layout

    def ensure(self, layout: Layout, changes: Sequence[SchemaChange]) -> None:
        """The target has the layout; from here on nobody else writes the file."""
        self._layout = layout
        columns = [*layout.schema, *(c.field for c in layout.system)]
        with translated(self._config.label):
            self._run("BEGIN IMMEDIATE")
            if any(isinstance(change, CreateTarget) for change in changes):
                self._refuse_lost_target()
                self._run(SQLITE.create_table(self._table, columns, layout.schema.key))
                return
            exchanged = any(isinstance(op, Recreate) for op in self._spec.program)
            for change in changes:
                if isinstance(change, AddColumn):
                    self._run(SQLITE.add_column(self._table, change.field))
                else:
                    exchanged = True  # SQLite changes no column in place
            if exchanged and self._differs(columns, layout.schema.key):
                self._rebuild(columns, layout.schema.key)

    def _refuse_lost_target(self) -> None:
        if self._spec.pipeline in positions(self._connection, self._target) and not exchanges_all(self._spec.program):
            raise target_missing(self._target)

    def _differs(self, columns: Sequence[Field], key: Sequence[str]) -> bool:
        found = table_schema(self._connection, self._spec.target.name)
        assert found is not None  # only an existing table is rebuilt
        known = {f.name: (f.native_of("sqlite"), f.nullable) for f in found}
        wanted = {f.name: (SQLITE.spell(f).removesuffix(" COLLATE DPONE_DECIMAL"), f.nullable) for f in columns}
        return known != wanted or found.key != tuple(key)

    def _rebuild(self, columns: Sequence[Field], key: Sequence[str]) -> None:
        """The table has these columns, its indexes and triggers, and the rows that it had as far as they fit."""
        name = self._spec.target.name[0]
        kept = [
            text
            for (text,) in self._connection.execute(
                "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type IN ('index', 'trigger') AND sql IS NOT NULL",
                (name,),
            )
        ]
        found = table_schema(self._connection, (name,))
        assert found is not None  # only an existing table is rebuilt
        shared = [f.name for f in columns if f.name in found]
        room = SQLITE.table((f"_dpone_new_{name}",))
        self._run(SQLITE.create_table(room, columns, key))
        names = ", ".join(map(SQLITE.quote, shared))
        self._run(SQLITE.insert(room, shared, f"SELECT {names} FROM {self._table}"))
        self._run(SQLITE.drop(self._table))
        self._run(SQLITE.rename(room, name))
        for text in kept:
            self._run(text)

    def apply(self, program: Program, stage: Stage) -> Applied:
        assert isinstance(stage, FileStage)  # it came from this sink
        load = stage.load(self._table)
        with translated(self._config.label):
            validate(program, load, SQLITE, self._ask)
            counts = carry_out(program, load, SQLITE, self._run, self._ask, lambda _op: hit("after_each_op"))
            for op in program:
                if isinstance(op, Append):
                    enter_load(self._connection, self._target, op.load_id, self._spec.pipeline)
        return Applied(counts)

    def measure(self, probe: Probe) -> Measurement:
        columns = (*self._layout.schema, *(c.field for c in self._layout.system))
        with translated(self._config.label):
            return answered(probe, self._ask(render_probe(probe, self._table, columns, SQLITE)), columns)

    def save_position(self, commit: Commit) -> None:
        with translated(self._config.label):
            save(self._connection, self._target, self._spec.pipeline, commit)

    def commit(self) -> None:
        with translated(self._config.label):
            self._run("COMMIT")
        hit(COMMITTED)

    def _run(self, statement: str) -> int:
        return self._connection.execute(statement).rowcount

    def _ask(self, query: str) -> tuple[Any, ...]:
        row: tuple[Any, ...] = self._connection.execute(query).fetchone()
        return row


@contextmanager
def publishing(config: SqliteConfig, spec: StageSpec, target: str) -> Iterator[FilePublication]:
    """A connection that sees target and stage; leaving without a commit undoes everything."""
    with connected(config, makes=True) as connection:
        with translated(config.label):
            connection.execute(f"ATTACH ? AS {ATTACHED}", (str(stage_path(config, target, spec.load_id)),))
        try:
            yield FilePublication(connection, config, spec, target)
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
