"""The final act: what readers see changes once, together with the position and the ledger.

Rows of a table that is there are changed in one transaction of the lease's session, so that the rows can be counted and
compared before the commit, which one script could not wait for. In it are the program, the position, the ledger and a
change of the lease's row: a run whose lease was taken over conflicts there. BigQuery allows no DDL in a transaction, so
columns are added, widened and relaxed before it: that changes no value, may be repeated, and keeps grants and policies,
which a new table would lose.

A target that is not there yet, or that a full refresh gives other columns, is made as a shadow beside it. One
statement shows it. It is not part of any transaction, so the shadow carries a label, the marker, that is copied with
its rows, and what the marker means is written down before: whoever finds the marker at the target enters the load.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from msgspec.structs import replace

from dpone.books import concurrent_writer, exchanges_all, refuse_conflict, target_missing
from dpone.connector import Applied, Commit, CreateTarget, Layout, SchemaChange, Stage, StageSpec
from dpone.errors import DponeError
from dpone.failpoints import hit
from dpone.ops import Append, Op, Program, Recreate, domain
from dpone.oracle import Counts, guard_against
from dpone.probes import Measurement, Probe
from dpone.sql.load import SqlLoad
from dpone.sql.operations import fill
from dpone.sql.perform import carry_out, validate
from dpone.sql.probe import read_probe, render_probe
from dpone.sql.questions import guard_of, guard_query
from dpone_bigquery.config import BigQueryConfig
from dpone_bigquery.dialect import BIGQUERY
from dpone_bigquery.faults import leased
from dpone_bigquery.layouts import alterations, fields_of, find_target, is_of_layout, like, new_table, showing
from dpone_bigquery.lease import Held
from dpone_bigquery.naming import Name, new_mark
from dpone_bigquery.recovering import promise
from dpone_bigquery.staging import BigQueryStage
from dpone_bigquery.state import Books, Entry, Known, read_known, record_id, script
from dpone_bigquery.warehouse import Answer, Warehouse, connected, job_id

if TYPE_CHECKING:
    from google.cloud import bigquery

BEGIN, PROMISE, SHOW, RECORD, COMMIT = STEPS = (
    "publish.begin",  # a transaction is open
    "publish.promise",  # what the marker means is written down
    "publish.show",  # readers see the new table
    "publish.record",  # the state tables say so too
    "publish.commit",  # the transaction is committed, and we do not know it yet
)


class BigQueryPublication:
    def __init__(self, warehouse: Warehouse, spec: StageSpec, target: Name, held: Held) -> None:
        self._warehouse = warehouse
        self._spec = spec
        self._target = target
        self._held = held
        self._books = Books(target)
        self._layout = spec.layout
        self._mark = new_mark()
        self._jobs = 0
        self._base: bigquery.Table | None = None
        self._shadow: Name | None = None  # when there is to be a new table
        self._current = target  # whose rows are those of the target now
        self._is_open = False
        self._appended: list[str] = []
        self._entry: Entry | None = None
        self._filter_lifted = False

    # ---------------------------------------------------------------------- layout

    def ensure(self, layout: Layout, changes: Sequence[SchemaChange]) -> None:
        """The target has the layout, or there is a shadow that has it."""
        self._layout = layout
        self._base = find_target(self._warehouse, self._target)
        if self._base is None:
            self._refuse_lost(changes)
            shadow = self._target.beside("shadow", self._mark)
            self._warehouse.make(new_table(shadow, layout, self._spec.target.options, self._mark))
            self._shadow = self._current = shadow
        elif self._recreates and not is_of_layout(self._base, layout):
            self._shadow = self._target.beside("shadow", self._mark)
            self._warehouse.make(like(self._shadow, layout, self._base, self._mark))
        else:
            for statement in alterations(self._target.sql, changes):
                self._run(statement)
            self._lift_filter(self._base)
            self._begin()

    @property
    def _recreates(self) -> bool:
        return any(isinstance(op, Recreate) for op in self._spec.program)

    def _refuse_lost(self, changes: Sequence[SchemaChange]) -> None:
        """Raises when the table is gone with rows that the state remembers: only a window of them would come again."""
        if not any(isinstance(c, CreateTarget) for c in changes):
            raise concurrent_writer(str(self._target))
        if exchanges_all(self._spec.program):
            return
        if (known := self._known()) is not None and known.stored is not None:
            raise target_missing(str(self._target))

    def _lift_filter(self, base: bigquery.Table) -> None:
        """Our statements read all partitions; for the time of the load the table does not ask for a filter."""
        if base.require_partition_filter:
            self._require_filter(required=False)
            self._filter_lifted = True

    def _require_filter(self, *, required: bool) -> None:
        self._run(f"ALTER TABLE {self._target.sql} SET OPTIONS (require_partition_filter = {str(required).upper()})")

    def _begin(self) -> None:
        self._held.in_transaction.acquire()
        self._is_open = True
        self._run("BEGIN TRANSACTION")
        hit(BEGIN)

    # --------------------------------------------------------------------- program

    def apply(self, program: Program, stage: Stage) -> Applied:
        assert isinstance(stage, BigQueryStage)  # it came from this sink
        load = stage.load(self._current.sql)
        if load.partial or domain(program) != domain(()) or load.key:
            validate(program, load, BIGQUERY, self._ask)
        counts: tuple[Counts, ...] = ()
        if self._shadow is not None and self._current != self._shadow:
            first, *rest = program
            assert isinstance(first, Recreate)  # only it makes a target anew
            counts = (self._recreate(first, load, self._shadow),)
            self._current, program = self._shadow, tuple(rest)
            load = replace(load, target=self._current.sql)
        return Applied((*counts, *carry_out(program, load, BIGQUERY, self._do, self._ask, self._after)))

    def _recreate(self, op: Recreate, load: SqlLoad, shadow: Name) -> Counts:
        """The empty shadow takes the staged rows, unless the guard of what they replace objects."""
        guard, query = guard_of(op), guard_query(op, load, BIGQUERY)
        assert guard is not None  # both of a Recreate
        assert query is not None
        before, after, removed = map(int, self._ask(query))
        guard_against(guard, before=before, after=after, removed=removed)
        inserted = self._do(fill(replace(load, target=shadow.sql), BIGQUERY).text)
        self._after(op)
        return Counts(inserted=inserted, deleted=before)

    def _after(self, op: Op) -> None:
        if isinstance(op, Append):
            self._appended.append(op.load_id)
            if self._is_open:
                row = self._books.load_row(self._spec.pipeline, op.load_id, "")
                self._run(row)
        hit("after_each_op")

    def measure(self, probe: Probe) -> Measurement:
        query = render_probe(probe, self._current.sql, fields_of(self._layout), BIGQUERY)
        return read_probe(probe, self._ask(query))

    # ---------------------------------------------------------------------- commit

    def save_position(self, commit: Commit) -> None:
        """Position, ledger and lease change in the transaction, or are promised to whoever finds the marker."""
        known = self._known()
        refuse_conflict(known.stored if known else None, str(self._target), commit)
        appended = tuple(load_id for load_id in self._appended if not self._is_open)
        self._entry = Entry(self._spec.pipeline, (known.seq if known else 0) + 1, commit, appended)
        if not self._is_open:
            self._run(promise(self._books, self._entry, self._mark))
            hit(PROMISE)
            return
        for statement in self._books.entries(self._entry):
            self._run(statement)
        if self._run(self._held.renewal()).affected != 1:
            raise leased(str(self._target))

    def _known(self) -> Known | None:
        return read_known(self._run(self._books.known(self._spec.pipeline))).get(self._spec.pipeline)

    def commit(self) -> None:
        if self._shadow is not None:
            self._show(self._shadow)
            return
        self._run("COMMIT TRANSACTION")
        self._close()
        hit(COMMIT)

    def _show(self, shadow: Name) -> None:
        """Readers see the shadow's rows as the target; then the state tables say what they are."""
        self._refuse_other_writer()
        id_ = job_id("show", self._spec.load_id, self._held.token[:12], self._mark)
        self._held.renew(self._warehouse, publishing=id_)
        statement = showing(self._target, shadow, replaces=self._base is not None)
        self._warehouse.run(statement, self._target, id_=id_)
        hit(SHOW)
        entry = self._entry
        if entry is not None:
            id_ = record_id(self._books, entry.commit.new.load_id, entry.commit.new.generation)
            self._warehouse.run(script(self._books.entries(entry)), self._target, id_=id_)
        hit(RECORD)
        with suppress(DponeError):  # it says no more than that a job was on its way, which is done
            self._held.renew(self._warehouse, publishing="")

    def _refuse_other_writer(self) -> None:
        now = find_target(self._warehouse, self._target)
        if (now.etag if now else None) != (self._base.etag if self._base else None):
            raise concurrent_writer(str(self._target))

    def _close(self) -> None:
        self._is_open = False
        self._held.in_transaction.release()

    def leave(self) -> None:
        """What was not committed is undone, and nothing of the publication is left."""
        if self._is_open:
            try:
                with suppress(
                    DponeError
                ):  # a transaction that failed is over, and one that is not ends with its session
                    self._run("ROLLBACK TRANSACTION")
            finally:
                self._close()
        if self._shadow is not None:
            self._warehouse.drop(self._shadow)
        if self._filter_lifted:
            self._require_filter(required=True)

    # ------------------------------------------------------------------------ jobs

    def _run(self, statement: str) -> Answer:
        """A job of this load, in the transaction while one is open."""
        self._jobs += 1
        id_ = job_id(self._spec.load_id, self._mark, self._jobs)
        session = self._held.session if self._is_open else None
        return self._warehouse.run(statement, self._target, id_=id_, session=session)

    def _do(self, statement: str) -> int:
        return self._run(statement).affected

    def _ask(self, query: str) -> tuple[int, ...]:
        """The row of a query; of a MERGE, what it inserted and updated."""
        answer = self._run(query)
        return answer.rows[0] if answer.rows else (answer.inserted, answer.updated)


@contextmanager
def publishing(config: BigQueryConfig, spec: StageSpec, held: Held | None) -> Iterator[BigQueryPublication]:
    """Left without commit, the rows of the target are as they were."""
    with connected(config) as warehouse:
        target = warehouse.full_name(spec.target.name)
        if held is None:
            raise leased(str(target))
        publication = BigQueryPublication(warehouse, spec, target, held)
        try:
            yield publication
        except BaseException:
            with suppress(DponeError):  # the first error is the one to tell
                publication.leave()
            raise
        publication.leave()
