"""The oracle: what each operation means, carried out on rows in memory.

Engines are right when they end with the rows that this module ends with. It knows nothing of strategies, connectors
or SQL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import assert_never

from msgspec import Struct, field

from dpone.errors import DataError
from dpone.ops import (
    Absent,
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
from dpone.ops import domain as domain_of
from dpone.stage import (
    Key,
    Live,
    Sealed,
    canonical,
    key_of,
    outside,
    outside_domain,
    partial_needs_upsert,
    partial_without_base,
    same,
    slice_of,
    standing,
)
from dpone.where import Row, lies_within, matches


class Counts(Struct, frozen=True):
    """What a program did; for every program, rows after = rows before + inserted - deleted."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.inserted + other.inserted, self.updated + other.updated, self.deleted + other.deleted)


class Table(Struct, frozen=True):
    """A target: `columns` are its content; system columns (flag, interval, stamps) stand beside them in the rows."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...] = ()
    loads: frozenset[str] = field(default_factory=frozenset)  # load ids that were appended


def refuse_outside(program: Program, stage: Sealed) -> None:
    """Raises when the program is not defined for what is staged."""
    if broken := outside_domain(stage, domain_of(program)):
        code, rows = next(iter(broken.items()))
        raise outside(code, rows)
    if any(entry.kept for entry in stage.live) and not any(isinstance(op, Upsert) for op in program):
        raise partial_needs_upsert()


def apply(program: Program, table: Table, stage: Sealed) -> tuple[Table, Counts]:
    """The table after the whole program, or an error with the table untouched."""
    refuse_outside(program, stage)
    counts = Counts()
    for op in program:
        table, done = _carry_out(op, table, stage)
        counts += done
    return table, counts


def _carry_out(op: Op, table: Table, stage: Sealed) -> tuple[Table, Counts]:
    match op:
        case Recreate():
            return _recreate(op, table, stage)
        case ReplaceAll():
            return _exchange(table, stage, lambda row: matches(row, op.where), op.guard)
        case Append():
            return _append(op, table, stage)
        case Upsert():
            return _upsert(op, table, stage)
        case DeleteKeys():
            return _delete_keys(op, table, stage)
        case DeleteAbsent():
            return _delete_absent(op, table, stage)
        case ReplaceSlice():
            return _exchange(table, stage, _in_slice(op, stage), op.guard)
        case Version():
            return _version(op, table, stage)
        case _:
            assert_never(op)


def guard_against(guard: Guard, *, before: int, after: int, removed: int) -> None:
    """Stops a load that would empty its reach, or remove more of it than the guard allows."""
    if before and not after and not guard.allow_empty:
        raise DataError(
            f"the load would leave none of the {before} rows in its reach",
            code="guard.empty",
            hint="if the source really is empty, set `guard: {allow_empty: true}`",
            before=before,
        )
    if after and removed > guard.max_removed_share * before:
        raise DataError(
            f"the load would remove {removed} of the {before} rows in its reach; "
            f"at most {guard.max_removed_share:.0%} is allowed",
            code="guard.removed_share",
            hint="if that is right, raise `guard: {max_removed_share: ...}`",
            before=before,
            removed=removed,
        )


def _fresh(entry: Live, table: Table, stage: Sealed) -> Row:
    return {**{c: entry.row.get(c) for c in table.columns}, **stage.stamps}


def _with_rows(table: Table, rows: Iterable[Row]) -> Table:
    return Table(table.columns, tuple(rows), table.loads)


def _unflagged(rows: Iterable[Row], how: DeletePolicy) -> list[Row]:
    return [r for r in rows if not (isinstance(how, Flag) and r.get(how.column) is not None)]


def _recreate(op: Recreate, table: Table, stage: Sealed) -> tuple[Table, Counts]:
    before, after = len(table.rows), len(stage.live)
    guard_against(op.guard, before=before, after=after, removed=max(0, before - after))
    return _with_rows(table, [_fresh(e, table, stage) for e in stage.live]), Counts(inserted=after, deleted=before)


def _exchange(table: Table, stage: Sealed, reached: Callable[[Row], bool], guard: Guard) -> tuple[Table, Counts]:
    inside = [row for row in table.rows if reached(row)]
    before, after = len(inside), len(stage.live)
    guard_against(guard, before=before, after=after, removed=max(0, before - after))
    rest = [row for row in table.rows if not reached(row)]
    rows = [*rest, *(_fresh(e, table, stage) for e in stage.live)]
    return _with_rows(table, rows), Counts(inserted=after, deleted=before)


def _append(op: Append, table: Table, stage: Sealed) -> tuple[Table, Counts]:
    if op.load_id in table.loads:
        return table, Counts()
    there = {key_of(r, op.unless) for r in table.rows} if op.unless else set()
    added = [_fresh(e, table, stage) for e in stage.live if not op.unless or key_of(e.row, op.unless) not in there]
    return Table(table.columns, (*table.rows, *added), table.loads | {op.load_id}), Counts(inserted=len(added))


def _upsert(op: Upsert, table: Table, stage: Sealed) -> tuple[Table, Counts]:
    staged = {key_of(e.row, op.key): e for e in stage.live}
    missing = dict(staged)
    rows: list[Row] = []
    updated = 0
    for row in table.rows:  # every row of a key: a target that was filled in another way may hold several
        key = key_of(row, op.key)
        missing.pop(key, None)
        entry = staged.get(key)
        if entry is None or not _supersedes(entry, row, op) or _unchanged(entry, row, op, table):
            rows.append(row)
            continue
        kept = {c: row.get(c) for c in entry.kept}
        rows.append({**row, **_fresh(entry, table, stage), **kept, **({op.flag: None} if op.flag else {})})
        updated += 1
    for key, entry in missing.items():
        if entry.kept:
            raise partial_without_base(key)
        rows.append(_fresh(entry, table, stage))
    return _with_rows(table, rows), Counts(inserted=len(missing), updated=updated)


def _supersedes(entry: Live, stored: Row, op: Upsert) -> bool:
    """Equal or newer wins, as does a row that keeps the stored value."""
    if op.newer is None or op.newer in entry.kept:
        return True
    return standing(entry.row[op.newer]) >= standing(stored[op.newer])


def _unchanged(entry: Live, row: Row, op: Upsert, table: Table) -> bool:
    if op.flag and row.get(op.flag) is not None:
        return False
    return same(entry.row, row, (c for c in table.columns if c not in entry.kept))


def _delete(table: Table, how: DeletePolicy, gone: Callable[[Row], bool]) -> tuple[Table, Counts]:
    hit = [i for i, row in enumerate(table.rows) if gone(row)]
    match how:
        case Ignore():
            return table, Counts()
        case Hard():
            reached = set(hit)
            rows = [row for i, row in enumerate(table.rows) if i not in reached]
            return _with_rows(table, rows), Counts(deleted=len(hit))
        case Flag(column=column, at=at):
            reached = {i for i in hit if table.rows[i].get(column) is None}
            rows = [{**row, column: at} if i in reached else row for i, row in enumerate(table.rows)]
            return _with_rows(table, rows), Counts(updated=len(reached))
        case _:
            assert_never(how)


def _delete_keys(op: DeleteKeys, table: Table, stage: Sealed) -> tuple[Table, Counts]:
    dead = set(stage.dead)
    live = {key_of(e.row, op.key) for e in stage.live}

    def gone(row: Row) -> bool:
        key = key_of(row, op.key)
        return key in dead or (stage.cleared and key not in live)

    return _delete(table, op.how, gone)


def _delete_absent(op: DeleteAbsent, table: Table, stage: Sealed) -> tuple[Table, Counts]:
    there = {key_of(e.row, op.key) for e in stage.live} | set(stage.present)

    def absent(row: Row) -> bool:
        return matches(row, op.within) and key_of(row, op.key) not in there

    if not isinstance(op.how, Ignore):
        reach = [r for r in _unflagged(table.rows, op.how) if matches(r, op.within)]
        guard_against(op.guard, before=len(reach), after=len(there), removed=sum(map(absent, reach)))
    return _delete(table, op.how, absent)


def _in_slice(op: ReplaceSlice, stage: Sealed) -> Callable[[Row], bool]:
    column = op.column
    if op.bounds is not None:
        lo, hi = op.bounds
        return lambda row: lies_within(row[column], lo, hi)
    staged = {slice_of(e.row[column], op.grain) for e in stage.live}
    return lambda row: row[column] is not None and slice_of(row[column], op.grain) in staged


def _version(op: Version, table: Table, stage: Sealed) -> tuple[Table, Counts]:
    opened, closed = op.names
    staged = {key_of(e.row, op.key): e for e in stage.live}
    if op.absent is Absent.EXPIRE:
        _guard_expiry(op, table, staged.keys())
    if any(row[end] is not None and row[end] > op.at for row in table.rows for end in op.names):  # type: ignore[operator]  # instants
        raise at_not_after(op)
    versions = Counter(key_of(row, op.key) for row in table.rows if row[closed] is None)
    for key, many in versions.items():
        if many > 1:
            raise two_open_versions(key)
    rows: list[Row] = []
    ended = 0
    for row in table.rows:
        if row[closed] is not None:
            rows.append(row)
            continue
        key = key_of(row, op.key)
        entry = staged.get(key)
        if entry is None and op.absent is Absent.KEEP:
            rows.append(row)
        elif entry is not None and same(entry.row, row, op.compare):
            rows.append(row)
            del staged[key]
        else:
            if canonical(row[opened]) == canonical(op.at):
                raise at_not_after(op)
            rows.append({**row, closed: op.at})
            ended += 1
    rows += [{**_fresh(e, table, stage), opened: op.at, closed: None} for e in staged.values()]
    return _with_rows(table, rows), Counts(inserted=len(staged), updated=ended)


def _guard_expiry(op: Version, table: Table, staged: Collection[Key]) -> None:
    reach = [key_of(row, op.key) for row in table.rows if row[op.names[1]] is None]
    guard_against(op.guard, before=len(reach), after=len(staged), removed=sum(key not in staged for key in reach))


def two_open_versions(key: Key = ()) -> DataError:
    return DataError(
        "a key has two open versions",
        code="target.two_open_versions",
        hint="something else wrote to the target: close all but one of them",
        key=list(key),
    )


def at_not_after(op: Version) -> DataError:
    return DataError(
        f"the load's time {op.at.isoformat()} is not after every version in the target",
        code="load.at_not_after",
        hint="check the clocks; versions are opened at the time of the load",
    )
