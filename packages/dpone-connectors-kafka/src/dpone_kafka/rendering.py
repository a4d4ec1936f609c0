"""From a program, a sealed stage and what is known of the target to the messages that carry the program out.

Pure: no driver, no clock, no topic. A target is a set of rows, each under the key of its message; a load is the
difference between the set before and after. Of a row that need not be looked into a hash is known, and nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import assert_never

from msgspec import Struct, field

from dpone.connector import Layout
from dpone.errors import DataError, PlanError
from dpone.ops import (
    Append,
    DeleteAbsent,
    DeleteKeys,
    DeletePolicy,
    Flag,
    Guard,
    Hard,
    Ignore,
    Op,
    Program,
    Recreate,
    ReplaceAll,
    ReplaceSlice,
    Upsert,
    Version,
)
from dpone.oracle import Counts, guard_against
from dpone.stage import same, standing
from dpone.where import Row, Where, matches


class Need(IntEnum):
    """How much of the target a program must know, from nothing to every value."""

    NOTHING = 0
    KEYS = 1  # the index: keys and hashes
    VALUES = 2  # the topic itself, read to its end


class Known(Struct, frozen=True):
    """A row of the target; `row` is there where values were asked for."""

    hash: bytes
    row: Row | None = None


class Staged(Struct, frozen=True):
    """A sealed stage. `keys` are those of the program, one for each row; empty ones where rows have no key.

    `row` gives the values of a staged row, `stamps` are the load's constants, `columns` those that the load carries.
    """

    keys: Sequence[bytes]
    hashes: Sequence[bytes]
    row: Callable[[int], Row]
    columns: tuple[str, ...]
    dead: frozenset[bytes] = frozenset()
    present: frozenset[bytes] = frozenset()
    cleared: bool = False
    stamps: Mapping[str, object] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.hashes)


class Changed(Struct, frozen=True):
    """A stored row with other values; it takes the hash of a staged one where its content is that row's."""

    row: Row
    hash: bytes | None = None


Slot = Known | int | Changed  # int: the number of a staged row
Rows = dict[bytes, Slot]  # by the keys of messages


class Rendered(Struct, frozen=True):
    """The difference: what is written under which key, which keys get a tombstone, and what each operation did."""

    writes: Mapping[bytes, int | Changed]
    tombstones: tuple[bytes, ...]
    counts: tuple[Counts, ...]
    rows: Mapping[bytes, Slot]  # the target afterwards
    appended: frozenset[str]
    epoch: bool = False  # everything before it is superseded


def need_of(program: Program, layout: Layout, columns: Sequence[str]) -> Need:
    """What must be known of the target for this program."""
    return max((_need(op, layout, columns) for op in program), default=Need.NOTHING)


def _need(op: Op, layout: Layout, columns: Sequence[str]) -> Need:
    key = layout.schema.key
    match op:
        case Recreate() | ReplaceAll(where=()):
            return Need.KEYS
        case ReplaceAll():
            return Need.VALUES
        case Append(unless=unless):
            if unless and unless != key:
                return Need.VALUES
            return Need.KEYS if key else Need.NOTHING
        case Upsert(key=asked, newer=newer):
            whole = set(layout.schema.names) <= set(columns)
            return Need.KEYS if asked == key and newer is None and whole else Need.VALUES
        case DeleteKeys(key=asked, how=how):
            return Need.KEYS if asked == key and not isinstance(how, Flag) else Need.VALUES
        case DeleteAbsent(key=asked, how=how, within=within):
            return Need.KEYS if asked == key and not isinstance(how, Flag) and not within else Need.VALUES
        case ReplaceSlice() | Version():
            raise PlanError(
                f"Kafka does not carry out {type(op).__name__}: a topic has neither ranges nor rows to close",
                code="plan.unsupported_strategy",
                hint="choose another strategy, or another sink",
            )
        case _:
            assert_never(op)


class Render(Struct):
    """One program on its way. `encode` is the key of a row under these columns, `fresh` makes keys for rows without."""

    layout: Layout
    staged: Staged
    encode: Callable[[Row, tuple[str, ...]], bytes]
    fresh: Callable[[int], bytes]
    appended: frozenset[str] = frozenset()
    hit: Callable[[], None] = lambda: None
    rows: Rows = field(default_factory=dict)
    epoch: bool = False

    def carry_out(self, program: Program, known: Mapping[bytes, Known]) -> Rendered:
        """The difference that the whole program makes."""
        self.rows = dict(known)
        counts = []
        for op in program:
            counts.append(self._carry_out(op))
            self.hit()
        writes = {key: slot for key, slot in self.rows.items() if not isinstance(slot, Known)}
        gone = tuple(key for key in known if key not in self.rows)
        return Rendered(writes, gone, tuple(counts), self.rows, self.appended, self.epoch)

    def _carry_out(self, op: Op) -> Counts:
        match op:
            case Recreate(guard=guard):
                self.epoch = True
                return self._exchange((), guard)
            case ReplaceAll(where=where, guard=guard):
                return self._exchange(where, guard)
            case Append():
                return self._append(op)
            case Upsert():
                return self._upsert(op)
            case DeleteKeys(key=key, how=how):
                there = {*self.staged.keys}
                return self._delete(
                    how, key, lambda k: k in self.staged.dead or (self.staged.cleared and k not in there)
                )
            case DeleteAbsent():
                return self._delete_absent(op)
            case ReplaceSlice() | Version():
                _need(op, self.layout, ())  # which refuses it
                raise AssertionError
            case _:
                assert_never(op)

    # ----------------------------------------------------------------- exchanging

    def _exchange(self, where: Where, guard: Guard) -> Counts:
        """Rows within the filter are those of the stage. One that is there already is left, unless it is stamped."""
        reached = self.rows if not where else {k: s for k, s in self.rows.items() if matches(self._row(s), where)}
        before, after = len(reached), len(self.staged)
        guard_against(guard, before=before, after=after, removed=max(0, before - after))
        rest = {} if not where else {k: s for k, s in self.rows.items() if k not in reached}
        made = self._kept_or_made(reached)
        if taken := next((key for key in made if key in rest), None):
            raise key_taken(taken)
        self.rows = {**rest, **made}
        return _difference(reached, made)

    def _kept_or_made(self, reached: Mapping[bytes, Slot]) -> Rows:
        made: Rows = {}
        stamped = bool(self.staged.stamps)
        if self.layout.schema.key:
            for number, (key, found) in enumerate(zip(self._message_keys(), self.staged.hashes, strict=True)):
                if key in made:
                    raise key_taken(key)
                before = reached.get(key)
                same_row = isinstance(before, Known) and before.hash == found and not stamped
                made[key] = before if same_row and before is not None else number
            return made
        alike: dict[bytes, list[bytes]] = defaultdict(list)
        if not stamped:
            for key, slot in reached.items():
                if isinstance(slot, Known):
                    alike[slot.hash].append(key)
        for number, found in enumerate(self.staged.hashes):
            if waiting := alike.get(found):
                key = waiting.pop()
                made[key] = reached[key]
            else:
                made[self.fresh(number)] = number
        return made

    def _message_keys(self) -> Iterable[bytes]:
        """The keys under which staged rows are written, in a target whose rows have one."""
        key = self.layout.schema.key
        if len(self.staged.keys) == len(self.staged):
            return self.staged.keys
        return (self.encode(self.staged.row(number), key) for number in range(len(self.staged)))

    # ------------------------------------------------------------------- appending

    def _append(self, op: Append) -> Counts:
        if op.load_id in self.appended:
            return Counts()
        self.appended |= {op.load_id}
        there = {key for key, _ in self._by(op.unless)} if op.unless else set()
        keys = list(self._message_keys()) if self.layout.schema.key else None
        added = 0
        for number in range(len(self.staged)):
            if op.unless and self._asked_key(number, op.unless) in there:
                continue
            key = self.fresh(number) if keys is None else keys[number]
            if key in self.rows:
                raise key_taken(key)
            self.rows[key] = number
            added += 1
        return Counts(inserted=added)

    def _asked_key(self, number: int, columns: tuple[str, ...]) -> bytes:
        if len(self.staged.keys) == len(self.staged):
            return self.staged.keys[number]
        return self.encode(self.staged.row(number), columns)

    def _by(self, columns: tuple[str, ...]) -> Iterator[tuple[bytes, bytes]]:
        """The key of each row under these columns, and that of its message."""
        if columns == self.layout.schema.key:
            yield from ((key, key) for key in self.rows)
        else:
            yield from ((self.encode(self._row(slot), columns), key) for key, slot in self.rows.items())

    # -------------------------------------------------------------------- upserting

    def _upsert(self, op: Upsert) -> Counts:
        places: dict[bytes, list[bytes]] = defaultdict(list)
        if op.key != self.layout.schema.key:
            for asked, key in self._by(op.key):
                places[asked].append(key)
        inserted = updated = 0
        for number, asked in enumerate(self.staged.keys):
            at = places.get(asked, ()) if op.key != self.layout.schema.key else (asked,) if asked in self.rows else ()
            for key in at:
                updated += self._update(op, number, key)
            if not at:
                self.rows[asked if op.key == self.layout.schema.key else self._new_key(number)] = number
                inserted += 1
        return Counts(inserted=inserted, updated=updated)

    def _new_key(self, number: int) -> bytes:
        key = self.layout.schema.key
        return self.encode(self.staged.row(number), key) if key else self.fresh(number)

    def _update(self, op: Upsert, number: int, key: bytes) -> bool:
        """Whether the stored row took the staged one's values."""
        slot = self.rows[key]
        if isinstance(slot, Known) and slot.row is None:
            if slot.hash == self.staged.hashes[number]:
                return False
            self.rows[key] = number
            return True
        stored, fresh = self._row(slot), self.staged.row(number)
        if op.newer is not None and standing(fresh[op.newer]) < standing(stored[op.newer]):
            return False
        flagged = op.flag is not None and stored.get(op.flag) is not None
        if not flagged and same(fresh, stored, self.staged.columns):
            return False
        whole = set(self.layout.schema.names) <= set(self.staged.columns)
        values = {c: fresh.get(c) for c in self.staged.columns}
        unflagged = {op.flag: None} if op.flag else {}
        self.rows[key] = number if whole else Changed({**stored, **values, **self.staged.stamps, **unflagged})
        return True

    # --------------------------------------------------------------------- deleting

    def _delete_absent(self, op: DeleteAbsent) -> Counts:
        there = {*self.staged.keys} | self.staged.present
        if isinstance(op.how, Ignore):
            return Counts()
        flag = op.how.column if isinstance(op.how, Flag) else None

        def inside(slot: Slot) -> bool:
            return not op.within or matches(self._row(slot), op.within)

        reach = absent = 0
        for asked, key in self._by(op.key):
            slot = self.rows[key]
            if inside(slot) and not (flag and self._row(slot).get(flag) is not None):
                reach += 1
                absent += asked not in there
        guard_against(op.guard, before=reach, after=len(there), removed=absent)
        return self._delete(op.how, op.key, lambda k: k not in there, inside)

    def _delete(
        self,
        how: DeletePolicy,
        columns: tuple[str, ...],
        gone: Callable[[bytes], bool],
        inside: Callable[[Slot], bool] = lambda _: True,
    ) -> Counts:
        if isinstance(how, Ignore):
            return Counts()
        hit = [key for asked, key in self._by(columns) if gone(asked) and inside(self.rows[key])]
        match how:
            case Hard():
                for key in hit:
                    del self.rows[key]
                return Counts(deleted=len(hit))
            case Flag(column=column, at=at):
                flagged = 0
                for key in hit:
                    row = self._row(self.rows[key])
                    if row.get(column) is None:
                        self.rows[key] = Changed({**row, column: at})
                        flagged += 1
                return Counts(updated=flagged)
            case _:
                assert_never(how)

    # ----------------------------------------------------------------------- values

    def _row(self, slot: Slot) -> Row:
        """The values of a row as it is now."""
        match slot:
            case int():
                row = self.staged.row(slot)
                system = {c.field.name: None for c in self.layout.system}
                return {**dict.fromkeys(self.layout.schema.names), **system, **row, **self.staged.stamps}
            case Changed(row=row):
                return row
            case Known(row=None):
                raise AssertionError("a row was asked for that was not read")
            case Known(row=row):
                assert row is not None  # the case before it
                return row
            case _:
                assert_never(slot)


def _difference(before: Mapping[bytes, Slot], after: Mapping[bytes, Slot]) -> Counts:
    inserted = sum(key not in before for key in after)
    updated = sum(key in before and before[key] is not slot for key, slot in after.items())
    return Counts(inserted, updated, sum(key not in after for key in before))


def key_taken(key: bytes) -> DataError:
    return DataError(
        "two rows would lie under one key of the topic, where the later message takes the place of the other",
        code="sink.key_taken",
        hint="give the strategy the key of the target, or choose one that is unique",
        key=key.decode(errors="replace"),
    )
