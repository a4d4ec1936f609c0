"""Two ends that write down what they are asked, in order, and can be told to fail at one of the questions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from dpone.batch import ARROW, Batch, Wire
from dpone.connector import (
    Applied,
    Chunk,
    Column,
    Commit,
    Config,
    Connector,
    Dataset,
    Layout,
    Position,
    Profile,
    ReadRequest,
    SchemaChange,
    SinkOptions,
    SinkSpec,
    SourceOptions,
    SourceSpec,
    Split,
    Staged,
    StageRef,
    StageSpec,
    Stored,
    Target,
)
from dpone.errors import DataError
from dpone.ops import OPS, Program
from dpone.oracle import Counts
from dpone.plan import End, Plan, PlannedColumn
from dpone.probes import Measurement, Probe, Rows
from dpone.schema import INT64, STRING, Field, Landing, Schema, TypeMap, parse_type
from dpone.strategies import Load, Read

TYPES = TypeMap(("int64", "string"), parse_type, lambda f: Landing(str(f.type)), lambda old, new: old == new)
ROW_BYTES = 8
SCHEMA = Schema((Field("id", INT64), Field("v", STRING)))


class Log(Struct):
    """What was asked, in order; `fails_at` raises there."""

    asked: list[str] = field(default_factory=list)
    fails_at: str | None = None
    chunks: list[Chunk] = field(default_factory=list)

    def __call__(self, what: str) -> None:
        self.asked.append(what)
        if what == self.fails_at:
            raise DataError(f"planted at {what}", code="test.planted")


class FakeReading(Struct):
    schema: Schema = SCHEMA
    upto: Position | None = None
    splits: Sequence[Split] = (Split("0"),)
    changes: bool = False


class FakeSource(Struct):
    log: Log
    rows: int = 3
    reading: FakeReading = field(default_factory=FakeReading)
    claimed: int | None = None

    def describe(self, dataset: Dataset) -> Schema:
        return SCHEMA

    @contextmanager
    def open(self, request: ReadRequest) -> Iterator[FakeReading]:
        self.log("source.open")
        yield self.reading
        self.log("source.close")

    def read(self, request: ReadRequest, split: Split) -> Iterator[Batch]:
        self.log(f"source.read {split.id}")
        yield Batch(ARROW, None, self.rows if self.claimed is None else self.claimed, ROW_BYTES * self.rows)

    def settle(self, request: ReadRequest, position: Position) -> None:
        self.log(f"source.settle {position.token['at']}")


class FakeStage(Struct):
    sink: FakeSink
    ref: StageRef
    received: int = 0

    def seal(self) -> Staged:
        self.sink.log("stage.seal")
        return Staged(received=self.received, live=self.received)

    def measure(self, probe: Probe) -> Measurement:
        self.sink.log("stage.measure")
        return {m: self.received if isinstance(m, Rows) else 0 for m in probe}


class FakeWriter(Struct):
    stage: FakeStage

    def write(self, batch: Batch) -> None:
        self.stage.received += batch.nbytes // ROW_BYTES


class FakePublication(Struct):
    sink: FakeSink
    layout: Layout | None = None

    def ensure(self, layout: Layout, changes: Sequence[SchemaChange]) -> None:
        self.sink.log("publication.ensure")
        self.layout = layout

    def apply(self, program: Program, stage: Any) -> Applied:
        self.sink.log("publication.apply")
        self.sink.rows += stage.received
        return Applied(tuple(Counts(inserted=stage.received) for _ in program))

    def measure(self, probe: Probe) -> Measurement:
        self.sink.log("publication.measure")
        return {m: self.sink.rows if isinstance(m, Rows) else 0 for m in probe}

    def save_position(self, commit: Commit) -> None:
        self.sink.log("publication.save_position")
        self.sink.pending = commit

    def commit(self) -> None:
        self.sink.log("publication.commit")
        assert self.sink.pending is not None
        self.sink.stored = self.sink.pending.new
        self.sink.layout = self.layout
        if chunk := self.sink.pending.chunk:
            self.sink.log.chunks.append(chunk)


class FakeLease(Struct):
    stored: Stored | None
    others: Sequence[str] = ()
    done: frozenset[str] = frozenset()
    loads: frozenset[str] = frozenset()

    def committed(self, load_id: str) -> bool:
        return load_id in self.loads

    def chunks(self, plan: str) -> frozenset[str]:
        return self.done


class FakeSink(Struct):
    log: Log
    stored: Stored | None = None
    lease_: FakeLease | None = None
    layout: Layout | None = None
    rows: int = 0
    stages: dict[str, FakeStage] = field(default_factory=dict)
    pending: Commit | None = None

    def inspect(self, target: Target) -> Layout | None:
        return self.layout

    @contextmanager
    def lease(self, target: Target, pipeline: str) -> Iterator[FakeLease]:
        self.log("sink.lease")
        yield self.lease_ or FakeLease(self.stored)
        self.log("sink.release")

    @contextmanager
    def stage(self, spec: StageSpec) -> Iterator[FakeStage]:
        self.log("sink.stage")
        stage = FakeStage(self, StageRef(spec.load_id))
        self.stages[spec.load_id] = stage
        try:
            yield stage
        finally:
            self.log("stage.drop")

    @contextmanager
    def writer(self, stage: StageRef, split: str) -> Iterator[FakeWriter]:
        self.log(f"sink.writer {split}")
        yield FakeWriter(self.stages[stage.id])

    @contextmanager
    def publication(self, spec: StageSpec, load: Load) -> Iterator[FakePublication]:
        self.log("sink.publication")
        yield FakePublication(self)

    def sweep(self, older_than: timedelta) -> Sequence[str]:
        return ()


class FakeSourceOptions(SourceOptions):
    pass


class FakeSinkOptions(SinkOptions):
    pass


def _given(_config: Config) -> Any:
    raise AssertionError("tests hand the ends to the runner")


CONNECTOR: Connector[Config] = Connector(
    name="fake",
    distribution="fake",
    config=Config,
    types=TYPES,
    profile=Profile("fake_live", "a fake"),
    schemes=("fake",),
    source=SourceSpec(frozenset(Read), (Wire(ARROW),), FakeSourceOptions, _given),
    sink=SinkSpec(frozenset(OPS), (Wire(ARROW),), FakeSinkOptions, _given, "transaction"),
)


def plan(**changes: Any) -> Plan:
    """A plan over the two columns of `SCHEMA`."""
    columns = tuple(PlannedColumn(Column(f.name, f.name), f, f, Landing(str(f.type))) for f in SCHEMA)
    base = Plan(
        pipeline="orders",
        source=End("fake", "a"),
        sink=End("fake", "b"),
        dataset=Dataset(("orders",)),
        target=Target(("orders",)),
        strategy="incremental_append",
        columns=columns,
        load=Load("", datetime(2026, 1, 1, tzinfo=UTC), ("id", "v")),
    )
    return replace(base, **changes)
