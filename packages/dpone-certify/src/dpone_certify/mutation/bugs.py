"""The bugs that are planted: at each seam one at least for every strategy."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any

from msgspec.structs import replace

from dpone.connector import CHANGE_FIELDS, Commit
from dpone.ops import (
    Absent,
    Append,
    DeleteAbsent,
    DeleteKeys,
    Grain,
    Ignore,
    Op,
    Program,
    Recreate,
    ReplaceAll,
    ReplaceSlice,
    Upsert,
    Version,
)
from dpone.strategies import STRATEGIES, Read
from dpone.where import Compare, Condition
from dpone_certify.certification.seeded import AMOUNT, DAY, KEY, MOMENT, NAME, SEQ
from dpone_certify.mutation.tampering import Bug, Rows

ALL = frozenset(STRATEGIES)
_SINCE = frozenset({"incremental_append"})
_CHANGES = frozenset({"cdc"})
_SCANNED = frozenset(name for name, rule in STRATEGIES.items() if rule.read is Read.SCAN)
_SEQUENCE, _KIND, _ = CHANGE_FIELDS
_OTHER = "a load that never was"


def _each(column: str, change: Callable[[Any], Any]) -> Callable[[Rows], Rows]:
    """The column of every row that has it, NULL or not."""
    return lambda rows: [{**row, column: change(row[column])} if column in row else row for row in rows]


def _known(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else change(value)


def _cut(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_DOWN).quantize(Decimal("0.0001"))


def _without_last(rows: Rows) -> Rows:
    return rows[:-1]


def _last_twice(rows: Rows) -> Rows:
    return [*rows, *rows[-1:]]


def _one_for_another(rows: Rows) -> Rows:
    """As many rows as before, the last one a copy of the one before it."""
    return [*rows[:-1], rows[-2]] if len(rows) > 1 else rows


def _swapped(rows: Rows) -> Rows:
    """Two rows have exchanged their names."""
    if len(rows) < 2:  # noqa: PLR2004 -- two rows
        return rows
    one, two, *rest = rows
    return [{**one, NAME: "of another row"}, {**two, NAME: one.get(NAME)}, *rest]


def _backwards(rows: Rows) -> Rows:
    """Changes come with numbers that say the opposite order."""
    return [{**row, _SEQUENCE: 10**12 - row[_SEQUENCE]} if row.get(_SEQUENCE) is not None else row for row in rows]


def _without_deletes(rows: Rows) -> Rows:
    return [row for row in rows if row.get(_KIND) != "D"]


def _from_the_start(request: Any) -> Any:
    return replace(request, since=None)


def _without_filter(request: Any) -> Any:
    return replace(request, where=())


def _beyond_the_first(rows: Rows) -> Rows:
    """Rows on the lower bound are taken to be known."""
    least = min((row[SEQ] for row in rows if row.get(SEQ) is not None), default=None)
    return [row for row in rows if row.get(SEQ) is None or row[SEQ] != least]


READER = (
    Bug("reader_drops_a_row", "reader", ALL, _without_last),
    Bug("reader_doubles_a_row", "reader", ALL - _CHANGES, _last_twice),
    Bug("reader_cuts_microseconds", "reader", ALL, _each(MOMENT, _known(_cut))),
    Bug("reader_makes_empty_text_null", "reader", ALL, _each(NAME, lambda v: v or None)),
    Bug("reader_makes_null_empty_text", "reader", ALL - _CHANGES, _each(NAME, lambda v: "" if v is None else v)),
    Bug("reader_trims_text", "reader", ALL, _each(NAME, _known(str.strip))),
    Bug("reader_rounds_amounts", "reader", ALL, _each(AMOUNT, _known(_rounded))),
    Bug("reader_is_a_day_off", "reader", ALL, _each(DAY, _known(lambda v: v + timedelta(days=1)))),
    Bug("reader_bound_is_off_by_one", "reader", ALL - _CHANGES, _beyond_the_first),
    Bug("reader_reads_from_the_start", "reader", _SINCE, request=_from_the_start),
    Bug("reader_forgets_the_range", "reader", frozenset({"backfill"}), request=_without_filter),
    Bug("reader_reorders_changes", "reader", _CHANGES, _backwards),
    Bug("reader_forgets_deletes", "reader", _CHANGES, _without_deletes),
)
WIRE = (
    Bug("wire_loses_a_row", "wire", ALL, _without_last),
    Bug("wire_sends_a_row_twice", "wire", ALL, _last_twice),
    Bug("wire_loses_letters", "wire", ALL, _each(NAME, _known(lambda v: v.encode("ascii", "replace").decode()))),
    Bug("wire_shifts_the_clock", "wire", ALL, _each(MOMENT, _known(lambda v: v - timedelta(hours=1)))),
    Bug("wire_negates_amounts", "wire", ALL, _each(AMOUNT, _known(lambda v: -v))),
    Bug("wire_mixes_rows_up", "wire", ALL, _swapped),
)
STAGE = (
    Bug("stage_holds_one_row_for_another", "stage", ALL, _one_for_another),
    Bug("stage_forgets_a_column", "stage", ALL, _each(AMOUNT, lambda _: None)),
    Bug("stage_takes_the_first_change", "stage", _CHANGES, _backwards),
)


def _ops(change: Callable[[Op], tuple[Op, ...]]) -> Callable[[Program], Program]:
    return lambda program: tuple(new for op in program for new in change(op))


def _without(*kinds: type[Any]) -> Callable[[Program], Program]:
    return _ops(lambda op: () if isinstance(op, kinds) else (op,))


def _as(kind: type[Any], change: Callable[[Any], Op]) -> Callable[[Program], Program]:
    return _ops(lambda op: (change(op),) if isinstance(op, kind) else (op,))


OPERATION = (
    Bug("operation_does_nothing", "operation", ALL, program=lambda _: ()),
    Bug("operation_skips_deletes", "operation", ALL, program=_without(DeleteAbsent, DeleteKeys)),
    Bug("operation_leaves_deleted", "operation", ALL, program=_as(DeleteAbsent, lambda op: replace(op, how=Ignore()))),
    Bug("operation_adds_instead_of_recreating", "operation", ALL, program=_as(Recreate, lambda _: Append(_OTHER))),
    Bug("operation_adds_instead_of_replacing", "operation", ALL, program=_as(ReplaceAll, lambda _: Append(_OTHER))),
    Bug(
        "operation_replaces_too_little",
        "operation",
        ALL,
        program=_as(ReplaceAll, lambda op: replace(op, where=(Condition(KEY, Compare.GT, 3),))),
    ),
    Bug(
        "operation_exchanges_the_wrong_slices",
        "operation",
        ALL,
        program=_as(ReplaceSlice, lambda op: replace(op, grain=Grain.YEAR)),
    ),
    Bug(
        "operation_exchanges_no_slice",
        "operation",
        ALL,
        program=_as(ReplaceSlice, lambda _: Append(_OTHER)),
    ),
    Bug("operation_inserts_only", "operation", ALL, program=_as(Upsert, lambda op: Append(_OTHER, op.key))),
    Bug(
        "operation_adds_twice",
        "operation",
        ALL,
        program=_ops(lambda op: (op, Append(_OTHER)) if isinstance(op, Append) else (op,)),
    ),
    Bug(
        "operation_keeps_absent_versions",
        "operation",
        ALL,
        program=_as(Version, lambda op: replace(op, absent=Absent.KEEP)),
    ),
    Bug("operation_overlooks_changes", "operation", ALL, program=_as(Version, lambda op: replace(op, compare=(DAY,)))),
)


def _stale(commit: Commit) -> Commit:
    was = commit.expected.position if commit.expected else None
    return replace(commit, new=replace(commit.new, position=was))


def _another(commit: Commit) -> Commit:
    return replace(commit, new=replace(commit.new, load_id=_OTHER))


POSITION = (
    Bug("position_is_stale", "position", ALL - _SCANNED, commit=_stale),
    Bug("position_is_of_another_load", "position", ALL, commit=_another),
)
COMPARATOR = (
    Bug("comparator_is_not_shown_a_row", "comparator", ALL, _without_last),
    Bug("comparator_is_shown_a_row_twice", "comparator", ALL, _last_twice),
    Bug(
        "comparator_is_shown_another_sign",
        "comparator",
        ALL,
        _each(AMOUNT, _known(lambda v: str(v) + "1" if isinstance(v, str) else v + 1)),
    ),
    Bug("comparator_is_shown_null_as_text", "comparator", ALL, _each(NAME, lambda v: "" if v is None else v)),
)
BUGS: tuple[Bug, ...] = (*READER, *WIRE, *STAGE, *OPERATION, *POSITION, *COMPARATOR)
