"""The final act: layout, program, position and ledger in one transaction, which readers see whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import psycopg
from msgspec import Struct

from dpone.books import exchanges_all, target_missing
from dpone.connector import Applied, Commit, CreateTarget, Layout, SchemaChange, Stage, StageSpec
from dpone.errors import RemoteError
from dpone.failpoints import hit
from dpone.ops import Append, Domain, Op, Program, Recreate, Upsert, domain
from dpone.oracle import Counts, guard_against
from dpone.probes import Measurement, Probe, Rows
from dpone.reconcile import profile_of, refuse_difference
from dpone.schema import Field
from dpone.sql.perform import carry_out, validate
from dpone.sql.probe import read_probe, render_probe
from dpone.sql.questions import guard_of
from dpone_postgres.catalog import Relation
from dpone_postgres.connections import Connections
from dpone_postgres.dialect import POSTGRES
from dpone_postgres.faults import translated
from dpone_postgres.layouts import dialect_for, find_target, key_statement, remodel, rewrites, statements
from dpone_postgres.session import Connection
from dpone_postgres.staging import PostgresStage, adoption, limit_waiting
from dpone_postgres.state import books_of, enter_load, save, stored_position
from dpone_postgres.swapping import PATIENCE, Belongings, belongings, handing_over, obstacles, older_transactions
from dpone_postgres.typemap import ENGINE

COMMITTED = "publish.committed"  # the server has committed, and we do not know it yet


class Swap(Struct, frozen=True):
    """A swap that waits for the commit."""

    program: Program
    stage: PostgresStage
    relation: Relation
    belonging: Belongings
    kept: frozenset[str]  # columns that the target has already, of the same type
    built: Sequence[str]  # indexes of the stage, in the order of those that they replace

    def statements(self, layout: Layout) -> Iterator[str]:
        yield from handing_over(self.stage.raw, self.belonging, self.kept)
        yield POSTGRES.drop(POSTGRES.table(self.relation.name))
        same_key = self.relation.key == layout.schema.key
        yield from adoption(self.stage, self.relation.name[1], self.belonging.key_name if same_key else None)
        for name, (wanted, _, _) in zip(self.built, self.belonging.indexes, strict=True):
            index = POSTGRES.table((self.relation.name[0], name))
            yield f"ALTER INDEX {index} RENAME TO {POSTGRES.quote(wanted)}"


def _is_alike(relation: Relation, layout: Layout, name: str) -> bool:
    """The target has the column already, and of the type that it will have."""
    found = {a.field.name: a.field.native_of(ENGINE) for a in relation.attributes}
    return found.get(name) == POSTGRES.spell(layout.schema[name])


class PostgresPublication:
    def __init__(self, connection: Connection, spec: StageSpec, label: str, stage: PostgresStage | None) -> None:
        self._connection = connection
        self._becoming = stage if stage is not None and stage.becomes_target else None
        self._spec = spec
        self._label = label
        self._books = books_of(spec.target)
        self._table = POSTGRES.table(self._books.name)
        self._layout = spec.layout
        self._key_to_add: tuple[str, ...] = ()
        self._changes: tuple[SchemaChange, ...] = ()
        self._before: int | None = None  # rows of the target that are there, once counted
        self._measured: PostgresStage | None = None  # that is, or will be, the target
        self._swap: Swap | None = None
        self._is_untouched = True
        self.is_committed = False

    def ensure(self, layout: Layout, changes: Sequence[SchemaChange]) -> None:
        """The target has the layout, and nobody else writes it until the transaction ends.

        Where the stage may take its place, the change of layout waits: the stage has it already.
        """
        self._layout, self._changes = layout, tuple(changes)
        with translated("sink", self._label):
            if self._creates:
                self._refuse_lost_target()
            else:
                self._run(f"LOCK TABLE {self._table} IN SHARE ROW EXCLUSIVE MODE")
            if self._becoming is None:
                self._lay_out()

    @property
    def _creates(self) -> bool:
        return any(isinstance(c, CreateTarget) for c in self._changes)

    def _lay_out(self) -> None:
        if self._creates:
            self._key_to_add = self._layout.schema.key
        for statement in statements(self._table, self._layout, self._changes):
            self._run(statement)
        if not self._changes and any(isinstance(op, Recreate) for op in self._spec.program):
            self._remodel(self._layout)

    def _refuse_lost_target(self) -> None:
        """Raises when the table is gone with rows that the state remembers: only a window of them would come again."""
        if exchanges_all(self._spec.program):
            return
        if stored_position(self._connection, self._books, self._spec.pipeline) is not None:
            raise target_missing(self._books.target)

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
        if rewrites(relation, layout) and older_transactions(self._connection, relation.oid):
            raise RemoteError(
                f"the type of a column of {self._books.target} changes, for which the server rewrites the table, "
                "and readers with older snapshots would find it empty",
                code="sink.older_readers",
                hint="run again when the transactions that run now have ended",
                retryable=True,
            )
        for statement in remodel(self._table, relation, layout):
            self._run(statement)

    def apply(self, program: Program, stage: Stage) -> Applied:
        assert isinstance(stage, PostgresStage)  # it came from this sink
        self._is_untouched = False
        with translated("sink", self._label):
            stage.refuse_restarted()
            if self._becoming is stage and stage.adoptable:
                if self._creates:
                    return self._adopt(stage)
                if self._may_swap(program, stage):
                    hit("after_each_op")
                    return Applied((Counts(inserted=stage.received_rows, deleted=self._count()),), adopted=True)
            return Applied(self._exchange(program, stage, self._after))

    def _exchange(self, program: Program, stage: PostgresStage, after_each: Callable[[Op], None]) -> tuple[Counts, ...]:
        """The program is carried out on the table that is there."""
        load = stage.load(self._table)
        if self._becoming is not None:
            self._lay_out()
        if load.partial or domain(program) != Domain():
            validate(program, load, POSTGRES, self._ask)
        dialect = POSTGRES
        if any(isinstance(op, Upsert) for op in program):
            relation = find_target(self._connection, self._books.name)
            dialect = dialect_for(self._connection, relation, self._layout, load.key)
        counts = carry_out(program, load, dialect, self._run, self._ask, after_each)
        if self._key_to_add:
            self._run(key_statement(self._table, self._key_to_add))
        if any(isinstance(op, Recreate) for op in program):
            self._require()
        return counts

    def _adopt(self, stage: PostgresStage) -> Applied:
        """The stage is the target: nothing was there before, so nothing is guarded and nothing is carried over."""
        for statement in adoption(stage, self._books.name[1]):
            self._run(statement)
        self._measured = stage
        stage.adopted(self._connection, self._table)
        hit("after_each_op")
        return Applied((Counts(inserted=stage.received_rows),), adopted=True)

    # -------------------------------------------------------------------------- swap

    def _may_swap(self, program: Program, stage: PostgresStage) -> bool:
        """The stage is all that the target will be, and at the commit it can take its place as far as is known now.

        It waits until then, since a swap locks readers out, and what a scan says of the stage holds for the target.
        """
        relation = find_target(self._connection, self._books.name)
        assert relation is not None  # locked by `ensure`
        if not stage.is_private or obstacles(self._connection, relation):
            return False
        before, after = self._count(), stage.received_rows
        for op in program:
            if (guard := guard_of(op)) is not None:
                guard_against(guard, before=before, after=after, removed=max(0, before - after))
        belonging = belongings(self._connection, relation)
        kept = frozenset(name for name in stage.spec.columns if _is_alike(relation, self._layout, name))
        if not belonging.indexed <= kept or older_transactions(self._connection, relation.oid):
            return False
        self._measured = stage
        self._swap = Swap(program, stage, relation, belonging, kept, stage.build(belonging.indexes))
        return True

    def _carry_out_swap(self, swap: Swap) -> None:
        """The stage stands where the target stood, or the target has its rows."""
        self._run("SAVEPOINT dpone_swap")
        if self._exclude(swap.relation.oid):
            for statement in swap.statements(self._layout):
                self._run(statement)
            return
        self._run("ROLLBACK TO SAVEPOINT dpone_swap")
        self._measured = None
        self._exchange(swap.program, swap.stage, lambda _: None)
        probe = profile_of(self._layout, swap.stage.spec.columns)
        refuse_difference(swap.stage.measure(probe), self.measure(probe))

    def _count(self) -> int:
        """Rows of the target before the program, counted once: nobody else writes it."""
        if self._before is None:
            self._before = self._ask(f"SELECT COUNT(*) FROM {self._table}")[0]  # noqa: S608 - quoted
        return self._before

    def _exclude(self, oid: int) -> bool:
        """Nobody reads the target now, and no snapshot is in use in which its old rows could be asked for.

        A transaction that begins between this and the commit, and reads the target after it, sees the new rows.
        """
        if older_transactions(self._connection, oid):
            return False
        timeout = self._ask("SELECT pg_catalog.current_setting('lock_timeout')")[0]
        try:
            self._run(f"SET LOCAL lock_timeout = {int(PATIENCE * 1000)}")
            self._run(f"LOCK TABLE {self._table} IN ACCESS EXCLUSIVE MODE")
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            return False
        self._run(f"SET LOCAL lock_timeout = {POSTGRES.text(str(timeout))}")
        return not older_transactions(self._connection, oid)

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
        if self._measured is not None:
            return self._measured.measure(probe)  # of the very same rows
        if probe == (Rows(),) and self._is_untouched:
            return {Rows(): self._count()}
        with translated("sink", self._label):
            return read_probe(probe, self._ask(render_probe(probe, self._table, self._fields(), POSTGRES)))

    def save_position(self, commit: Commit) -> None:
        with translated("sink", self._label):
            save(self._connection, self._books, self._spec.pipeline, commit)

    def commit(self) -> None:
        with translated("sink", self._label):
            if self._swap is not None:
                self._carry_out_swap(self._swap)
            if self._becoming is not None and self._becoming.is_private and self._measured is None:
                self._run(POSTGRES.drop(self._becoming.raw))  # its rows were copied, and no ledger names it
            self._run("COMMIT")
            self.is_committed = True
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
def publishing(connections: Connections, spec: StageSpec, stage: PostgresStage | None) -> Iterator[PostgresPublication]:
    """A transaction; left without commit, everything is as it was. It is the stage's own where that has one open."""
    with ExitStack() as stack:
        if stage is not None and stage.is_private:
            connection = stage.connection
            connection.execute("SAVEPOINT dpone_publication")
        else:
            connection = stack.enter_context(connections.session())
            connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        limit_waiting(connection, spec.target)
        publication = PostgresPublication(connection, spec, connections.label, stage)
        try:
            yield publication
        finally:
            if stage is not None and stage.is_private and not publication.is_committed and not connection.closed:
                connection.execute("ROLLBACK TO SAVEPOINT dpone_publication")
