"""Changes of a table by its own users, not by a load: what a testkit does to a source, with a change log where it is
kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from dpone.stage import Change, ChangeKind, canonical, key_of
from dpone.testing.memory.cell import Cell, Name, Table
from dpone.testing.memory.store import Store
from dpone.testing.testkit import Delete, Insert, Mutation, Truncate, Update
from dpone.where import Row

# A text of this length that an update leaves as it was is not written to the log again, as PostgreSQL does with TOAST.
KEPT_LENGTH = 2_000


class _Transaction(Struct):
    table: Table
    lsn: int
    log: list[Change] = field(default_factory=list)

    def note(self, row: Row, kind: ChangeKind, kept: Iterable[str] = ()) -> None:
        self.lsn += 1
        self.log.append(Change(row, kind, self.lsn, frozenset(kept)))


def mutate(store: Store, name: Name, mutations: Sequence[Mutation]) -> None:
    """The mutations are committed together."""

    def change(cell: Cell) -> Cell:
        assert cell.table is not None  # it was seeded
        doing = _Transaction(cell.table, cell.lsn)
        rows = cell.table.content
        for mutation in mutations:
            rows = _mutated(rows, mutation, doing)
        table = cell.table.rewritten(rows, cell.xid)
        if table.logged:
            table = replace(table, log=(*table.log, *doing.log))
        return replace(cell, xid=cell.xid + 1, lsn=doing.lsn, table=table)

    store.transact(name, change)


def _mutated(rows: list[Row], mutation: Mutation, doing: _Transaction) -> list[Row]:
    key = doing.table.schema.key
    match mutation:
        case Insert(row=row):
            whole = {c: row.get(c) for c in doing.table.columns}
            doing.note(whole, ChangeKind.UPSERT)
            return [*rows, whole]
        case Update(key=wanted, values=values):
            at = _find(rows, wanted)
            before, after = rows[at], {**rows[at], **values}
            if key and key_of(before, key) != key_of(after, key):
                doing.note(before, ChangeKind.DELETE)
                doing.note(after, ChangeKind.UPSERT)
            else:
                doing.note(after, ChangeKind.UPSERT, _unsent(before, after))
            return [*rows[:at], after, *rows[at + 1 :]]
        case Delete(key=wanted):
            at = _find(rows, wanted)
            doing.note(rows[at], ChangeKind.DELETE)
            return [*rows[:at], *rows[at + 1 :]]
        case Truncate():
            doing.note(dict.fromkeys(doing.table.columns), ChangeKind.TRUNCATE)
            return []


def _find(rows: Sequence[Row], wanted: Row) -> int:
    (at,) = (i for i, row in enumerate(rows) if all(canonical(row[c]) == canonical(v) for c, v in wanted.items()))
    return at


def _unsent(before: Row, after: Row) -> Iterable[str]:
    for column, value in after.items():
        if isinstance(value, str) and len(value) > KEPT_LENGTH and before[column] == value:
            yield column
