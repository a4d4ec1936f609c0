"""The final act: layout, program, position and ledger in one transaction, which readers see whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dpone.connector import Applied, Commit, CreateTarget, Fate, Layout, SchemaChange, Stage, StageSpec
from dpone.errors import StateError
from dpone.failpoints import hit
from dpone.ops import Append, Domain, Op, Program, Recreate, ReplaceAll, domain
from dpone.oracle import Counts
from dpone.probes import Measurement, Probe, Rows
from dpone.schema import Field
from dpone.sql.perform import carry_out, validate
from dpone.sql.probe import read_probe, render_probe
from dpone_postgres.connections import Connections
from dpone_postgres.dialect import POSTGRES
from dpone_postgres.faults import translated
from dpone_postgres.layouts import find_target, key_statement, remodel, statements
from dpone_postgres.session import Connection
from dpone_postgres.staging import PostgresStage, adoption
from dpone_postgres.state import books_of, enter_load, save, stored_position

_LOCK_TIMEOUT = 30.0
COMMITTED = "publish.committed"  # the server has committed, and we do not know it yet


class PostgresPublication:
    def __init__(self, connection: Connection, spec: StageSpec, label: str) -> None:
        self._connection = connection
        self._spec = spec
        self._label = label
        self._books = books_of(spec.target)
        self._table = POSTGRES.table(self._books.name)
        self._layout = spec.layout
        self._key_to_add: tuple[str, ...] = ()
        self._changes: tuple[SchemaChange, ...] = ()  # put off until the stage is known
        self._adopted: PostgresStage | None = None

    def ensure(self, layout: Layout, changes: Sequence[SchemaChange]) -> None:
        """The target has the layout, and nobody else writes it until the transaction ends."""
        self._layout = layout
        with translated("sink", self._label):
            if any(isinstance(c, CreateTarget) for c in changes):
                self._refuse_lost_target()
                if self._spec.fate is Fate.ADOPT:
                    self._changes = tuple(changes)  # perhaps the stage itself is the new table: `apply` knows
                    return
                self._key_to_add = layout.schema.key
            else:
                self._run(f"LOCK TABLE {self._table} IN SHARE ROW EXCLUSIVE MODE")
            for statement in statements(self._table, layout, changes):
                self._run(statement)
            if not changes and any(isinstance(op, Recreate) for op in self._spec.program):
                self._remodel(layout)

    def _refuse_lost_target(self) -> None:
        """Raises when the table is gone with rows that the state remembers: only a window of them would come again."""
        program = self._spec.program
        whole = any(isinstance(op, Recreate) or (isinstance(op, ReplaceAll) and not op.where) for op in program)
        if not whole and stored_position(self._connection, self._books, self._spec.pipeline) is not None:
            raise StateError(
                f"{self._books.target} is gone, but this pipeline has loaded rows into it",
                code="state.target_missing",
                hint="`dpone state reset` lets the next run load everything again",
            )

    def _remodel(self, layout: Layout) -> None:
        relation = find_target(self._connection, self._books.name)
        assert relation is not None  # locked above
        if relation.key != layout.schema.key:
            self._key_to_add = layout.schema.key
            if relation.key:
                name = self._connection.execute(
                    "SELECT conname FROM pg_catalog.pg_constraint WHERE conrelid = %s AND contype = 'p'",
                    (relation.oid,),
                ).fetchone()
                assert name is not None
                self._run(f"ALTER TABLE {self._table} DROP CONSTRAINT {POSTGRES.quote(name[0])}")
        for statement in remodel(self._table, relation, layout):
            self._run(statement)

    def apply(self, program: Program, stage: Stage) -> Applied:
        assert isinstance(stage, PostgresStage)  # it came from this sink
        load = stage.load(self._table)
        with translated("sink", self._label):
            stage.refuse_restarted()
            if self._changes:
                if stage.adoptable:
                    return self._adopt(stage)
                self._key_to_add = self._layout.schema.key
                for statement in statements(self._table, self._layout, self._changes):
                    self._run(statement)
            if load.partial or domain(program) != Domain():
                validate(program, load, POSTGRES, self._ask)
            counts = carry_out(program, load, POSTGRES, self._run, self._ask, self._after)
            if self._key_to_add:
                self._run(key_statement(self._table, self._key_to_add))
            if any(isinstance(op, Recreate) for op in program):
                self._require()
        return Applied(counts)

    def _adopt(self, stage: PostgresStage) -> Applied:
        """The stage is the target: nothing was there before, so nothing is guarded and nothing is carried over."""
        for statement in adoption(stage, self._books.name[1]):
            self._run(statement)
        stage.adopted(self._connection, self._table)
        self._adopted = stage
        hit("after_each_op")
        rows = self.measure((Rows(),))[Rows()]
        assert isinstance(rows, int)
        return Applied((Counts(inserted=rows),))

    def _after(self, op: Op) -> None:
        if isinstance(op, Append):
            enter_load(self._connection, self._books, op.load_id, self._spec.pipeline)
        hit("after_each_op")

    def _require(self) -> None:
        """After an exchange of all rows a column is NOT NULL where the layout says so; unchanged, no reader waits."""
        relation = find_target(self._connection, self._books.name)
        assert relation is not None  # it was just written
        required = {a.field.name for a in relation.attributes if not a.field.nullable}
        for field in self._fields():
            if not field.nullable and field.name not in required:
                self._run(f"ALTER TABLE {self._table} ALTER COLUMN {POSTGRES.quote(field.name)} SET NOT NULL")

    def measure(self, probe: Probe) -> Measurement:
        with translated("sink", self._label):
            found = read_probe(probe, self._ask(render_probe(probe, self._table, self._fields(), POSTGRES)))
        if self._adopted is not None:
            self._adopted.answered[probe] = found
        return found

    def save_position(self, commit: Commit) -> None:
        with translated("sink", self._label):
            save(self._connection, self._books, self._spec.pipeline, commit)

    def commit(self) -> None:
        with translated("sink", self._label):
            self._run("COMMIT")
            hit(COMMITTED)

    def _fields(self) -> list[Field]:
        return [*self._layout.schema, *(c.field for c in self._layout.system)]

    def _run(self, statement: str) -> int:
        return self._connection.execute(statement.encode()).rowcount

    def _ask(self, query: str) -> tuple[int, ...]:
        row = self._connection.execute(query.encode()).fetchone()
        assert row is not None
        return row


@contextmanager
def publishing(connections: Connections, spec: StageSpec) -> Iterator[PostgresPublication]:
    """A transaction; left without commit, everything is as it was."""
    seconds = float(spec.target.options.get("lock_timeout", _LOCK_TIMEOUT))
    with connections.session() as connection:
        connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        connection.execute(f"SET LOCAL lock_timeout = {int(seconds * 1000)}".encode())
        yield PostgresPublication(connection, spec, connections.label)
