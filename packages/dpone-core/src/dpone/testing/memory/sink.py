"""The sink of a store, with transactions or by publishing: leases, stages and their sweep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from dpone.books import HeldLease, never_loaded
from dpone.connector import (
    Dataset,
    Fate,
    Finding,
    Json,
    KeptStage,
    Layout,
    Position,
    Publication,
    SchemaChange,
    Stage,
    Staged,
    StageRef,
    StageSpec,
    Stored,
    Target,
)
from dpone.errors import StateError
from dpone.names import print_name
from dpone.plan import print_op
from dpone.segments import Extent
from dpone.strategies import Load
from dpone.testing.memory.cell import Cell, Leftover, Name, refuse_long_name
from dpone.testing.memory.config import MemoryConfig
from dpone.testing.memory.publication import TransactionPublication
from dpone.testing.memory.publishing import ShadowPublication, recovered
from dpone.testing.memory.segments import MemorySegments, segmented
from dpone.testing.memory.source import diagnose, discover
from dpone.testing.memory.staging import MemoryStage, MemoryWriter, Parts, new_ref
from dpone.testing.memory.store import Store, open_store


@contextmanager
def connect(config: MemoryConfig) -> Iterator[MemorySink]:
    yield MemorySink(open_store(config))


@contextmanager
def connect_publishing(config: MemoryConfig) -> Iterator[PublishingSink]:
    yield PublishingSink(open_store(config))


class MemorySink:
    """A connected sink with transactions."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def inspect(self, target: Target) -> Layout | None:
        refuse_long_name(target.name)
        table = self.store.current(target.name).table
        return None if table is None else table.layout

    @contextmanager
    def lease(self, target: Target, pipeline: str) -> Iterator[HeldLease]:
        refuse_long_name(target.name)
        with self.store.lease(target.name):
            cell = self.recover(target.name)
            for entry in cell.ledger:
                if entry.kind == "stage" and (entry.kept is None or entry.kept.load_id in cell.loads):
                    self._remove(target.name, entry.id)  # of a process that is gone: whoever has the lease is alone
            yield HeldLease(
                cell.stored,
                pipeline,
                lambda load_id: load_id in self.store.current(target.name).loads,
                lambda plan: self.store.current(target.name).chunks.get(plan, frozenset()),
            )

    def recover(self, target: Name) -> Cell:
        """The cell as a lease finds it; a transaction that was cut off left nothing behind."""
        return self.store.current(target)

    @contextmanager
    def stage(self, spec: StageSpec) -> Iterator[MemoryStage]:
        refuse_long_name((*spec.target.name, *spec.layout.schema.names))
        stage = MemoryStage(self.store, spec, new_ref(spec))
        if spec.fate is not Fate.DIRECT:
            entry = Leftover(stage.ref.id, "stage", datetime.now(UTC))
            self.store.transact(spec.target.name, lambda cell: cell.noting(entry))
        try:
            yield stage
        finally:
            self._end(stage)

    def _end(self, stage: MemoryStage) -> None:
        """The stage is gone, unless it is kept for a load that is not committed."""
        cell = self.store.current(stage.spec.target.name)
        if stage.is_kept and stage.spec.load_id not in cell.loads:
            return
        stage.parts.drop()
        if stage.spec.fate is not Fate.DIRECT:
            self.store.transact(cell.name, lambda now: now.without(stage.ref.id))

    def keep_stage(self, stage: Stage, note: Mapping[str, Json]) -> bool:
        assert isinstance(stage, MemoryStage)  # made by this sink
        if stage.spec.fate is Fate.DIRECT:
            return False  # it lives in its transaction alone
        kept = KeptStage(stage.spec.load_id, stage.spec.pipeline, note)
        self.store.transact(stage.spec.target.name, lambda cell: cell.keeping(stage.ref.id, kept))
        stage.is_kept = True
        return True

    def kept_stages(self, target: Target) -> Sequence[KeptStage]:
        return [entry.kept for entry in self.store.current(target.name).ledger if entry.kept is not None]

    @contextmanager
    def adopt_stage(self, spec: StageSpec) -> Iterator[tuple[MemoryStage, Staged]]:
        stage = MemoryStage(self.store, spec, replace(new_ref(spec), id=self._kept(spec.target, spec.load_id)))
        stage.is_kept = True
        try:
            yield stage, stage.seal()
        finally:
            self._end(stage)

    def drop_stage(self, target: Target, load_id: str) -> None:
        self._remove(target.name, self._kept(target, load_id))

    def _kept(self, target: Target, load_id: str) -> str:
        """The stage that is kept of this load."""
        ledger = self.store.current(target.name).ledger
        return next(e.id for e in ledger if e.kept is not None and e.kept.load_id == load_id)

    def records(self, target: Target, run_id: str | None = None) -> Sequence[Mapping[str, Json]]:
        return [r for r in self.store.current(target.name).records if run_id in {None, r["run_id"]}]

    @contextmanager
    def writer(self, stage: StageRef, split: str) -> Iterator[MemoryWriter]:
        writer = MemoryWriter(stage)
        yield writer
        Parts(self.store, stage.id).put(split, writer.rows)

    @contextmanager
    def publication(self, spec: StageSpec, _load: Load) -> Iterator[Publication]:
        yield TransactionPublication(self.store, spec)

    def sweep(self, older_than: timedelta) -> Sequence[str]:
        limit = datetime.now(UTC) - older_than
        removed: list[str] = []
        for name in self.store.names():
            old = [entry.id for entry in self.store.current(name).ledger if entry.at <= limit]
            # a lease that cannot be had is that of a running load, whose stage this is
            with suppress(StateError), self.store.lease(name):
                for leftover in old:
                    self._remove(name, leftover)
                    removed.append(leftover)
        return removed

    def _remove(self, name: Name, leftover: str) -> None:
        Parts(self.store, leftover).drop()
        self.store.transact(name, lambda cell: cell.without(leftover))

    def explain(self, spec: StageSpec, changes: Sequence[SchemaChange]) -> Sequence[str]:
        name = print_name(spec.target.name)
        return [
            *(f"{name}: {change}" for change in changes),
            *(f"{name}: {print_op(op)}" for op in spec.program),
        ]

    def discover(self, pattern: tuple[str, ...]) -> Sequence[Dataset]:
        return discover(self.store, pattern)

    def segments(self, extent: Extent) -> AbstractContextManager[MemorySegments]:
        return segmented(self.store, extent)

    def diagnose(self) -> Sequence[Finding]:
        return diagnose(self.store)

    def set_position(self, target: Target, pipeline: str, position: Position | None) -> None:
        with self.store.lease(target.name):
            self.store.transact(target.name, lambda cell: _positioned(cell, pipeline, position))


class PublishingSink(MemorySink):
    """A connected sink without transactions: its marker is the truth, its state a cache."""

    def recover(self, target: Name) -> Cell:
        return self.store.transact(target, recovered)

    @contextmanager
    def publication(self, spec: StageSpec, _load: Load) -> Iterator[Publication]:
        publication = ShadowPublication(self.store, spec)
        try:
            yield publication
        finally:
            publication.drop()

    def set_position(self, target: Target, pipeline: str, position: Position | None) -> None:
        with self.store.lease(target.name):
            self.store.transact(target.name, lambda cell: _marked(cell, pipeline, position))


def _positioned(cell: Cell, pipeline: str, position: Position | None) -> Cell:
    """The cell whose state holds this position; without one, what it held of the pipeline is forgotten."""
    rest = {p: s for p, s in cell.stored.items() if p != pipeline}
    before = cell.stored.get(pipeline)
    if position is None:
        return replace(cell, stored=rest)
    new = Stored(position, (before.generation if before else 0) + 1, before.load_id if before else "")
    return replace(cell, stored={**rest, pipeline: new})


def _marked(cell: Cell, pipeline: str, position: Position | None) -> Cell:
    """The same by the marker, which is the truth."""
    cell = _positioned(cell, pipeline, position)
    table = cell.table
    if table is not None and table.marker is not None:
        stored = cell.stored
        marker = replace(table.marker, stored=stored, pipeline=min(stored)) if stored else None
        return replace(cell, table=replace(table, marker=marker))
    if position is None:
        return cell
    raise never_loaded(print_name(cell.name), pipeline)
