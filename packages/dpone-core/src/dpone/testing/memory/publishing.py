"""The final act of a store without transactions: a shadow where no reader looks, and one exchange that carries its
own marker.

The marker on the target is the truth, the state tables are a cache of it. Recovery has two cases: the marker is ahead
of the state, which is then mended; or a shadow is left, which is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

from msgspec.structs import replace

from dpone.books import concurrent_writer, is_own, marker_missing, refuse_conflict
from dpone.connector import Applied, Commit, Layout, SchemaChange, Stage, StageSpec
from dpone.failpoints import hit
from dpone.names import print_name
from dpone.ops import Program, Recreate
from dpone.oracle import refuse_outside
from dpone.probes import Measurement, Probe
from dpone.testing.memory.cell import Cell, Leftover, Marker, Name, Table
from dpone.testing.memory.draft import carried_out, ensured, refuse_null
from dpone.testing.memory.measures import measure
from dpone.testing.memory.staging import MemoryStage
from dpone.testing.memory.store import Store

CLONE, BUILD, MARK, EXCHANGE, RECORD, DROP = STEPS = (
    "publish.clone",  # the shadow has the target's rows in the new layout
    "publish.build",  # the shadow has the rows after the program
    "publish.mark",  # the shadow carries the marker
    "publish.exchange",  # readers see the new rows
    "publish.record",  # the state tables say so too
    "publish.drop",  # the old rows are gone
)


class ShadowPublication:
    """Readers see nothing of it before the exchange, and all of it after."""

    def __init__(self, store: Store, spec: StageSpec) -> None:
        self._store = store
        self._spec = spec
        self._target: Name = spec.target.name
        self._begun = store.current(self._target)
        self._base = self._begun.table
        self._shadow = f"shadow-{uuid4().hex}"
        self._layout = spec.layout
        self._saved: Commit | None = None

    def ensure(self, layout: Layout, changes: Sequence[SchemaChange]) -> None:
        self._layout = layout
        recreates = any(isinstance(op, Recreate) for op in self._spec.program)
        clone = ensured(self._base, layout, changes, recreates=recreates)
        entry = Leftover(self._shadow, "shadow", datetime.now(UTC))
        self._store.transact(self._target, lambda cell: cell.noting(entry))
        self._put(clone)
        hit(CLONE)

    def apply(self, program: Program, stage: Stage) -> Applied:
        assert isinstance(stage, MemoryStage)  # made by this sink
        refuse_outside(program, stage.sealed)
        counts = []
        for op in program:
            table, done = carried_out(op, self._table(), stage, self._layout, self._begun.xid)
            self._put(table)
            counts.append(done)
            hit("after_each_op")
        refuse_null(self._table())
        hit(BUILD)
        return Applied(tuple(counts))

    def measure(self, probe: Probe) -> Measurement:
        return measure(self._table().content, probe)

    def save_position(self, commit: Commit) -> None:
        """The shadow carries the marker; whether it may is asked again by the exchange."""
        self._saved = commit
        self._refuse_conflict(self._store.current(self._target))
        before = {} if self._base is None or self._base.marker is None else self._base.marker.stored
        stored = {**before, self._spec.pipeline: commit.new}
        self._put(replace(self._table(), marker=Marker(stored, self._spec.pipeline, commit.run_id, commit.chunk)))
        hit(MARK)

    def commit(self) -> None:
        self._store.transact(self._target, self._exchanged)
        hit(EXCHANGE)
        self._store.transact(self._target, self._recorded)
        hit(RECORD)
        self.drop()
        hit(DROP)

    def drop(self) -> None:
        """The shadow, or what stands there after the exchange, is gone."""
        self._store.transact(self._target, lambda cell: cell.without(self._shadow))

    def _exchanged(self, cell: Cell) -> Cell:
        if self._saved is not None and self._saved.new.load_id in cell.loads:
            return cell  # the answer to this very exchange was lost
        self._refuse_conflict(cell)
        if cell.table is not self._base:
            raise concurrent_writer(print_name(self._target))
        table = cell.shadows[self._shadow].committed(self._begun.xid, cell.xid)
        return replace(cell, xid=cell.xid + 1, table=table).with_shadow(self._shadow, self._base)

    def _recorded(self, cell: Cell) -> Cell:
        saved = self._saved
        if saved is None or saved.new.load_id in cell.loads:
            return cell
        return cell.with_commit(self._spec.pipeline, saved)

    def _refuse_conflict(self, cell: Cell) -> None:
        if self._saved is not None:
            marker = None if cell.table is None else cell.table.marker
            found = marker.stored.get(self._spec.pipeline) if marker else None
            if not is_own(found, self._saved):
                refuse_conflict(found, print_name(self._target), self._saved)

    def _table(self) -> Table:
        return self._store.current(self._target).shadows[self._shadow]

    def _put(self, table: Table) -> None:
        self._store.transact(self._target, lambda cell: cell.with_shadow(self._shadow, table))


def recovered(cell: Cell) -> Cell:
    """The cell as a publish that was cut off must leave it: state after the marker, no shadow."""
    marker = None if cell.table is None else cell.table.marker
    if marker is None and cell.stored:
        raise marker_missing(print_name(cell.name))
    if marker is not None:
        if marker.load_id not in cell.loads:
            commit = Commit(None, marker.stored[marker.pipeline], marker.run_id, marker.chunk)
            cell = cell.with_commit(marker.pipeline, commit)
        cell = replace(cell, stored=dict(marker.stored))
    for entry in cell.ledger:
        if entry.kind == "shadow":
            cell = cell.without(entry.id)
    return cell
