"""The sink of a store, with transactions or by publishing: leases, stages and their sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from dpone.connector import (
    Dataset,
    Fate,
    Finding,
    Layout,
    Position,
    Publication,
    SchemaChange,
    StageRef,
    StageSpec,
    Stored,
    Target,
)
from dpone.errors import StateError
from dpone.names import print_name
from dpone.plan import print_op
from dpone.strategies import Load
from dpone.testing.memory.config import MemoryConfig
from dpone.testing.memory.publication import TransactionPublication
from dpone.testing.memory.publishing import ShadowPublication, recovered, without_shadow
from dpone.testing.memory.source import diagnose, discover
from dpone.testing.memory.staging import MemoryStage, MemoryWriter, Parts, new_ref
from dpone.testing.memory.store import Store, open_store
from dpone.testing.memory.world import Leftover, Name, World, refuse_long_name


@contextmanager
def connect(config: MemoryConfig) -> Iterator[MemorySink]:
    yield MemorySink(open_store(config))


@contextmanager
def connect_publishing(config: MemoryConfig) -> Iterator[PublishingSink]:
    yield PublishingSink(open_store(config))


@dataclass(frozen=True, slots=True)
class MemoryLease:
    """What the state tables held when the lease began, and what the ledger says now."""

    stored: Stored | None
    others: Sequence[str]
    ledger: Callable[[], tuple[frozenset[str], Mapping[str, frozenset[str]]]]

    def committed(self, load_id: str) -> bool:
        return load_id in self.ledger()[0]

    def chunks(self, plan: str) -> frozenset[str]:
        return self.ledger()[1].get(plan, frozenset())


class MemorySink:
    """A connected sink with transactions."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def inspect(self, target: Target) -> Layout | None:
        refuse_long_name(target.name)
        table = self.store.current().tables.get(target.name)
        return None if table is None else table.layout

    @contextmanager
    def lease(self, target: Target, pipeline: str) -> Iterator[MemoryLease]:
        refuse_long_name(target.name)
        with self.store.lease(target.name):
            world = self.recover(target.name)
            stored = world.stored.get((target.name, pipeline))
            yield MemoryLease(stored, world.others(target.name, pipeline), lambda: self._ledger(target.name))

    def recover(self, _target: Name) -> World:
        """The world as a lease finds it; a transaction that was cut off left nothing behind."""
        return self.store.current()

    def _ledger(self, target: Name) -> tuple[frozenset[str], Mapping[str, frozenset[str]]]:
        world = self.store.current()
        return world.loads.get(target, frozenset()), {
            plan: ids for (t, plan), ids in world.chunks.items() if t == target
        }

    @contextmanager
    def stage(self, spec: StageSpec) -> Iterator[MemoryStage]:
        refuse_long_name((*spec.target.name, *spec.layout.schema.names))
        stage = MemoryStage(self.store, spec, new_ref(spec))
        if spec.fate is not Fate.DIRECT:
            entry = Leftover(stage.ref.id, spec.target.name, "stage", datetime.now(UTC))
            self.store.transact(lambda w: replace(w, ledger=(*w.ledger, entry)))
        try:
            yield stage
        finally:
            stage.parts.drop()
            if spec.fate is not Fate.DIRECT:
                self.store.transact(lambda w: without_entry(w, stage.ref.id))

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
        for entry in self.store.current().ledger:
            if entry.at > limit:
                continue
            try:
                with self.store.lease(entry.target):
                    self._remove(entry.id)
                    removed.append(entry.id)
            except StateError:
                continue  # a load is running there
        return removed

    def _remove(self, leftover: str) -> None:
        Parts(self.store, leftover).drop()
        self.store.transact(lambda w: without_shadow(w, leftover))

    def explain(self, spec: StageSpec, changes: Sequence[SchemaChange]) -> Sequence[str]:
        name = print_name(spec.target.name)
        return [
            *(f"{name}: {change}" for change in changes),
            *(f"{name}: {print_op(op)}" for op in spec.program),
        ]

    def discover(self, pattern: tuple[str, ...]) -> Sequence[Dataset]:
        return discover(self.store, pattern)

    def diagnose(self) -> Sequence[Finding]:
        return diagnose(self.store)

    def set_position(self, target: Target, pipeline: str, position: Position | None) -> None:
        with self.store.lease(target.name):
            self.store.transact(lambda w: _positioned(w, target.name, pipeline, position))


class PublishingSink(MemorySink):
    """A connected sink without transactions: its marker is the truth, its state a cache."""

    def recover(self, target: Name) -> World:
        return self.store.transact(lambda w: recovered(w, target))

    @contextmanager
    def publication(self, spec: StageSpec, _load: Load) -> Iterator[Publication]:
        publication = ShadowPublication(self.store, spec)
        try:
            yield publication
        finally:
            publication.drop()

    def set_position(self, target: Target, pipeline: str, position: Position | None) -> None:
        with self.store.lease(target.name):
            self.store.transact(lambda w: _marked(w, target.name, pipeline, position))


def without_entry(world: World, leftover: str) -> World:
    return replace(world, ledger=tuple(e for e in world.ledger if e.id != leftover))


def _positioned(world: World, target: Name, pipeline: str, position: Position | None) -> World:
    """The world whose state holds this position; without one, what it held of the pipeline is forgotten."""
    at = (target, pipeline)
    rest = {k: s for k, s in world.stored.items() if k != at}
    before = world.stored.get(at)
    if position is None:
        return replace(world, stored=rest)
    new = Stored(position, (before.generation if before else 0) + 1, before.load_id if before else "")
    return replace(world, stored={**rest, at: new})


def _marked(world: World, target: Name, pipeline: str, position: Position | None) -> World:
    world = _positioned(world, target, pipeline, position)
    table = world.tables.get(target)
    if table is None or table.marker is None:
        if position is not None:
            raise StateError(
                f"{print_name(target)} carries no marker of a load, so there is no position to change",
                code="state.marker_missing",
                hint="a first run writes it",
            )
        return world
    stored = {p: s for (owner, p), s in world.stored.items() if owner == target}
    marker = None if not stored else replace(table.marker, stored=stored, pipeline=min(stored))
    return world.with_table(target, replace(table, marker=marker))
