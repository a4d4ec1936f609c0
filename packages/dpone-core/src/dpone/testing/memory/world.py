"""What a store holds at one moment: tables, state, ledgers and slots, as one immutable value that a commit replaces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from dpone.connector import Chunk, Commit, Layout, Stored
from dpone.errors import UsageError
from dpone.names import print_name
from dpone.schema import Schema
from dpone.stage import Change
from dpone.where import Row

Name = tuple[str, ...]

LONGEST_NAME = 100  # bytes of UTF-8 in one part; a longer one is refused, never cut


@dataclass(frozen=True, slots=True)
class Marker:
    """What the last publish wrote beside the rows: every pipeline's position, and the commit, to mend the state by."""

    stored: Mapping[str, Stored]
    pipeline: str
    run_id: str
    chunk: Chunk | None = None

    @property
    def load_id(self) -> str:
        return self.stored[self.pipeline].load_id


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Table:
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


@dataclass(frozen=True, slots=True)
class Unread:
    """A table that is on disk, and was not asked for yet."""

    file: str
    read: Callable[[str], Table]


class Catalog(Mapping[Name, Table]):
    """Tables by name; one on disk is read when it is first asked for. Never changed, only replaced."""

    def __init__(self, entries: Mapping[Name, Table | Unread] | None = None) -> None:
        self._entries = dict(entries or {})

    def __getitem__(self, name: Name) -> Table:
        entry = self._entries[name]
        if isinstance(entry, Unread):
            entry = self._entries[name] = entry.read(entry.file)
        return entry

    def __iter__(self) -> Iterator[Name]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def entries(self) -> Iterable[tuple[Name, Table | Unread]]:
        """All of them, without reading any."""
        return self._entries.items()

    def having(self, name: Name, table: Table | None) -> Catalog:
        """The catalog with this table put in, or taken away when None."""
        changed = Catalog(self._entries)
        if table is None:
            changed._entries.pop(name, None)
        else:
            changed._entries[name] = table
        return changed


@dataclass(frozen=True, slots=True)
class Leftover:
    """An entry of the ledger: a stage or a shadow that exists, or that a process was about to make."""

    id: str
    target: Name
    kind: str  # stage | shadow
    at: datetime


@dataclass(frozen=True, slots=True)
class World:
    """One committed state. `xid` numbers transactions, `lsn` entries of change logs; both only grow."""

    system: str
    xid: int = 1
    lsn: int = 0
    tables: Catalog = field(default_factory=Catalog)
    shadows: Catalog = field(default_factory=Catalog)  # by the one part of their name
    stored: Mapping[tuple[Name, str], Stored] = field(default_factory=dict)
    loads: Mapping[Name, frozenset[str]] = field(default_factory=dict)
    chunks: Mapping[tuple[Name, str], frozenset[str]] = field(default_factory=dict)
    slots: Mapping[tuple[Name, str], int] = field(default_factory=dict)
    ledger: tuple[Leftover, ...] = ()

    def with_table(self, name: Name, table: Table | None) -> World:
        """The world with this table put in, or taken away when None."""
        return replace(self, tables=self.tables.having(name, table))

    def with_shadow(self, name: str, table: Table | None) -> World:
        return replace(self, shadows=self.shadows.having((name,), table))

    def with_commit(self, target: Name, pipeline: str, commit: Commit) -> World:
        """The world whose state tables remember this commit."""
        world = replace(
            self,
            stored={**self.stored, (target, pipeline): commit.new},
            loads={**self.loads, target: self.loads.get(target, frozenset()) | {commit.new.load_id}},
        )
        if commit.chunk is None:
            return world
        at = (target, commit.chunk.plan)
        done = {**self.chunks, at: self.chunks.get(at, frozenset()) | {commit.chunk.id}}
        if commit.chunk.last:
            del done[at]
        return replace(world, chunks=done)

    def others(self, target: Name, pipeline: str) -> Sequence[str]:
        return sorted(p for t, p in self.stored if t == target and p != pipeline)


def refuse_long_name(name: Iterable[str]) -> None:
    """Raises when a part of a name would have to be cut."""
    for part in name:
        if len(part.encode()) > LONGEST_NAME:
            raise UsageError(
                f"the name {print_name((part,))} has {len(part.encode())} bytes; a store keeps {LONGEST_NAME}",
                code="names.too_long",
                hint="choose a shorter name; it is never cut, because two names could become one",
            )
