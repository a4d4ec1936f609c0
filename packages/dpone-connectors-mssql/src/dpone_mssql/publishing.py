"""The final act: layout, program, position and ledger in one transaction, which readers see whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from dpone.books import exchanges_all, target_missing
from dpone.connector import Applied, Commit, CreateTarget, Fate, Layout, SchemaChange, Stage, StageSpec
from dpone.errors import DponeError
from dpone.failpoints import hit
from dpone.ops import Append, Domain, Op, Program, Recreate, domain
from dpone.oracle import Counts, guard_against
from dpone.probes import Measurement, Probe, Rows, Total
from dpone.reconcile import profile_of, refuse_difference
from dpone.sql.perform import carry_out, validate
from dpone.sql.probe import read_probe, render_probe
from dpone.sql.questions import guard_of
from dpone_mssql.adoption import Way, adoption_of, may_hold_snapshots
from dpone_mssql.dialect import MSSQL
from dpone_mssql.layouts import fields_of, find_target, remodel, statements
from dpone_mssql.session import Connection, Connections
from dpone_mssql.staging import MssqlStage, brought_as_text, limit_waiting, summable
from dpone_mssql.state import books_of, enter_load, save, stored_position

_PATIENCE = 1_000  # milliseconds
COMMITTED = "publish.committed"  # the server has committed, and we do not know it yet


class MssqlPublication:
    def __init__(self, connections: Connections, connection: Connection, spec: StageSpec) -> None:
        self._connections = connections
        self._connection = connection
        self._spec = spec
        self._books = books_of(spec.target)
        self._table = MSSQL.table(self._books.name)
        self._layout = spec.layout
        self._before: int | None = None
        self._is_untouched = True
        self._stage: MssqlStage | None = None
        self._taken: Program | None = None  # where the stage becomes the target at the commit
        self._saved: Commit | None = None
        self._identity: str | None = None
        self._remodels = False
        self._changes: tuple[SchemaChange, ...] = ()

    def ensure(self, layout: Layout, changes: Sequence[SchemaChange]) -> None:
        """The target has the layout, and nobody else writes it until the transaction ends.

        Where the stage may become the target, the change of layout waits: the stage has it already.
        """
        self._layout, self._changes = layout, tuple(changes)
        if self._creates:
            self._refuse_lost_target()
        else:
            self._connection.rows(f"SELECT TOP (0) 1 AS one FROM {self._table} WITH (TABLOCKX, HOLDLOCK)")  # noqa: S608 - quoted
        if self._spec.fate is not Fate.ADOPT:
            self._lay_out()

    @property
    def _creates(self) -> bool:
        return any(isinstance(c, CreateTarget) for c in self._changes)

    def _lay_out(self) -> None:
        for statement in statements(self._table, self._layout, self._changes):
            self._run(statement)
        self._remodels = not self._changes and any(isinstance(op, Recreate) for op in self._spec.program)
        relation = find_target(self._connection, self._books.name)
        self._identity = relation.identity if relation is not None else None

    def _refuse_lost_target(self) -> None:
        """Raises when the table is gone with rows that the state remembers: only a window of them would come again."""
        if exchanges_all(self._spec.program):
            return
        if stored_position(self._connection, self._books, self._spec.pipeline) is not None:
            raise target_missing(self._books.target)

    def apply(self, program: Program, stage: Stage) -> Applied:
        assert isinstance(stage, MssqlStage)  # it came from this sink
        self._is_untouched = False
        self._stage = stage
        if self._spec.fate is Fate.ADOPT:
            if self._may_take_over(program, stage):
                self._taken = program
                hit("after_each_op")
                return Applied((Counts(inserted=stage.received, deleted=self._stored()),), adopted=True)
            self._lay_out()
        return Applied(self._exchange(program, stage, self._after))

    def _exchange(self, program: Program, stage: MssqlStage, after_each: Callable[[Op], None]) -> tuple[Counts, ...]:
        """The program is carried out on the table that is there."""
        load = stage.load(self._table)
        if load.partial or domain(program) != Domain():
            validate(program, load, MSSQL, self._connection.one)
        numbered = self._identity is not None and self._identity in {*load.names, *load.stamps}
        if numbered:
            self._run(f"SET IDENTITY_INSERT {self._table} ON")
        counts = carry_out(program, load, MSSQL, self._run, self._connection.one, after_each)
        if numbered:
            self._run(f"SET IDENTITY_INSERT {self._table} OFF")
        return counts

    # ----------------------------------------------------------------------- takeover

    def _may_take_over(self, program: Program, stage: MssqlStage) -> bool:
        """The stage is all that the target will be, and at the commit it can become it as far as is known now.

        It waits until then, since readers wait for who renames or switches a table, and what is measured of the stage
        holds for the target.
        """
        if not stage.adoption.makes_target or not self._is_as_before(stage):
            return False
        before = self._stored()
        for op in program:
            if (guard := guard_of(op)) is not None:
                guard_against(guard, before=before, after=stage.received, removed=max(0, before - stage.received))
        return True

    def _stored(self) -> int:
        return 0 if self._creates else self._count()

    def _take_over(self, program: Program, stage: MssqlStage) -> None:
        """The stage is the target; or the target has its rows, where the server did not let it be."""
        for way in (stage.adoption.way, stage.adoption.otherwise):
            if way is not Way.COPY and self._is_as_before(stage) and self._takes_over(way, stage):
                return
        self._taken = None
        self._lay_out()
        self._exchange(program, stage, lambda _: None)
        probe = profile_of(self._layout, stage.spec.columns)
        refuse_difference(stage.measure(probe), self.measure(probe))

    def _takes_over(self, way: Way, stage: MssqlStage) -> bool:
        self._run(f"SET LOCK_TIMEOUT {_PATIENCE}")  # for readers of the target
        try:
            for statement in stage.takeover(way):
                self._run(statement)
        except DponeError:
            # the transaction ended with the refusal; whatever else is wrong, the other way will tell
            self._connection.undo()
            limit_waiting(self._connection, self._spec.target)
            self._connection.run("BEGIN TRANSACTION")
            self.ensure(self._layout, self._changes)
            if self._saved is not None:
                self.save_position(self._saved)
            return False
        return True

    def _is_as_before(self, stage: MssqlStage) -> bool:
        """What was decided when the stage was made still holds; the target is locked, so that it will go on to."""
        with self._connections.brief() as connection:
            relation = find_target(connection, self._books.name)
            now = adoption_of(connection, self._spec, relation, brought_as_text(self._spec))
            is_same = (now.way, now.otherwise) == (stage.adoption.way, stage.adoption.otherwise)
            return is_same and (relation is None or not may_hold_snapshots(connection))

    def _after(self, op: Op) -> None:
        if isinstance(op, Append):
            enter_load(self._connection, self._books, op.load_id, self._spec.pipeline)
        hit("after_each_op")

    def _run(self, statement: str) -> int:
        """The statement was carried out. The first that empties a table whose layout changes lets it change then."""
        done = self._connection.run(statement)
        if self._remodels and statement.startswith("DELETE "):
            self._remodels = False
            relation = find_target(self._connection, self._books.name)
            assert relation is not None  # it was just emptied
            for step in remodel(self._table, relation, self._layout):
                self._connection.run(step)
        return done

    def _count(self) -> int:
        """Rows of the target before the program, counted once: nobody else writes it."""
        if self._before is None:
            (self._before,) = self._connection.one(f"SELECT COUNT_BIG(*) FROM {self._table} AS t")  # noqa: S608 - quoted
        return int(self._before)

    def measure(self, probe: Probe) -> Measurement:
        if probe == (Rows(),) and self._is_untouched:
            return {Rows(): self._count()}
        asked = summable(probe, overflow=self._sums_overflow(probe))
        table = self._table if self._taken is None or self._stage is None else self._stage.raw  # of the very same rows
        query = render_probe(asked, table, fields_of(self._layout), MSSQL)
        return dict.fromkeys(probe) | dict(read_probe(asked, self._connection.one(query)))

    def _sums_overflow(self, probe: Probe) -> bool:
        """Asked of the stage, since the same failure here would end the transaction."""
        totals = tuple(m for m in probe if isinstance(m, Total))
        if self._stage is None or not totals:
            return False
        self._stage.measure(tuple(m for m in totals if m.column in self._stage.spec.columns))
        return self._stage.sums_overflow

    def save_position(self, commit: Commit) -> None:
        save(self._connection, self._books, self._spec.pipeline, commit)
        self._saved = commit

    def commit(self) -> None:
        if self._taken is not None and self._stage is not None:
            self._take_over(self._taken, self._stage)
        self._connection.run("COMMIT TRANSACTION")
        hit(COMMITTED)


@contextmanager
def publishing(connections: Connections, spec: StageSpec) -> Iterator[MssqlPublication]:
    """A transaction; left without commit, everything is as it was."""
    with connections.session() as connection:
        limit_waiting(connection, spec.target)
        connection.run("BEGIN TRANSACTION")
        yield MssqlPublication(connections, connection, spec)
