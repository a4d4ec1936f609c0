"""The contract between core and a connector: plain data that crosses it, two protocols, and one declaring value.

A connector is a value (`Connector`) found through an entry point. There is no base class to inherit and nothing
registers itself. Optional abilities are further small protocols that core finds with `isinstance`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Literal, Protocol, TypeVar, runtime_checkable

from msgspec import Struct, field
from pydantic import BaseModel, ConfigDict

from dpone.batch import Batch, Format, Wire
from dpone.errors import DponeError, MissingPackage, PlanError
from dpone.ops import Op, Program, Recreate
from dpone.oracle import Counts
from dpone.probes import Measurement, Probe
from dpone.schema import INT64, STRING, Field, Schema, Type, TypeMap, timestamptz
from dpone.segments import Extent, Segments
from dpone.stage import Sealing
from dpone.strategies import Load, Read
from dpone.where import Where

API = 1  # raised when a connector written for an earlier core would no longer work

Json = Any  # what json.loads returns

# ---------------------------------------------------------------- what is read


class Dataset(Struct, frozen=True):
    """What a source is asked for: a name, or a query, and the connector's own options (already validated)."""

    name: tuple[str, ...] = ()
    query: str | None = None
    options: Mapping[str, Json] = field(default_factory=dict)


class Column(Struct, frozen=True):
    """A selected column: `source` is its name there, `name` its name from there on."""

    name: str
    source: str


class Position(Struct, frozen=True):
    """How far a source has been read; `token` is plain JSON in the source's own words."""

    kind: Read
    token: Mapping[str, Json]


class Late(Enum):
    """How rows that arrive late are not lost.

    OVERLAP reads [stored - lag, greatest] again and again, which only a program that is idempotent by key may do.
    HOLD_BACK reads [stored, clock - lag), never a row twice, and never one that a running transaction may still add.
    """

    OVERLAP = "overlap"
    HOLD_BACK = "hold_back"


class Cursor(Struct, frozen=True):
    """The column that orders incremental reading. `skip_nulls` declares that rows without a cursor may be left out."""

    column: str
    late: Late = Late.OVERLAP
    lag: timedelta | int = 0
    skip_nulls: bool = False


class ReadRequest(Struct, frozen=True):
    """One reading. `since` is None for a first load, or a position that the same `read` made; `present` asks for the
    keys of all rows beside the rows since.
    """

    dataset: Dataset
    read: Read
    columns: tuple[Column, ...]
    format: Format
    key: tuple[str, ...] = ()
    where: Where = ()
    cursor: Cursor | None = None
    since: Position | None = None
    present: bool = False
    pipeline: str = ""
    batch_bytes: int = 1 << 16  # larger pieces cost more: 1M rows pass in 0.46 s CPU at 64 KiB, in 0.86 at 1 MiB
    splits: int | None = None  # what suits the load; what a manifest says of its source goes first. None: nothing
    timeout: timedelta | None = None


class Split(Struct, frozen=True):
    """A part of a reading that any process can read: plain JSON."""

    id: str
    payload: Mapping[str, Json] = field(default_factory=dict)


class Reading(Protocol):
    """An open reading: what it will yield and how far, fixed at the moment when it opened."""

    @property
    def schema(self) -> Schema: ...
    @property
    def upto(self) -> Position | None: ...  # None when the reading has no position (SCAN)
    @property
    def splits(self) -> Sequence[Split]: ...
    @property
    def changes(self) -> bool: ...  # batches carry CHANGE_FIELDS behind the columns


class Continued(Struct, frozen=True):
    """What an earlier process had read of a reading: how many parts, and when it began."""

    parts: int
    begun: datetime


@runtime_checkable
class GoesOn(Protocol):
    """A reading that may begin with what an earlier process had read, so that its rows are of two moments."""

    @property
    def continued(self) -> Continued | None: ...


class Source(Protocol):
    """A connected source."""

    def describe(self, dataset: Dataset) -> Schema: ...
    def open(self, request: ReadRequest) -> AbstractContextManager[Reading]: ...
    def read(self, request: ReadRequest, split: Split) -> Iterator[Batch]: ...
    def settle(self, request: ReadRequest, position: Position) -> None: ...  # after each commit and once at start


# Columns that follow the requested ones in batches of a reading with `changes`; see dpone.stage.Change.
# kept: one character per requested column, "1" where the source did not send the value; NULL for a whole row.
CHANGE_FIELDS = ("_dpone_seq", "_dpone_change", "_dpone_kept")
CHANGE_COLUMNS = tuple(map(Field, CHANGE_FIELDS, (INT64, STRING, STRING)))

# ------------------------------------------------------------- what is written


class Target(Struct, frozen=True):
    """What a sink writes: a name and the connector's own options (already validated)."""

    name: tuple[str, ...]
    options: Mapping[str, Json] = field(default_factory=dict)


class Role(Enum):
    """What a column that dpone itself adds is for."""

    LOAD_ID = "load_id"
    LOADED_AT = "loaded_at"
    DELETED_AT = "deleted_at"
    VALID_FROM = "valid_from"
    VALID_TO = "valid_to"


INSTANT: Type = timestamptz(6)


class SystemColumn(Struct, frozen=True):
    """A column that dpone adds; `value` is the constant of this load for LOAD_ID and LOADED_AT."""

    role: Role
    field: Field
    value: str | datetime | None = None


class Layout(Struct, frozen=True):
    """A target's columns: content with the sink's native types, and the declared system columns beside it."""

    schema: Schema
    system: tuple[SystemColumn, ...] = ()

    @property
    def stamps(self) -> dict[str, str | datetime]:
        """The constants of a load beside each of its rows."""
        return {c.field.name: c.value for c in self.system if c.value is not None}


class CreateTarget(Struct, frozen=True):
    pass


class AddColumn(Struct, frozen=True):
    field: Field


class WidenColumn(Struct, frozen=True):
    field: Field
    was: str


class RelaxColumn(Struct, frozen=True):
    """NOT NULL is dropped."""

    name: str


SchemaChange = CreateTarget | AddColumn | WidenColumn | RelaxColumn


class Fate(Enum):
    """What becomes of a stage.

    ADOPT: it is the next target. DIRECT: rows are written inside the final transaction. SCRATCH: read once, then
    dropped.
    """

    ADOPT = "adopt"
    DIRECT = "direct"
    SCRATCH = "scratch"


class StageSpec(Struct, frozen=True):
    """Everything that a sink must know to make room for one load's rows. `layout` is the target's after the load."""

    target: Target
    load_id: str
    pipeline: str
    layout: Layout
    columns: tuple[str, ...]  # of the incoming batches, CHANGE_FIELDS not among them
    format: Format
    sealing: Sealing
    program: Program
    fate: Fate = Fate.SCRATCH
    present: bool = False
    writers: int | None = None  # how many there will be; None where that is not known

    @property
    def content(self) -> tuple[Field, ...]:
        """The columns of the incoming rows as the target has them."""
        return tuple(self.layout.schema[name] for name in self.columns)

    @property
    def is_tagged(self) -> bool:
        """Batches carry CHANGE_FIELDS."""
        return self.sealing.changes or self.present


class StageRef(Struct, frozen=True):
    """A stage by name, as plain JSON, so that a worker elsewhere can write to it."""

    id: str
    payload: Mapping[str, Json] = field(default_factory=dict)


class Staged(Struct, frozen=True):
    """What a sealed stage holds. `received` counts the rows as they came, by the sink's own count."""

    received: int
    live: int
    dead: int = 0
    present: int = 0
    cleared: bool = False


class Writer(Protocol):
    def write(self, batch: Batch) -> None: ...


class Stage(Protocol):
    @property
    def ref(self) -> StageRef: ...
    def seal(self) -> Staged: ...
    def measure(self, probe: Probe) -> Measurement: ...  # over live rows, after sealing


class Stored(Struct, frozen=True):
    """What the state table holds for one pipeline and target. `generation` grows by one with each commit."""

    position: Position | None
    generation: int
    load_id: str


class Chunk(Struct, frozen=True):
    """One part of a plan that is loaded in parts; the ledger remembers it until `last` is committed."""

    plan: str
    id: str
    last: bool = False


class Lease(Protocol):
    """The right to write one target, held from before reading to the end of the run."""

    @property
    def stored(self) -> Stored | None: ...
    @property
    def others(self) -> Sequence[str]: ...  # other pipelines whose rows are in the target
    def committed(self, load_id: str) -> bool: ...
    def chunks(self, plan: str) -> frozenset[str]: ...  # committed chunks of an unfinished plan


class Commit(Struct, frozen=True):
    """What is saved together with the rows: a compare-and-set of the position, the ledger entry, the chunk.

    A ledger that has no room for the record leaves it out; nothing depends on it.
    """

    expected: Stored | None
    new: Stored
    run_id: str
    chunk: Chunk | None = None
    record: Mapping[str, Json] = field(default_factory=dict)  # of the load, for the ledger; plain JSON


class Applied(Struct, frozen=True):
    """What each operation of a program did, by the engine's own counts.

    With `adopted` the stage itself is the target, or will be at the commit: to compare the two would prove nothing.
    """

    counts: tuple[Counts, ...]
    adopted: bool = False


class Publication(Protocol):
    """The final act. Nothing is visible to a reader before `commit` returns; leaving without it undoes everything."""

    def ensure(self, layout: Layout, changes: Sequence[SchemaChange]) -> None: ...
    def apply(self, program: Program, stage: Stage) -> Applied: ...
    def measure(self, probe: Probe) -> Measurement: ...  # over the target as it will be
    def save_position(self, commit: Commit) -> None: ...
    def commit(self) -> None: ...


class Sink(Protocol):
    """A connected sink."""

    def inspect(self, target: Target) -> Layout | None: ...
    def lease(self, target: Target, pipeline: str) -> AbstractContextManager[Lease]: ...
    def stage(self, spec: StageSpec) -> AbstractContextManager[Stage]: ...
    def writer(self, stage: StageRef, split: str) -> AbstractContextManager[Writer]: ...
    def publication(self, spec: StageSpec, load: Load) -> AbstractContextManager[Publication]: ...
    def sweep(self, older_than: timedelta) -> Sequence[str]: ...  # what was removed; only what its ledger names


# ----------------------------------------------------------- optional abilities


@runtime_checkable
class Explains(Protocol):
    """A sink that can show the statements of a load without running them."""

    def explain(self, spec: StageSpec, changes: Sequence[SchemaChange]) -> Sequence[str]: ...


@runtime_checkable
class Remarks(Protocol):
    """A source that chooses among ways to read, and says which one a request would go by and why."""

    def remarks(self, request: ReadRequest) -> Sequence[str]: ...


@runtime_checkable
class Measures(Protocol):
    """A source that can answer a probe about what a request would read."""

    def measure(self, request: ReadRequest, probe: Probe) -> Measurement: ...


@runtime_checkable
class Discovers(Protocol):
    """An end that can list its tables, for wildcards and `dpone init`."""

    def discover(self, pattern: tuple[str, ...]) -> Sequence[Dataset]: ...


class Size(Struct, frozen=True):
    """About how large a table is, by what its engine remembers; `rows` is None where nobody counted."""

    rows: int | None
    bytes: int


@runtime_checkable
class Weighs(Protocol):
    """A source that can say about how large a table is without reading it, for `dpone init`."""

    def size(self, dataset: Dataset) -> Size | None: ...


@runtime_checkable
class Manages(Protocol):
    """A sink whose stored position an operator may look at and change."""

    def set_position(self, target: Target, pipeline: str, position: Position | None) -> None: ...


@runtime_checkable
class Segmented(Protocol):
    """An end that computes checksums of parts of a table where the rows are, for `dpone diff`."""

    def segments(self, extent: Extent) -> AbstractContextManager[Segments]: ...


class KeptStage(Struct, frozen=True):
    """A sealed stage that outlives its process; `note` is what the runner wrote beside it, plain JSON."""

    load_id: str
    pipeline: str
    note: Mapping[str, Json]


@runtime_checkable
class KeepsStages(Protocol):
    """A sink whose sealed stages outlive their process, so that a later one publishes them; all within the lease.

    A stage that is kept is there until its load is committed, `drop_stage` or a sweep; leases leave it alone. One that
    is not kept goes with its context or, after a crash, with the next lease.
    """

    def keep_stage(self, stage: Stage, note: Mapping[str, Json]) -> bool: ...  # False: this one cannot be kept
    def kept_stages(self, target: Target) -> Sequence[KeptStage]: ...
    def adopt_stage(self, spec: StageSpec) -> AbstractContextManager[tuple[Stage, Staged]]: ...  # counted anew
    def drop_stage(self, target: Target, load_id: str) -> None: ...


@runtime_checkable
class KeepsRecords(Protocol):
    """A sink whose ledger holds the record that was committed together with each load."""

    def records(self, target: Target, run_id: str | None = None) -> Sequence[Mapping[str, Json]]: ...  # newest first


class Finding(Struct, frozen=True):
    """One line of `dpone doctor`; when it is not ok, `unless` says how bad that is, and `action` what to do."""

    name: str
    ok: bool
    found: str
    action: str = ""
    unless: Literal["failed", "warning", "skipped"] = "failed"

    @property
    def status(self) -> Literal["ok", "failed", "warning", "skipped"]:
        return "ok" if self.ok else self.unless


@runtime_checkable
class Diagnoses(Protocol):
    """An end that can examine itself."""

    def diagnose(self) -> Sequence[Finding]: ...


# -------------------------------------------------------------- the declaration


# a file of this machine that a connection names: it lies below the folder where it is named, and has to be there
File = Annotated[Path, "file"]


class Config(BaseModel):
    """What a connection holds; secrets are pydantic SecretStr and are read at connect time only."""

    # an error of pydantic would otherwise quote what it was given, a password among it
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SourceOptions(BaseModel):
    """The connector's own keys under `source:`; `dataset` says what they name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def dataset(self) -> Dataset:
        raise NotImplementedError  # pydantic models cannot be protocols; the registry checks the override


class SinkOptions(BaseModel):
    """The connector's own keys under `sink:`; `target` says what they name.

    `of_new` are those that say how a target is made, and change nothing about one that is there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    of_new: ClassVar[frozenset[str]] = frozenset()

    def target(self) -> Target:
        raise NotImplementedError  # pydantic models cannot be protocols; the registry checks the override


C = TypeVar("C", bound=Config)


# What `dpone.cursors.position_at` makes: of a source with rows, and of one that had none yet.
CURSOR_TOKENS: tuple[Mapping[str, Json], ...] = (
    {"column": "updated_at", "type": "timestamp", "value": "2026-01-31 12:00:00"},
    {"column": "updated_at", "type": "timestamp", "value": None},
)


class SourceSpec(Struct, Generic[C], frozen=True):
    """What a source can do. `pushes_where` is false when core must filter the rows itself.

    `by_cursor` is false where SINCE goes by the source's own positions, which no column says.

    `tokens` has examples of the tokens that it makes, per way of reading: each has all keys of one of them, with values
    of the same JSON types. What it does not say is not checked.
    """

    reads: frozenset[Read]
    emits: tuple[Wire, ...]
    options: type[SourceOptions]
    open: Callable[[C], AbstractContextManager[Source]]
    pushes_where: bool = True
    by_cursor: bool = True
    tokens: Mapping[Read, tuple[Mapping[str, Json], ...]] = field(default_factory=dict)


class SinkSpec(Struct, Generic[C], frozen=True):
    """What a sink can do. `keeps_partial` is false when an upsert cannot keep stored values of a partial row.

    `dialect` gives the `dpone.sql.dialect.Dialect` that renders its statements, and needs no driver for it; None where
    there are no statements.

    A stage can be adopted for a program that is one of the operations `adopts`, or, where there is no target yet, for
    one made of the operations `adopts_first`. A ReplaceAll with a filter is never such a program.

    `adopts_of_many` is false where only what one writer of this process staged can take the place of a target that is
    there: else rows are exchanged one by one, and several writers cost more than they save.

    `stages_travel` is false where a stage is on this machine, and a writer in another process may not reach it.
    """

    ops: frozenset[type[Op]]
    accepts: tuple[Wire, ...]
    options: type[SinkOptions]
    open: Callable[[C], AbstractContextManager[Sink]]
    atomic: Literal["transaction", "publish", "log"]
    fates: frozenset[Fate] = frozenset({Fate.SCRATCH})
    adopts: frozenset[type[Op]] = frozenset({Recreate})
    adopts_first: frozenset[type[Op]] = frozenset({Recreate})
    adopts_of_many: bool = True
    keeps_partial: bool = True
    stages_travel: bool = True
    dialect: Callable[[], Any] | None = None


class Profile(Struct, frozen=True):
    """The profile that a live endpoint of this connector satisfies, as `postgres_live`."""

    name: str
    meaning: str


class Connector(Struct, Generic[C], frozen=True):
    """A connector: a value, found under the entry-point group `dpone.connectors`.

    `schemes` are the URL schemes of its connections (`dpone.manifest.urls`); the first is the canonical one. `machine`
    says what this machine has of what the connector needs: drivers, native clients.
    """

    name: str
    distribution: str
    config: type[C]
    types: TypeMap
    profile: Profile
    schemes: tuple[str, ...]
    source: SourceSpec[C] | None = None
    sink: SinkSpec[C] | None = None
    machine: Callable[[], Sequence[Finding]] | None = None
    api: int = API


def not_an_end(connector: Connector[Any], role: str) -> PlanError:
    return PlanError(
        f"{connector.name} is not a {role}",
        code="plan.not_an_end",
        hint="`dpone connectors --details` shows what each can do",
    )


def lazy(path: str) -> Callable[..., Any]:
    """A callable that imports `module:name` when it is first called, so that a declaration needs no driver.

    A driver that is not installed answers with its pip line, a connector that is only declared so far says so.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        from importlib import import_module

        module, _, name = path.partition(":")
        try:
            loaded = import_module(module)
        except ModuleNotFoundError as missing:
            failure = _unopened(module, missing)
            if failure is None:
                raise  # a fault of the connector's own, which its author must see
        else:
            return getattr(loaded, name)(*args, **kwargs)
        raise failure  # here, and not within the clause above: nobody needs the import's traceback

    return call


def _unopened(module: str, missing: ModuleNotFoundError) -> DponeError | None:
    """What it means that `module` cannot be imported because of `missing`; None when something is broken."""
    from importlib.metadata import entry_points

    package, absent = module.partition(".")[0], missing.name or ""
    points = entry_points(group="dpone.connectors")
    owner = next((p.dist.name for p in points if p.module.partition(".")[0] == package and p.dist), package)
    if absent == module:
        return PlanError(
            f"this version of {owner} declares what it can do, and cannot connect yet",
            code="connector.not_built",
            hint=f"pip install --upgrade {owner}",
        )
    if absent.partition(".")[0] in {package, "dpone", ""}:
        return None
    return MissingPackage(f"{owner} needs {absent.partition('.')[0]}, which is not installed", install=owner)
