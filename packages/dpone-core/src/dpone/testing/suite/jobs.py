"""One load into a sink, step by step in the order of the runner, with whatever rows a test stages.

It is written over the protocols alone, so that a fault of the runner and a fault of a sink do not hide each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import uuid4

from msgspec import Struct, field
from msgspec.structs import replace

from dpone.batch import ARROW, Batch, Format
from dpone.connector import (
    CHANGE_COLUMNS,
    Applied,
    Chunk,
    Commit,
    CreateTarget,
    Fate,
    Json,
    Layout,
    Lease,
    Position,
    SchemaChange,
    Sink,
    Stage,
    Staged,
    StageSpec,
    Stored,
    Target,
)
from dpone.errors import DataError
from dpone.evolution import Dropped, Evolution, Policy, evolve
from dpone.failpoints import hit
from dpone.ops import Program, Recreate, domain
from dpone.plan import choose_fate, primary_key, system_columns
from dpone.probes import Beyond, Measure, Nulls, Rows
from dpone.reconcile import refuse_wrong_count
from dpone.schema import Schema
from dpone.stage import Change, ChangeKind, Duplicates, OnTruncate, Sealing
from dpone.strategies import STRATEGIES, Load, Read
from dpone.testing.memory.wire import pack
from dpone.testing.suite.rig import SinkRig
from dpone.where import Row

Entries = Sequence[Change | Row]

_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_clock = count()

POLICY = Policy(dropped=Dropped.KEEP)


def next_instant() -> datetime:
    """Later than every instant before it, with microseconds that are not zero."""
    return _BEGIN + timedelta(minutes=next(_clock), microseconds=1)


class Job(Struct, frozen=True):
    """A stream into a target. `tagged` says that staged rows carry change fields; `load` is a template."""

    target: Target
    schema: Schema
    program: Callable[[Load], Program]
    load: Load
    pipeline: str = "suite"
    duplicates: Duplicates = Duplicates.FAIL
    order: tuple[str, ...] = ()
    on_truncate: OnTruncate = OnTruncate.APPLY
    changes: bool = False
    present: bool = False
    audit: bool = False
    fate: Fate | None = None
    format: Format = ARROW
    writers: int | None = None  # as many of this process; by default others may write, too
    policy: Policy = field(default=POLICY)

    @property
    def tagged(self) -> bool:
        return self.changes or self.present

    def sealing(self) -> Sealing:
        return Sealing(self.schema.names, self.load.key, self.order, self.changes, self.duplicates, self.on_truncate)

    def with_load(self, **changed: Any) -> Job:
        return replace(self, load=replace(self.load, **changed))


def job(rig: SinkRig, strategy: str, schema: Schema, *, target: Target | None = None, **load: Any) -> Job:
    """A job of a strategy, with the schema's key; `load` sets fields of the load."""
    rule = STRATEGIES[strategy]
    keyed = {"key": schema.key} if rule.needs & {"key"} else {}
    template = Load("", _BEGIN, schema.names, **{**keyed, **load})
    changes = rule.read is Read.CHANGES
    return Job(target or rig.target(), schema, rule.program, template, changes=changes)


def programmed(rig: SinkRig, program: Program, schema: Schema, *, target: Target | None = None, **load: Any) -> Job:
    """A job of a literal program."""
    template = Load("", _BEGIN, schema.names, **load)
    return Job(target or rig.target(), schema, lambda _: program, template)


class Delivered(Struct, frozen=True):
    """What one load did."""

    load: Load
    program: Program
    layout: Layout
    changes: Sequence[SchemaChange]
    staged: Staged
    applied: Applied
    stored: Stored


def wanted_layout(rig: SinkRig, the_job: Job, load: Load, program: Program) -> Layout:
    """The columns as the sink lands them, and the system columns of the program."""
    name, land = rig.connector.name, rig.connector.types.land
    fields = tuple(
        replace(f, nullable=f.nullable and f.name not in load.key, native=f"{name}:{land(f).native}")
        for f in the_job.schema
    )
    system = tuple(
        replace(c, field=replace(c.field, native=f"{name}:{land(c.field).native}"))
        for c in system_columns(load, program, audit=the_job.audit)
    )
    return Layout(Schema(fields, primary_key(load, program)), system)


def evolution_of(rig: SinkRig, the_job: Job, load: Load, program: Program, current: Layout | None) -> Evolution:
    wanted = wanted_layout(rig, the_job, load, program)
    recreates = any(isinstance(op, Recreate) for op in program)
    return evolve(current, wanted, the_job.policy, rig.connector.types.widens, recreates=recreates)


class Attempt(Struct):
    """A load in progress under a lease."""

    rig: SinkRig
    job: Job
    sink: Sink
    lease: Lease
    load: Load
    program: Program
    evolution: Evolution
    spec: StageSpec

    @classmethod
    def begin(
        cls,
        rig: SinkRig,
        the_job: Job,
        sink: Sink,
        lease: Lease,
        *,
        load_id: str | None = None,
        at: datetime | None = None,
    ) -> Attempt:
        load = replace(
            the_job.load,
            id=load_id or f"load-{uuid4().hex[:12]}",
            at=at or next_instant(),
            first=lease.stored is None,
        )
        program = the_job.program(load)
        current = sink.inspect(the_job.target)
        evolution = evolution_of(rig, the_job, load, program, current)
        columns = tuple(f.name for f in the_job.schema if f.name in evolution.columns)
        fate = the_job.fate or choose_fate(program, rig.spec_of_sink, first=load.first, creates=current is None)
        spec = StageSpec(
            target=the_job.target,
            load_id=load.id,
            pipeline=the_job.pipeline,
            layout=evolution.layout,
            columns=columns,
            format=the_job.format,
            sealing=replace(the_job.sealing(), columns=columns),
            program=program,
            fate=fate,
            present=the_job.present,
            writers=the_job.writers,
        )
        return cls(rig, the_job, sink, lease, load, program, evolution, spec)

    @contextmanager
    def staged(self, entries: Entries) -> Iterator[tuple[Stage, Staged]]:
        """The entries are in a sealed and validated stage."""
        with self.sink.stage(self.spec) as stage:
            self.write(stage, entries)
            hit("before_seal")
            staged = stage.seal()
            hit("after_seal")
            assert staged.received == len(entries), f"{len(entries)} rows were sent, {staged.received} received"
            self.validate(stage)
            yield stage, staged

    def write(self, stage: Stage, entries: Entries, split: str = "0") -> None:
        """The entries are written as one split, in two batches where there are two."""
        half = (len(entries) + 1) // 2
        with self.sink.writer(stage.ref, split) as writer:
            for part in (entries[:half], entries[half:]):
                if part:
                    writer.write(self.batch(part))
                    hit("after_first_batch")

    def batch(self, entries: Entries) -> Batch:
        fields = tuple(self.job.schema[name] for name in self.spec.columns)
        rows = [_values(entry, self.spec.columns, tagged=self.job.tagged) for entry in entries]
        return pack(rows, (*fields, *CHANGE_COLUMNS) if self.job.tagged else fields, self.job.format)

    def validate(self, stage: Stage) -> None:
        """Raises when a staged row is outside the domain of the program, as the runner does."""
        limits = domain(self.program)
        asked: list[Measure] = [Nulls(c) for c in limits.not_null]
        asked += [Rows(), Rows(limits.where)] if limits.where else []
        asked += [Beyond(*limits.bounds)] if limits.bounds else []
        found = stage.measure(tuple(asked)) if asked else {}
        for measure in asked:
            if isinstance(measure, Nulls | Beyond) and found[measure]:
                code = "stage.null_key" if isinstance(measure, Nulls) else "stage.outside_bounds"
                raise DataError(f"{found[measure]} staged rows break {measure}", code=code)
        if limits.where and found[Rows()] != found[Rows(limits.where)]:
            raise DataError("staged rows do not match the filter", code="stage.outside_where")

    def publish(
        self,
        stage: Stage,
        position: Position | None,
        chunk: Chunk | None = None,
        *,
        believed: tuple[Stored | None] | None = None,
        run_id: str | None = None,
        record: Mapping[str, Json] | None = None,
    ) -> tuple[Applied, Stored]:
        """The stage is in the target with its position; `believed` is what the load takes the state to be."""
        (expected,) = believed or (self.lease.stored,)
        new = Stored(position, (expected.generation if expected else 0) + 1, self.load.id)
        with self.sink.publication(self.spec, self.load) as publication:
            publication.ensure(self.spec.layout, self.evolution.changes)
            hit("after_ensure")
            created = any(isinstance(c, CreateTarget) for c in self.evolution.changes)
            before = 0 if created else _count(publication.measure((Rows(),)))
            applied = publication.apply(self.program, stage)
            after = _count(publication.measure((Rows(),)))
            refuse_wrong_count(before, applied.counts, after)
            hit("after_reconcile")
            publication.save_position(Commit(expected, new, run_id or f"run-{self.load.id}", chunk, record or {}))
            hit("after_save_position")
            publication.commit()
            hit("after_commit")
        hit("before_settle")
        return applied, new

    def deliver(self, entries: Entries, position: Position | None, chunk: Chunk | None = None) -> Delivered:
        with self.staged(entries) as (stage, staged):
            applied, stored = self.publish(stage, position, chunk)
        evolution = self.evolution
        return Delivered(self.load, self.program, evolution.layout, evolution.changes, staged, applied, stored)


def _count(found: Mapping[Measure, object]) -> int:
    rows = found[Rows()]
    assert isinstance(rows, int)
    return rows


def _values(entry: Change | Row, columns: Sequence[str], *, tagged: bool) -> tuple[Any, ...]:
    change = entry if isinstance(entry, Change) else Change(entry)
    values = tuple(None if c in change.kept else change.row.get(c) for c in columns)
    if not tagged:
        assert change.kind is ChangeKind.UPSERT
        return values
    kept = "".join("1" if c in change.kept else "0" for c in columns) if change.kept else None
    return (*values, change.seq, change.kind.value, kept)


def deliver(
    rig: SinkRig,
    the_job: Job,
    entries: Entries,
    *,
    load_id: str | None = None,
    at: datetime | None = None,
    position: Position | None = None,
    chunk: Chunk | None = None,
) -> Delivered:
    """One whole load: connected, leased, staged, published."""
    with rig.sink() as sink, sink.lease(the_job.target, the_job.pipeline) as lease:
        attempt = Attempt.begin(rig, the_job, sink, lease, load_id=load_id, at=at)
        return attempt.deliver(entries, position, chunk)


def stored_of(rig: SinkRig, the_job: Job) -> Stored | None:
    """What the state says now."""
    with rig.sink() as sink, sink.lease(the_job.target, the_job.pipeline) as lease:
        return lease.stored
