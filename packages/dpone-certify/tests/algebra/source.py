"""A source that changes, and the test's own reading of it: what a load stages, and what rows alone cannot tell of it.

This is written from the side of the source: which rows it has, which it would send. It knows nothing of programs.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct, field

from algebra.rows import NAMES, Row
from dpone.stage import Change, ChangeKind

EditKind = Literal[
    "insert", "update", "partial", "delete", "touch", "rekey", "reinsert", "restore", "truncate", "orphan", "tie"
]
ORDINARY: tuple[EditKind, ...] = ("insert", "update", "partial", "delete", "touch", "rekey", "reinsert", "restore")
FAULTY: tuple[EditKind, ...] = ("orphan", "tie")


class Edit(Struct, frozen=True):
    """One thing that happens at the source. `index` picks a row, `columns` those that an update writes."""

    kind: EditKind
    row: Row = field(default_factory=dict)
    index: int = 0
    columns: tuple[str, ...] = ()


Key = tuple[object, ...]


def key_of(row: Row, key: Sequence[str]) -> Key:
    return tuple(row[c] for c in key)


def edited(
    source: Sequence[Row], edits: Sequence[Edit], key: tuple[str, ...], past: Sequence[Row], *, unique: bool
) -> list[Row]:
    """A source that is a bag of rows, after the edits; with `unique`, a row takes the place of its key's."""
    rows = list(source)

    def put(row: Row) -> None:
        if unique and key:
            rows[:] = [r for r in rows if key_of(r, key) != key_of(row, key)]
        rows.append(row)

    for edit in edits:
        at = edit.index % len(rows) if rows else None
        match edit.kind:
            case "insert":
                put(edit.row)
            case "restore" if past:
                put(past[edit.index % len(past)])
            case "truncate":
                rows.clear()
            case _ if at is None:
                pass
            case "update" | "partial":
                rows[at] = {**rows[at], **{c: edit.row[c] for c in edit.columns if c not in key}}
            case "reinsert":
                rows[at] = {**edit.row, **{c: rows[at][c] for c in key}}
            case "rekey":
                put({**rows.pop(at), **{c: edit.row[c] for c in key}})
            case "delete":
                del rows[at]
            case _:
                pass
    return rows


class Log(Struct):
    """A source with a unique key that records every change; `faulty` once it recorded something that cannot be."""

    key: tuple[str, ...]
    rows: dict[Key, Row]
    past: Sequence[Row]
    entries: list[Change] = field(default_factory=list)
    sent: dict[Key, set[str] | None] = field(default_factory=dict)  # since the last whole row; None: all
    touched: set[Key] = field(default_factory=set)
    truncated: bool = False
    faulty: bool = False

    def apply(self, edit: Edit) -> None:
        keys = list(self.rows)
        picked = keys[edit.index % len(keys)] if keys else None
        match edit.kind:
            case "insert":
                self._whole(edit.row)
            case "restore":
                if self.past:
                    self._whole(self.past[edit.index % len(self.past)])
            case "truncate":
                self._truncate()
            case "orphan":
                self._orphan(edit)
            case "tie":
                self._tie(edit)
            case _ if picked is None:
                pass
            case "update":
                self._whole({**self.rows[picked], **self._written(edit)})
            case "partial":
                self._partial(picked, self._written(edit))
            case "touch":
                self._whole(self.rows[picked])
            case "delete":
                self._delete(picked)
            case "reinsert":
                self._delete(picked)
                self._whole({**edit.row, **dict(zip(self.key, picked, strict=True))})
            case "rekey":
                self._rekey(picked, edit.row)

    def changes(self, seed: int) -> list[Change]:
        """The entries with sequence numbers that leave gaps, in an arbitrary order of arrival."""
        dice = random.Random(seed)
        numbers: list[int] = []
        seq = dice.randrange(3)
        for entry in self.entries:
            numbers.append(seq if entry.seq == 0 else numbers[-1])  # a tie shares the number before it
            seq = numbers[-1] + dice.randint(1, 3)
        changes = [Change(e.row, e.kind, n, e.kept) for e, n in zip(self.entries, numbers, strict=True)]
        dice.shuffle(changes)
        return changes

    def unsent(self) -> dict[Key, frozenset[str]]:
        """For each key that is there and was never written whole: the columns that no change brought."""
        known = {key: names for key, names in self.sent.items() if names is not None and key in self.rows}
        return {key: frozenset(NAMES) - names - set(self.key) for key, names in known.items()}

    def _written(self, edit: Edit) -> Row:
        return {c: edit.row[c] for c in edit.columns if c not in self.key}

    def _record(self, kind: ChangeKind, row: Row, kept: frozenset[str] = frozenset(), tie: int = 0) -> None:
        self.entries.append(Change(row, kind, tie, kept))

    def _whole(self, row: Row) -> None:
        key = key_of(row, self.key)
        self.rows[key] = row
        self.sent[key] = None
        self.touched.add(key)
        self._record(ChangeKind.UPSERT, row)

    def _partial(self, key: Key, written: Row) -> None:
        row = {**self.rows[key], **written}
        kept = frozenset(c for c in NAMES if c not in self.key and c not in written)
        self.rows[key] = row
        if (already := self.sent.get(key, set())) is not None:
            self.sent[key] = already | set(written)
        self.touched.add(key)
        self._record(ChangeKind.UPSERT, {c: None if c in kept else v for c, v in row.items()}, kept)

    def _delete(self, key: Key) -> None:
        del self.rows[key]
        self.sent.pop(key, None)
        self.touched.add(key)
        self._record(ChangeKind.DELETE, self._bare(key))

    def _rekey(self, key: Key, row: Row) -> None:
        new = key_of(row, self.key)
        if new in self.rows:
            return
        moved = {**self.rows[key], **{c: row[c] for c in self.key}}
        self._delete(key)
        self._whole(moved)

    def _truncate(self) -> None:
        self.rows.clear()
        self.sent.clear()
        self.touched.clear()
        self.truncated = True
        self._record(ChangeKind.TRUNCATE, dict.fromkeys(NAMES))

    def _orphan(self, edit: Edit) -> None:
        """A partial change of a key that was deleted just before."""
        self.faulty = True
        key = key_of(edit.row, self.key)
        self._record(ChangeKind.DELETE, self._bare(key))
        self._record(ChangeKind.UPSERT, edit.row, frozenset(NAMES[-1:]))

    def _tie(self, edit: Edit) -> None:
        """Two changes of one key with one sequence number."""
        self.faulty = True
        self._record(ChangeKind.UPSERT, edit.row)
        self._record(ChangeKind.DELETE, self._bare(key_of(edit.row, self.key)), tie=1)

    def _bare(self, key: Key) -> Row:
        return {**dict.fromkeys(NAMES), **dict(zip(self.key, key, strict=True))}


def staged(rows: Sequence[Row]) -> list[Change]:
    return [Change(row) for row in rows]


def presence(rows: Sequence[Row], key: Sequence[str]) -> list[Change]:
    """The keys of rows, said to be there."""
    return [Change({c: row[c] if c in key else None for c in NAMES}, ChangeKind.PRESENT) for row in rows]
