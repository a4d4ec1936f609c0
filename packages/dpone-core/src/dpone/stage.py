"""What a stage holds and how sealing reduces it: the semantics, on rows in memory.

A raw stage is a list of changes. Sealing leaves `live` rows, `dead` keys, `present` keys and the flag `cleared`; no
key is in both live and dead. `dpone.sql.seal` renders the same for engines; tests hold the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, assert_never

from msgspec import Struct, field

from dpone.errors import DataError
from dpone.ops import Domain, Grain
from dpone.where import Row, is_nan, lies_within, matches

Key = tuple[object, ...]


class ChangeKind(Enum):
    """The one letter that a raw stage stores in its change column."""

    UPSERT = "U"
    DELETE = "D"
    TRUNCATE = "T"
    PRESENT = "P"


class Change(Struct, frozen=True):
    """One entry of a raw stage: `seq` orders changes, `kept` are the columns whose value the source did not send."""

    row: Row
    kind: ChangeKind = ChangeKind.UPSERT
    seq: int = 0
    kept: frozenset[str] = frozenset()


class Live(Struct, frozen=True):
    """A row to land; a partial one keeps the stored values of the columns in `kept`."""

    row: Row
    kept: frozenset[str] = frozenset()


class Sealed(Struct, frozen=True):
    """A stage after sealing. `stamps` are constants of the load that are written beside each row and never compared."""

    live: tuple[Live, ...] = ()
    dead: tuple[Key, ...] = ()
    present: tuple[Key, ...] = ()
    cleared: bool = False
    stamps: Mapping[str, object] = field(default_factory=dict)

    @property
    def rows(self) -> list[Row]:
        return [entry.row for entry in self.live]


class Duplicates(Enum):
    """What several staged rows of one key mean."""

    FAIL = "fail"
    LAST = "last"


class OnTruncate(Enum):
    """What a TRUNCATE at the source means for the target."""

    APPLY = "apply"
    STOP = "stop"


class Sealing(Struct, frozen=True):
    """How a raw stage is reduced.

    `changes` says that entries carry a kind and a sequence; otherwise every entry is an upsert, and `order` names the
    columns whose greatest values make a duplicate the last one.
    """

    columns: tuple[str, ...]
    key: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    changes: bool = False
    duplicates: Duplicates = Duplicates.FAIL
    on_truncate: OnTruncate = OnTruncate.APPLY


def canonical(value: object) -> object:
    """A value under dpone's equality: NULL equals NULL, NaN equals NaN, zero has no sign, nested values likewise."""
    match value:
        case float() | Decimal() if value != value:  # noqa: PLR0124 -- NaN is the one value unequal to itself
            return "NaN", type(value).__name__
        case float() | Decimal() if value == 0:
            return type(value)(0)
        case bytearray() | memoryview():
            return bytes(value)
        case list() | tuple():
            return tuple(map(canonical, value))
        case dict():
            return tuple(sorted((k, canonical(v)) for k, v in value.items()))
        case _:
            return value


def same(left: Row, right: Row, columns: Iterable[str]) -> bool:
    return all(canonical(left.get(c)) == canonical(right.get(c)) for c in columns)


def key_of(row: Row, key: Sequence[str]) -> Key:
    return tuple(canonical(row[c]) for c in key)


def seal(entries: Iterable[Change], how: Sealing) -> Sealed:
    """The stage that these entries amount to."""
    return _seal_changes(list(entries), how) if how.changes else _seal_rows(list(entries), how)


def _seal_rows(entries: list[Change], how: Sealing) -> Sealed:
    present = tuple(key_of(e.row, how.key) for e in entries if e.kind is ChangeKind.PRESENT)
    rows = [e.row for e in entries if e.kind is ChangeKind.UPSERT]
    if not how.key:
        return Sealed(tuple(map(Live, rows)))
    groups: dict[Key, list[Row]] = {}
    loose: list[Row] = []  # a NULL in the key: the domain refuses these later, counted, not collapsed
    for row in rows:
        key = key_of(row, how.key)
        loose.append(row) if None in key else groups.setdefault(key, []).append(row)
    return Sealed(
        live=tuple(map(Live, [*loose, *(_last(key, group, how) for key, group in groups.items())])),
        present=present,
    )


def _last(key: Key, group: list[Row], how: Sealing) -> Row:
    if len(group) == 1:
        return group[0]
    if how.duplicates is Duplicates.FAIL:
        raise duplicate_key(key, how.key)
    greatest = max(_rank(row, how.order) for row in group)
    last, *ties = [row for row in group if _rank(row, how.order) == greatest]
    if any(not same(last, tie, how.columns) for tie in ties):
        raise duplicate_key(key, how.key)
    return last


def _rank(row: Row, order: Sequence[str]) -> tuple[tuple[int, Any], ...]:
    """Rows without a declared order all rank alike."""
    return tuple(standing(row[c]) for c in order)


def standing(value: object) -> tuple[int, Any]:
    """Where a value stands in an ordered column: NULL is the least, then comes NaN, then what has an order."""
    if value is None:
        return 0, 0
    return (1, 0) if is_nan(value) else (2, canonical(value))


def duplicate_key(key: Key, names: Sequence[str]) -> DataError:
    return DataError(
        f"the source holds several different rows for one key ({', '.join(names)})",
        code="stage.duplicate_key",
        hint="set `duplicates: last` with an order that decides, or choose a key that is unique",
        key=list(key),
    )


def _seal_changes(entries: list[Change], how: Sealing) -> Sealed:
    entries.sort(key=lambda e: e.seq)
    cleared = False
    for at in range(len(entries) - 1, -1, -1):
        if entries[at].kind is ChangeKind.TRUNCATE:
            if how.on_truncate is OnTruncate.STOP:
                raise truncated()
            entries, cleared = entries[at + 1 :], True
            break
    if not how.key:
        return Sealed(tuple(Live(e.row, e.kept) for e in entries if e.kind is ChangeKind.UPSERT), cleared=cleared)
    present = tuple(key_of(e.row, how.key) for e in entries if e.kind is ChangeKind.PRESENT)
    changes = [(key_of(e.row, how.key), e) for e in entries if e.kind in {ChangeKind.UPSERT, ChangeKind.DELETE}]
    _refuse_unordered(changes, how)
    live: dict[Key, Live] = {}
    dead: dict[Key, None] = {}
    loose: list[Live] = []
    for key, entry in changes:
        if entry.kind is ChangeKind.DELETE:
            live.pop(key, None)
            dead[key] = None
        elif None in key:
            loose.append(Live(entry.row, entry.kept))
        else:
            if entry.kept and key not in live and (cleared or key in dead):
                raise partial_without_base(key)
            live[key] = _fold(live.get(key), entry)
            dead.pop(key, None)
    return Sealed((*loose, *live.values()), tuple(dead), present, cleared)


def _refuse_unordered(changes: list[tuple[Key, Change]], how: Sealing) -> None:
    """Raises when two changes of one key share a sequence number: which of them is the last would be chance."""
    seen: set[tuple[Key, int]] = set()
    for key, entry in changes:
        if None in key:
            continue
        if (key, entry.seq) in seen:
            raise duplicate_key(key, how.key)
        seen.add((key, entry.seq))


def truncated() -> DataError:
    return DataError(
        "the source table was truncated",
        code="stage.truncated",
        hint="`on_truncate: apply` carries it out at the target; a full resync is the alternative",
    )


def _fold(before: Live | None, entry: Change) -> Live:
    """The change laid over an earlier one of the same window."""
    if before is None or not entry.kept:
        return Live(entry.row, entry.kept)
    row = {c: before.row.get(c) if c in entry.kept else v for c, v in entry.row.items()}
    return Live(row, before.kept & entry.kept)


def partial_without_base(key: Key) -> DataError:
    return DataError(
        "a change keeps columns of a row that is not there",
        code="stage.partial_without_base",
        hint="set REPLICA IDENTITY FULL on the source table, or run `dpone resync`",
        key=list(key),
    )


def partial_needs_upsert() -> DataError:
    return DataError(
        "partial rows need an upsert",
        code="stage.partial_without_base",
        hint="set REPLICA IDENTITY FULL on the source table, or choose a strategy that keeps rows by their key",
    )


def unsealed() -> DataError:
    return DataError("the stage was not sealed", code="stage.unsealed", hint="seal() comes before publishing")


_CORRECT = "nothing was published; correct the rows at the source, or filter them out"


def null_key(column: str, rows: object = None) -> DataError:
    """`rows` where they were counted."""
    found = "a staged row holds" if rows is None else f"{rows} staged rows hold"
    return DataError(f"{found} NULL in {column}", code="stage.null_key", hint=_CORRECT)


def outside_where() -> DataError:
    return DataError("staged rows do not match the filter of the load", code="stage.outside_where", hint=_CORRECT)


def outside_bounds(rows: object) -> DataError:
    return DataError(
        f"{rows} staged rows lie outside the bounds of the load", code="stage.outside_bounds", hint=_CORRECT
    )


def outside(code: str, rows: int) -> DataError:
    """The same where a whole domain was looked at, and the first demand that was broken is known by its code."""
    return DataError(f"{rows} staged rows are outside the domain of the program", code=code, hint=_CORRECT, rows=rows)


def outside_domain(sealed: Sealed, bound: Domain) -> dict[str, int]:
    """How many entries break each demand of the domain, the first one that they break; empty when none does.

    The order of the demands is that of the domain, whatever the order of the rows.
    """
    broken = {"stage.null_key": 0, "stage.outside_where": 0, "stage.outside_bounds": 0}
    for entry in sealed.live:
        row = entry.row
        if any(row[c] is None for c in bound.not_null):
            broken["stage.null_key"] += 1
        elif not matches(row, bound.where):
            broken["stage.outside_where"] += 1
        elif bound.bounds is not None:
            column, lo, hi = bound.bounds
            if not lies_within(row[column], lo, hi):
                broken["stage.outside_bounds"] += 1
    broken["stage.null_key"] += sum(None in key for key in (*sealed.dead, *sealed.present))
    return {code: rows for code, rows in broken.items() if rows}


def slice_of(value: object, grain: Grain) -> object:
    """The start of the slice that a date or an instant lies in; the value itself for grain `value`.

    Instants are cut in UTC, so that equal ones lie in one slice whatever their offsets.
    """
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC)
    match grain:
        case Grain.VALUE:
            return canonical(value)
        case Grain.HOUR:
            assert isinstance(value, datetime)  # the plan refuses hours of a date
            return value.replace(minute=0, second=0, microsecond=0)
        case Grain.DAY:
            return value.replace(hour=0, minute=0, second=0, microsecond=0) if isinstance(value, datetime) else value
        case Grain.MONTH:
            start = slice_of(value, Grain.DAY)
            assert isinstance(start, date)  # a datetime is one
            return start.replace(day=1)
        case Grain.YEAR:
            start = slice_of(value, Grain.DAY)
            assert isinstance(start, date)  # a datetime is one
            return start.replace(month=1, day=1)
        case _:
            assert_never(grain)
