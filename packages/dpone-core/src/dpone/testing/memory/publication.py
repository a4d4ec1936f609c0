"""The final act of a store with transactions: a draft beside the target, one commit of rows, position and ledger."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from dpone.books import concurrent_writer, exchanges_all, is_own, refuse_conflict, target_missing
from dpone.connector import Applied, Commit, Layout, SchemaChange, Stage, StageSpec
from dpone.failpoints import hit
from dpone.names import print_name
from dpone.ops import Program, Recreate
from dpone.oracle import refuse_outside
from dpone.probes import Measurement, Probe
from dpone.testing.memory.cell import Cell, Name, Table
from dpone.testing.memory.draft import carried_out, ensured, refuse_null
from dpone.testing.memory.measures import measure
from dpone.testing.memory.staging import MemoryStage
from dpone.testing.memory.store import Store

COMMITTED = "memory.committed"  # between the commit and the answer to it


class TransactionPublication:
    """Nothing of it is in the store before `commit`."""

    def __init__(self, store: Store, spec: StageSpec) -> None:
        self._store = store
        self._spec = spec
        self._target: Name = spec.target.name
        self._begun = store.current(self._target)
        self._base = self._begun.table
        self._draft: Table | None = self._base
        self._layout = spec.layout
        self._saved: Commit | None = None

    @property
    def draft(self) -> Table:
        assert self._draft is not None  # ensure() comes first
        return self._draft

    def ensure(self, layout: Layout, changes: Sequence[SchemaChange]) -> None:
        stored = self._begun.stored.get(self._spec.pipeline)
        if self._base is None and stored and stored.position and not exchanges_all(self._spec.program):
            raise target_missing(print_name(self._target))
        self._layout = layout
        recreates = any(isinstance(op, Recreate) for op in self._spec.program)
        self._draft = ensured(self._base, layout, changes, recreates=recreates)

    def apply(self, program: Program, stage: Stage) -> Applied:
        assert isinstance(stage, MemoryStage)  # made by this sink
        refuse_outside(program, stage.sealed)
        counts = []
        for op in program:
            self._draft, done = carried_out(op, self.draft, stage, self._layout, self._begun.xid)
            counts.append(done)
            hit("after_each_op")
        refuse_null(self.draft)
        return Applied(tuple(counts))

    def measure(self, probe: Probe) -> Measurement:
        return measure(self.draft.content, probe)

    def save_position(self, commit: Commit) -> None:
        found = self._store.current(self._target).stored.get(self._spec.pipeline)
        if not is_own(found, commit):
            refuse_conflict(found, print_name(self._target), commit)
        self._saved = commit

    def commit(self) -> None:
        self._store.transact(self._target, self._committed)
        hit(COMMITTED)

    def _committed(self, cell: Cell) -> Cell:
        saved = self._saved
        if saved is not None:
            if saved.new.load_id in cell.loads:
                return cell  # the answer to this very commit was lost
            refuse_conflict(cell.stored.get(self._spec.pipeline), print_name(self._target), saved)
        if cell.table is not self._base:
            raise concurrent_writer(print_name(self._target))
        table = self.draft.committed(self._begun.xid, cell.xid)
        cell = replace(cell, xid=cell.xid + 1, table=table)
        return cell if saved is None else cell.with_commit(self._spec.pipeline, saved)
