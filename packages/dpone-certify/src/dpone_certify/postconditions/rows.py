"""When two values are the same, when two rows are, and which rows of two bags have no counterpart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

from dpone_certify.postconditions.options import Key, Row

_NULL = ("null",)
_NAN = ("nan",)
_PLAIN = frozenset({int, str, bool, date})  # their own marks; most values are such


def mark(value: object) -> object:
    """Something hashable that is equal for values that are the same: NULL is NULL, NaN is NaN, 1.50 is 1.5."""
    if type(value) in _PLAIN:
        return value
    if value is None:
        return _NULL
    if is_nan(value):
        return _NAN
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)  # across zones Python finds the hour that a clock repeats equal to nothing
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, list | tuple):
        return list, tuple(mark(item) for item in value)
    if isinstance(value, dict):
        return dict, frozenset((str(name), mark(item)) for name, item in value.items())
    return value


def is_nan(value: object) -> bool:
    return isinstance(value, float | Decimal) and value != value  # noqa: PLR0124 - NaN is unequal to itself


def marks(row: Row, columns: Iterable[str]) -> Key:
    """The row's values in these columns, comparable; a column that the row does not have is NULL."""
    return tuple([mark(row.get(c)) for c in columns])


def alike(left: Row, right: Row, columns: Iterable[str]) -> bool:
    columns = tuple(columns)
    return marks(left, columns) == marks(right, columns)


def key_of(row: Row, key: Sequence[str]) -> Key:
    return marks(row, key)


def has_null(row: Row, columns: Iterable[str]) -> bool:
    return any(row.get(c) is None for c in columns)


def holds_null(key: Key) -> bool:
    return _NULL in key


def by_key(rows: Iterable[Row], key: Sequence[str]) -> dict[Key, list[Row]]:
    groups: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key_of(row, key)].append(row)
    return dict(groups)


def unpaired(left: Sequence[Row], right: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """The rows of each bag that have no counterpart in the other, over all columns of both."""
    columns = sorted({c for row in (*left, *right) for c in row})
    waiting: dict[Key, list[Row]] = defaultdict(list)
    for row in right:
        waiting[marks(row, columns)].append(row)
    alone = []
    for row in left:
        if twins := waiting[marks(row, columns)]:
            twins.pop()
        else:
            alone.append(row)
    return alone, [row for twins in waiting.values() for row in twins]
