"""The final act of a store without transactions: a shadow where no reader looks, and one exchange that carries its
own marker.

The marker on the target is the truth, the state tables are a cache of it. Recovery has two cases: the marker is ahead
of the state, which is then mended; or a shadow is left, which is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

from dpone.connector import Applied, Commit, Layout, SchemaChange, Stage, StageSpec
from dpone.errors import StateError
from dpone.failpoints import hit
from dpone.names import print_name
from dpone.ops import Program, Recreate
from dpone.probes import Measurement, Probe
from dpone.testing.memory.draft import carried_out, ensured, refuse_null, refuse_outside
from dpone.testing.memory.measures import measure
from dpone.testing.memory.publication import concurrent_writer, is_there, refuse_other
from dpone.testing.memory.staging import MemoryStage
from dpone.testing.memory.store import Store
from dpone.testing.memory.world import Leftover, Marker, Name, Table, World

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
        self._begun = store.current()
        self._base = self._begun.tables.get(self._target)
        self._shadow = f"shadow-{uuid4().hex}"
        self._layout = spec.layout
        self._saved: Commit | None = None

    def ensure(self, layout: Layout, changes: Sequence[SchemaChange]) -> None:
        self._layout = layout
        recreates = any(isinstance(op, Recreate) for op in self._spec.program)
        clone = ensured(self._base, layout, changes, recreates=recreates)
        entry = Leftover(self._shadow, self._target, "shadow", datetime.now(UTC))
        self._store.transact(lambda w: replace(w, ledger=(*w.ledger, entry)))
        self._put(clone)
        hit(CLONE)

    def apply(self, program: Program, stage: Stage) -> Applied:
        assert isinstance(stage, MemoryStage)  # made by this sink
        refuse_outside(program, stage.sealed)
        counts = []
        for op in program:
            table, done = carried_out(op, self._table(), stage.sealed, self._layout, self._begun.xid)
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
        self._refuse_conflict(self._store.current())
        before = {} if self._base is None or self._base.marker is None else self._base.marker.stored
        stored = {**before, self._spec.pipeline: commit.new}
        self._put(replace(self._table(), marker=Marker(stored, self._spec.pipeline, commit.run_id, commit.chunk)))
        hit(MARK)

    def commit(self) -> None:
        self._store.transact(self._exchanged)
        hit(EXCHANGE)
        if self._saved is not None:
            saved = self._saved
            self._store.transact(lambda w: w.with_commit(self._target, self._spec.pipeline, saved))
        hit(RECORD)
        self.drop()
        hit(DROP)

    def drop(self) -> None:
        """The shadow, or what stands there after the exchange, is gone."""
        self._store.transact(lambda w: without_shadow(w, self._shadow))

    def _exchanged(self, world: World) -> World:
        if self._saved is not None and is_there(world, self._target, self._saved.new):
            return world  # the answer to this very exchange was lost
        self._refuse_conflict(world)
        if world.tables.get(self._target) is not self._base:
            raise concurrent_writer(self._target)
        table = self._table(world).committed(self._begun.xid, world.xid)
        return replace(world, xid=world.xid + 1).with_table(self._target, table).with_shadow(self._shadow, self._base)

    def _refuse_conflict(self, world: World) -> None:
        if self._saved is not None:
            marker = marker_of(world, self._target)
            refuse_other(marker.stored.get(self._spec.pipeline) if marker else None, self._target, self._saved)

    def _table(self, world: World | None = None) -> Table:
        return (world or self._store.current()).shadows[self._shadow,]

    def _put(self, table: Table) -> None:
        self._store.transact(lambda w: w.with_shadow(self._shadow, table))


def marker_of(world: World, target: Name) -> Marker | None:
    table = world.tables.get(target)
    return None if table is None else table.marker


def without_shadow(world: World, shadow: str) -> World:
    world = world.with_shadow(shadow, None)
    return replace(world, ledger=tuple(e for e in world.ledger if e.id != shadow))


def recovered(world: World, target: Name) -> World:
    """The world as a publish that was cut off must leave it: state after the marker, no shadow of this target."""
    marker = marker_of(world, target)
    cached = {pipeline: stored for (owner, pipeline), stored in world.stored.items() if owner == target}
    if marker is None and cached:
        raise StateError(
            f"the state tables know {print_name(target)}, but it carries no marker of a load",
            code="state.marker_missing",
            hint="the target was replaced by other means: `dpone state reset` forgets the position and begins again",
        )
    if marker is not None:
        if marker.load_id not in world.loads.get(target, frozenset()):
            commit = Commit(None, marker.stored[marker.pipeline], marker.run_id, marker.chunk)
            world = world.with_commit(target, marker.pipeline, commit)
        world = replace(world, stored={**world.stored, **{(target, p): s for p, s in marker.stored.items()}})
    for entry in world.ledger:
        if entry.kind == "shadow" and entry.target == target:
            world = without_shadow(world, entry.id)
    return world
