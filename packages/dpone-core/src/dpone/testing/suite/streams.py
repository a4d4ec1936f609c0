"""A target under test beside what the oracle makes of it: each load goes to both, and both must end with the same
rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from dpone import oracle
from dpone.connector import Position, Role
from dpone.ops import DeleteKeys, Program, Recreate
from dpone.oracle import Counts
from dpone.plan import system_columns
from dpone.schema import Field, Schema
from dpone.stage import Change, Sealed, seal
from dpone.strategies import STRATEGIES, Load, Read
from dpone.testing.suite.jobs import Delivered, Entries, Job, deliver, job, programmed
from dpone.testing.suite.rig import SinkRig
from dpone.where import Row

_CONSTANT = frozenset({Role.LOAD_ID, Role.LOADED_AT})


class Stream:
    """A job and its expected target; `fields` are all columns that a reader must see."""

    def __init__(self, rig: SinkRig, the_job: Job) -> None:
        self.rig = rig
        self.job = the_job
        self.table = oracle.Table(())
        self.fields: tuple[Field, ...] = ()
        self.loads = 0

    def load(self, entries: Entries, *, at: datetime | None = None, **changed: Any) -> Delivered:
        """The entries are delivered; afterwards target, counts and position are those of the oracle."""
        the_job = self.job.with_load(**changed) if changed else self.job
        self.loads += 1
        position = Position(Read.SINCE, {"load": self.loads})
        delivered = deliver(self.rig, the_job, entries, at=at, position=position)
        counts = self.expect(the_job, entries, delivered.load)
        self.check(f"target after load {self.loads}")
        assert len(delivered.applied.counts) == len(delivered.program)
        assert _net(delivered.applied.counts) == _net([counts]), f"{delivered.applied.counts}, the oracle has {counts}"
        assert delivered.stored.generation == self.loads
        return delivered

    def expect(self, the_job: Job, entries: Entries, load: Load) -> Counts:
        """The same load, carried out by the oracle."""
        program = the_job.program(load)
        self._lay_out(the_job, load, program)
        sealed = sealed_by_oracle(the_job, entries, load, program)
        self.table, counts = oracle.apply(program, self.table, sealed)
        return counts

    def check(self, where: str = "target") -> None:
        """Fails when an independent reader sees other rows than the oracle ended with."""
        self.rig.assert_rows(self.job.target, self.table.rows, self.fields, where)

    def seen(self) -> list[Row]:
        return list(self.table.rows)

    def _lay_out(self, the_job: Job, load: Load, program: Program) -> None:
        recreated = any(isinstance(op, Recreate) for op in program)
        system = {c.field.name: c.field for c in system_columns(load, program, audit=the_job.audit)}
        known = {} if recreated else {f.name: f for f in self.fields if f.name not in the_job.schema}
        content = {f.name: f for f in the_job.schema}
        kept = [f for f in known.values() if f.name not in system]
        before = () if recreated else self.fields
        ordered = [content.get(f.name, f) for f in before if f.name in content or f in kept]
        ordered += [f for f in content.values() if f not in ordered]
        # a column that the load does not carry keeps its values, as a system column does
        self.table = replace(self.table, columns=tuple(f.name for f in ordered if f.name in content))
        self.fields = (*ordered, *system.values())


def sealed_by_oracle(the_job: Job, entries: Entries, load: Load, program: Program) -> Sealed:
    changes = [entry if isinstance(entry, Change) else Change(entry) for entry in entries]
    sealed = seal(changes, the_job.sealing())
    system = system_columns(load, program, audit=the_job.audit)
    return replace(sealed, stamps={c.field.name: c.value for c in system if c.role in _CONSTANT})


def _net(counts: Sequence[Counts]) -> int:
    total = sum(counts, Counts())
    return total.inserted - total.deleted


def stream(rig: SinkRig, strategy: str, schema: Schema, *, audit: bool = False, **load: Any) -> Stream:
    """A stream of a strategy into a target that does not exist yet."""
    rig.require(*STRATEGIES[strategy].emits)
    return Stream(rig, replace(job(rig, strategy, schema, **load), audit=audit))


def stream_of(rig: SinkRig, program: Program, schema: Schema, **load: Any) -> Stream:
    """A stream of a literal program."""
    rig.require(*map(type, program))
    return Stream(rig, programmed(rig, program, schema, **load))


def tagged(the_stream: Stream) -> Stream:
    """The stream's stages carry changes, as those of a source's log do."""
    the_stream.rig.require(DeleteKeys)
    the_stream.job = replace(the_stream.job, changes=True)
    return the_stream


def with_presence(the_stream: Stream) -> Stream:
    """The stream's stages hold the keys of all rows of the source beside the changed rows."""
    the_stream.job = replace(the_stream.job, present=True)
    return the_stream


def require_partial(rig: SinkRig) -> None:
    if not rig.spec_of_sink.keeps_partial:
        pytest.skip(f"{rig.connector.name} declares that it cannot keep values of a partial row")
