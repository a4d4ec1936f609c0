"""What happens in a run, as one stream of plain facts that log lines, progress bar, report and lineage observe.

The runner formats no string; an observer is any callable that takes an event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from dpone.batch import Choice
from dpone.connector import Layout, Position, SchemaChange, Staged
from dpone.errors import DponeError
from dpone.ops import Op
from dpone.oracle import Counts
from dpone.schema import Schema


@dataclass(frozen=True, slots=True)
class DatasetName:
    """A dataset as the world calls it: where it is, and its name there, by the naming of OpenLineage. No secret."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class ColumnFlow:
    """A column of the target: its type there, and where its values come from. Without source dpone adds it itself."""

    name: str
    type: str
    source: str | None = None
    source_type: str | None = None
    change: str | None = None  # cast | mask | hash


@dataclass(frozen=True, slots=True)
class RunStarted:
    run_id: str
    stream: str
    source: str
    sink: str
    strategy: str
    reads: DatasetName | None = None  # None for a query
    writes: DatasetName | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """`decided_by` are the source's columns by which rows are chosen."""

    digest: str
    columns: tuple[ColumnFlow, ...] = ()
    decided_by: tuple[str, ...] = ()
    target: str = ""


@dataclass(frozen=True, slots=True)
class LeaseTaken:
    generation: int
    position: Position | None
    load_id: str | None = None  # of the last load; None where nothing is stored


@dataclass(frozen=True, slots=True)
class ReadingOpened:
    schema: Schema
    upto: Position | None
    splits: int


@dataclass(frozen=True, slots=True)
class ReadingContinued:
    """The reading goes on after so many parts that a process had read which did not come to its end."""

    parts: int
    begun: datetime


@dataclass(frozen=True, slots=True)
class FormatChosen:
    choice: Choice


@dataclass(frozen=True, slots=True)
class NothingNew:
    """The source has nothing beyond the stored position; nothing was staged and nothing published."""

    upto: Position | None


@dataclass(frozen=True, slots=True)
class BatchStaged:
    split: str
    rows: int | None
    nbytes: int


@dataclass(frozen=True, slots=True)
class StageSealed:
    """`seconds` is how long reading and staging took."""

    staged: Staged
    load_id: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class StageValidated:
    """The stage of this load may be published."""

    load_id: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class StageKept:
    """The validated stage of this load is there until it is published, whatever becomes of this process."""

    load_id: str


@dataclass(frozen=True, slots=True)
class StageAdopted:
    """The sealed stage of an earlier process is published instead of reading again."""

    load_id: str
    staged: Staged


@dataclass(frozen=True, slots=True)
class CheckPassed:
    name: str
    found: str


@dataclass(frozen=True, slots=True)
class LayoutEnsured:
    layout: Layout
    changes: tuple[SchemaChange, ...]


@dataclass(frozen=True, slots=True)
class OpApplied:
    op: Op
    counts: Counts


@dataclass(frozen=True, slots=True)
class Reconciled:
    level: str
    rows_before: int
    rows_after: int
    finalise_seconds: float = 0.0  # layout and program
    reconcile_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class StateCommitted:
    load_id: str
    generation: int
    position: Position | None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class SourceSettled:
    position: Position | None


@dataclass(frozen=True, slots=True)
class ChunkSkipped:
    """A chunk that an earlier run of the same backfill committed."""

    chunk: str


@dataclass(frozen=True, slots=True)
class RunFinished:
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
