"""What a program does to the rows of one bucket, where keys and hashes are all that it must know, by whole columns.

It is `rendering` for programs that never look at a value, on prepared rows and changes: the same rules, said of arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct, field

from dpone.ops import Append, DeleteAbsent, DeleteKeys, Guard, Hard, Op, Program, Recreate, ReplaceAll, Upsert
from dpone.oracle import Counts, guard_against
from dpone_kafka.rendering import key_taken


class Reach(Struct):
    """What an operation with a guard found within its reach, over all buckets."""

    guard: Guard
    before: int = 0
    after: int = 0
    absent: int | None = None  # None: as many as there are fewer afterwards

    def refuse_excess(self) -> None:
        removed = max(0, self.before - self.after) if self.absent is None else self.absent
        guard_against(self.guard, before=self.before, after=self.after, removed=removed)


class Tally(Struct):
    """What the operations of a program did, over all buckets that were decided so far."""

    program: Program
    counts: list[Counts] = field(default_factory=list)
    reaches: dict[int, Reach] = field(default_factory=dict)
    rows: int = 0  # of the target afterwards
    written: int = 0
    gone: int = 0

    def __post_init__(self) -> None:
        self.counts = [Counts()] * len(self.program)


class Bucket(Struct, frozen=True):
    """What is staged and what is known of the target, under the keys of one bucket; keys of each are unique."""

    staged: pa.Table
    known: pa.Table
    dead: Any = None  # keys that were deleted
    present: Any = None  # keys that the source has, staged or not
    cleared: bool = False


class Decided(Struct, frozen=True):
    """Of one bucket: which staged rows are written, which keys get a tombstone, which entries stay as they are."""

    written: Any  # a mask over the staged rows
    gone: Any  # keys
    untouched: pa.Table  # of the known entries


def decide(tally: Tally, given: Bucket, *, stamped: bool, appended: frozenset[str]) -> Decided:
    """The difference that the program makes in one bucket.

    `stamped` says that each load writes something of its own in every row; `appended` are the loads that are there.
    """
    bucket = _Rows(given, stamped=stamped, appended=appended)
    for number, op in enumerate(tally.program):
        tally.counts[number] += bucket.carry_out(op, tally.reaches, number)
    found = bucket.decided()
    tally.rows += bucket.size()
    tally.written += _true(found.written)
    tally.gone += len(found.gone)
    return found


class _Rows:
    """Staged rows are there or not, and fresh where the load's own stands in the target.

    The others are rows of the target that the load does not hold; each of them stays or does not.
    """

    def __init__(self, given: Bucket, *, stamped: bool, appended: frozenset[str]) -> None:
        staged, known = given.staged, given.known
        self._given = given
        self._known = known
        self._keys = staged.column("key").combine_chunks()
        self._appended = appended
        at: Any = pc.index_in(self._keys, known.column("key").combine_chunks())
        self._there: Any = pc.is_valid(at)
        equal: Any = pc.equal(known.column("hash").combine_chunks().take(at), staged.column("hash").combine_chunks())
        self._equal: Any = equal.fill_null(False)
        self._kept: Any = _none(len(self._keys)) if stamped else self._equal
        self._fresh: Any = _none(len(self._keys))
        self._is_other: Any = pc.invert(pc.is_in(known.column("key").combine_chunks(), self._keys))
        self._stays: Any = self._is_other

    def size(self) -> int:
        return _true(self._there) + _true(self._stays)

    def carry_out(self, op: Op, reaches: dict[int, Reach], number: int) -> Counts:
        match op:
            case Recreate(guard=guard) | ReplaceAll(where=(), guard=guard):
                self._reach(reaches, number, guard, after=len(self._keys))
                return self._exchange()
            case Append(load_id=load_id, unless=unless):
                return Counts() if load_id in self._appended else self._append(unless)
            case Upsert():
                changed = pc.and_(self._there, pc.invert(pc.or_(self._fresh, self._equal)))
                return self._write(changed)
            case DeleteAbsent(how=Hard(), guard=guard):
                present = self._given.present
                more = 0 if present is None else _true(pc.invert(pc.is_in(present, self._keys)))
                reach = self._reach(reaches, number, guard, after=len(self._keys) + more)
                gone = self._drop_others(None if present is None else pc.invert(self._in_known(present)))
                reach.absent = (reach.absent or 0) + gone
                return Counts(deleted=gone)
            case DeleteKeys(how=Hard()):
                dead = self._given.dead
                if self._given.cleared:
                    return Counts(deleted=self._drop_others())
                return Counts(deleted=0 if dead is None else self._drop_others(self._in_known(dead)))
            case DeleteAbsent() | DeleteKeys():  # rows that went are left where they are
                return Counts()
            case _:
                raise AssertionError(op)  # it looks at values

    def _reach(self, reaches: dict[int, Reach], number: int, guard: Guard, after: int) -> Reach:
        reach = reaches.setdefault(number, Reach(guard))
        reach.before += self.size()
        reach.after += after
        return reach

    def _exchange(self) -> Counts:
        kept = pc.and_(self._there, pc.and_(self._kept, pc.invert(self._fresh)))
        inserted, there = _true(pc.invert(self._there)), _true(self._there)
        updated = there - _true(kept)
        self._there, self._fresh = _all(len(self._keys)), pc.invert(kept)
        return Counts(inserted, updated, self._drop_others())

    def _append(self, unless: Sequence[str]) -> Counts:
        if not unless and _true(self._there):
            raise key_taken(self._keys.filter(self._there)[0].as_py())
        return self._write(_none(len(self._keys)))

    def _write(self, changed: Any) -> Counts:
        """The rows that are not there yet, and these, are the load's."""
        added = pc.invert(self._there)
        self._fresh = pc.or_(self._fresh, pc.or_(added, changed))
        self._there = _all(len(self._keys))
        return Counts(_true(added), _true(changed))

    def _in_known(self, keys: Any) -> Any:
        return pc.is_in(self._known.column("key").combine_chunks(), keys)

    def _drop_others(self, which: Any = None) -> int:
        """All of them, or those of this mask, go; how many went."""
        gone = self._stays if which is None else pc.and_(self._stays, which)
        self._stays = pc.and_not(self._stays, gone)
        return _true(gone)

    def decided(self) -> Decided:
        keys = self._known.column("key").combine_chunks()
        went = pc.and_not(self._is_other, self._stays)
        left = pc.and_not(pc.invert(pc.is_in(keys, self._keys.filter(self._fresh))), went)
        return Decided(self._fresh, keys.filter(went), self._known.filter(left))


def _true(mask: Any) -> int:
    return int(pc.sum(mask).as_py() or 0)


def _none(size: int) -> Any:
    return pa.repeat(False, size)


def _all(size: int) -> Any:
    return pa.repeat(True, size)
