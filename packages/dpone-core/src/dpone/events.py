"""What happens in a run, as one stream of plain facts that log lines, progress bar, report and lineage observe.

The runner formats no string; an observer is any callable that takes an event.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from dpone.batch import Choice
from dpone.connector import Layout, Position, SchemaChange, Staged
from dpone.errors import DponeError
from dpone.ops import Op
from dpone.oracle import Counts
from dpone.schema import Schema


class DatasetName(Struct, frozen=True):
    """A dataset as the world calls it: where it is, and its name there, by the naming of OpenLineage. No secret."""

    namespace: str
    name: str


class ColumnFlow(Struct, frozen=True):
    """A column of the target: its type there, and where its values come from. Without source dpone adds it itself."""

    name: str
    type: str
    source: str | None = None
    source_type: str | None = None
    change: str | None = None  # cast | mask | hash


class RunStarted(Struct, frozen=True):
    run_id: str
    stream: str
    source: str
    sink: str
    strategy: str
    reads: DatasetName | None = None  # None for a query
    writes: DatasetName | None = None


class Planned(Struct, frozen=True):
    """`decided_by` are the source's columns by which rows are chosen."""

    digest: str
    columns: tuple[ColumnFlow, ...] = ()
    decided_by: tuple[str, ...] = ()
    target: str = ""


class LeaseTaken(Struct, frozen=True):
    generation: int
    position: Position | None
    load_id: str | None = None  # of the last load; None where nothing is stored


class ReadingOpened(Struct, frozen=True):
    schema: Schema
    upto: Position | None
    splits: int


class ReadingContinued(Struct, frozen=True):
    """The reading goes on after so many parts that a process had read which did not come to its end."""

    parts: int
    begun: datetime


class FormatChosen(Struct, frozen=True):
    choice: Choice


class NothingNew(Struct, frozen=True):
    """The source has nothing beyond the stored position; nothing was staged and nothing published."""

    upto: Position | None


class BatchStaged(Struct, frozen=True):
    split: str
    rows: int | None
    nbytes: int


class StageSealed(Struct, frozen=True):
    """`seconds` is how long reading and staging took."""

    staged: Staged
    load_id: str = ""
    seconds: float = 0.0


class StageValidated(Struct, frozen=True):
    """The stage of this load may be published."""

    load_id: str
    seconds: float = 0.0


class StageKept(Struct, frozen=True):
    """The validated stage of this load is there until it is published, whatever becomes of this process."""

    load_id: str


class StageAdopted(Struct, frozen=True):
    """The sealed stage of an earlier process is published instead of reading again."""

    load_id: str
    staged: Staged


class CheckPassed(Struct, frozen=True):
    name: str
    found: str


class LayoutEnsured(Struct, frozen=True):
    layout: Layout
    changes: tuple[SchemaChange, ...]


class OpApplied(Struct, frozen=True):
    op: Op
    counts: Counts


class Reconciled(Struct, frozen=True):
    level: str
    rows_before: int
    rows_after: int
    finalise_seconds: float = 0.0  # layout and program
    reconcile_seconds: float = 0.0


class StateCommitted(Struct, frozen=True):
    load_id: str
    generation: int
    position: Position | None
    seconds: float = 0.0


class SourceSettled(Struct, frozen=True):
    position: Position | None


class ChunkSkipped(Struct, frozen=True):
    """A chunk that an earlier run of the same backfill committed."""

    chunk: str


class RunFinished(Struct, frozen=True):
    status: str  # succeeded | failed | interrupted
    seconds: float
    error_code: str | None = None
    error: str | None = None
    cause: DponeError | None = None


Event = (
    RunStarted
    | Planned
    | LeaseTaken
    | ReadingOpened
    | ReadingContinued
    | FormatChosen
    | NothingNew
    | BatchStaged
    | StageSealed
    | StageValidated
    | StageKept
    | StageAdopted
    | CheckPassed
    | LayoutEnsured
    | OpApplied
    | Reconciled
    | StateCommitted
    | SourceSettled
    | ChunkSkipped
    | RunFinished
)
Observer = Callable[[str, Event], None]  # the stream, and what happened in it
