"""What a store holds under one name at one moment, as one immutable value that a commit replaces whole.

A commit touches one name: the table, its state and its ledger together. Nothing spans names, as nothing of a load does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct, field
from msgspec.structs import replace

from dpone.connector import Chunk, Commit, Dataset, Json, KeptStage, Layout, Stored
from dpone.errors import UsageError
from dpone.names import too_long
from dpone.readings import table_missing
from dpone.schema import Schema
from dpone.stage import Change
from dpone.where import Row

Name = tuple[str, ...]

LONGEST_NAME = 100  # bytes of UTF-8 in one part; a longer one is refused, never cut


class Marker(Struct, frozen=True):
    """What the last publish wrote beside the rows: every pipeline's position, and the commit, to mend the state by."""

    stored: Mapping[str, Stored]
    pipeline: str
    run_id: str
    chunk: Chunk | None = None

    @property
    def load_id(self) -> str:
        return self.stored[self.pipeline].load_id


class Table(Struct, frozen=True, eq=False, weakref=True):
    """A table, equal to itself alone: each row stands beside the number of the transaction that wrote it.

    `log` is the change log, kept when `logged`; `appended` are the loads whose rows an append has added.
    """

    layout: Layout
    rows: tuple[tuple[int, Row], ...] = ()
    appended: frozenset[str] = frozenset()
    marker: Marker | None = None
    logged: bool = False
    log: tuple[Change, ...] = ()

    @property
    def schema(self) -> Schema:
        return self.layout.schema

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, the system's behind the content's."""
        system = (c.field.name for c in self.layout.system)
        return tuple(dict.fromkeys((*self.layout.schema.names, *system)))

    @property
    def content(self) -> list[Row]:
        return [row for _, row in self.rows]

    def committed(self, begun: int, xid: int) -> Table:
        """The same table; rows written since `begun` are those of the transaction that commits them.

        Otherwise a reader who came between would have moved past them.
        """
        return replace(self, rows=tuple((xid if number >= begun else number, row) for number, row in self.rows))

    def rewritten(self, rows: Iterable[Row], xid: int) -> Table:
        """The same table with these rows; one that is the very same object keeps the transaction that wrote it."""
        wrote = {id(row): number for number, row in self.rows}
        return replace(self, rows=tuple((wrote.get(id(row), xid), row) for row in rows))


class Leftover(Struct, frozen=True):
    """An entry of the ledger: a stage or a shadow that exists, or that a process was about to make."""

    id: str
    kind: str  # stage | shadow
    at: datetime
    kept: KeptStage | None = None  # a sealed stage that outlives its process


class Cell(Struct, frozen=True):
    """All that is held under one name. `xid` numbers transactions, `lsn` entries of the change log; both only grow."""

    name: Name
    xid: int = 1
    lsn: int = 0
    table: Table | None = None
    shadows: Mapping[str, Table] = field(default_factory=dict)
    stored: Mapping[str, Stored] = field(default_factory=dict)  # by pipeline
    loads: frozenset[str] = frozenset()
    records: tuple[Mapping[str, Json], ...] = ()  # of committed loads, the newest first
    chunks: Mapping[str, frozenset[str]] = field(default_factory=dict)  # by plan
    slots: Mapping[str, int] = field(default_factory=dict)  # by pipeline
    ledger: tuple[Leftover, ...] = ()

    def with_shadow(self, shadow: str, table: Table | None) -> Cell:
        """The cell with this shadow put in, or taken away when None."""
        rest = {name: other for name, other in self.shadows.items() if name != shadow}
        return replace(self, shadows=rest if table is None else {**rest, shadow: table})

    def noting(self, entry: Leftover) -> Cell:
        """The cell whose ledger names a leftover that is about to be made."""
        return replace(self, ledger=(*self.ledger, entry))

    def keeping(self, leftover: str, kept: KeptStage) -> Cell:
        """The cell whose ledger says that this stage is kept."""
        return replace(self, ledger=tuple(replace(e, kept=kept) if e.id == leftover else e for e in self.ledger))

    def without(self, leftover: str) -> Cell:
        """The cell without this stage or shadow, nor its entry in the ledger."""
        cell = self.with_shadow(leftover, None)
        return replace(cell, ledger=tuple(e for e in cell.ledger if e.id != leftover))

    def with_commit(self, pipeline: str, commit: Commit) -> Cell:
        """The cell whose state remembers this commit."""
        cell = replace(
            self,
            stored={**self.stored, pipeline: commit.new},
            loads=self.loads | {commit.new.load_id},
            records=(commit.record, *self.records) if commit.record else self.records,
        )
        if commit.chunk is None:
            return cell
        plan = commit.chunk.plan
        done = {**self.chunks, plan: self.chunks.get(plan, frozenset()) | {commit.chunk.id}}
        if commit.chunk.last:
            del done[plan]
        return replace(cell, chunks=done)


def table_of(cell: Cell, dataset: Dataset) -> Table:
    """The table that a dataset names, or an error that names it."""
    if dataset.query is not None:
        raise UsageError("a store in memory runs no queries", code="source.no_queries", hint="name a table")
    refuse_long_name(dataset.name)
    if cell.table is None:
        raise table_missing(dataset.name)
    return cell.table


def refuse_long_name(name: Iterable[str]) -> None:
    """Raises when a part of a name would have to be cut."""
    for part in name:
        if len(part.encode()) > LONGEST_NAME:
            raise too_long("a store in memory", part, len(part.encode()), LONGEST_NAME)
