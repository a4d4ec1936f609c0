"""What a source gives to a load: its rows inside the filter and the window, one for each key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dpone_certify.postconditions.options import Condition, Key, Options, Refused, Row
from dpone_certify.postconditions.rows import by_key, has_null, is_nan, key_of, mark, marks

_TESTS: Mapping[str, Callable[..., bool]] = {
    "=": lambda found, value: found == value,
    "!=": lambda found, value: found != value,
    "<": lambda found, value: found < value,
    "<=": lambda found, value: found <= value,
    ">": lambda found, value: found > value,
    ">=": lambda found, value: found >= value,
    "in": lambda found, value: any(found == v for v in value),
    "not_in": lambda found, value: all(found != v for v in value),
    "not_null": lambda _found, _value: True,
}


_BY_ORDER = frozenset({"<", "<=", ">", ">="})


def inside(row: Row, where: Sequence[Condition]) -> bool:
    """Every condition is true of the row; of NULL only is_null is, of NaN none that asks for an order."""
    for column, name, value in where:
        found = row.get(column)
        if name == "is_null":
            if found is not None:
                return False
        elif found is None or (name in _BY_ORDER and is_nan(found)) or not _TESTS[name](found, value):
            return False
    return True


def between(value: object, lo: object, hi: object) -> bool:
    """True for lo <= value < hi, where None leaves an end open; NULL and NaN lie only between two open ends."""
    if value is None or is_nan(value):
        return lo is None and hi is None
    return (lo is None or lo <= value) and (hi is None or value < hi)  # type: ignore[operator]  # one ordered column


def scanned(source: Sequence[Row], options: Options) -> list[Row]:
    """The rows of a source that a full reading gives."""
    rows = [row for row in source if inside(row, options.where)]
    if options.bounds is not None and options.slice_column is not None:
        column, (lo, hi) = options.slice_column, options.bounds
        rows = [row for row in rows if row.get(column) is not None and between(row[column], lo, hi)]
    return rows


def since(source: Sequence[Row], options: Options) -> list[Row]:
    """The rows whose cursor is in the window; rows without a cursor come with a first reading only."""
    rows = scanned(source, options)
    if options.cursor is None:
        return rows
    return [row for row in rows if between(row.get(options.cursor), options.since, options.upto)]


def changed(before: Sequence[Row], after: Sequence[Row], options: Options) -> list[Row]:
    """The rows that were written between the two states of the source."""
    old = {key: {marks(row, options.columns) for row in rows} for key, rows in by_key(before, options.key).items()}
    return [
        row
        for row in scanned(after, options)
        if (key := key_of(row, options.key)) in options.touched or marks(row, options.columns) not in old.get(key, ())
    ]


def one_per_key(rows: Sequence[Row], options: Options) -> list[Row]:
    """The last row of each key by the declared order, or the refusal that the source does not have one."""
    if not options.key:
        return list(rows)
    kept = []
    for group in by_key((row for row in rows if not has_null(row, options.key)), options.key).values():
        if len(group) > 1 and options.duplicates == "fail":
            raise Refused("stage.duplicate_key")
        best = [row for row in group if not any(_follows(other, row, options.order) for other in group)]
        if len({marks(row, options.columns) for row in best}) > 1:
            raise Refused("stage.duplicate_key")
        kept.append(best[0])
    if any(has_null(row, options.key) for row in rows):
        raise Refused("stage.null_key")
    return kept


def _follows(left: Row, right: Row, order: Sequence[str]) -> bool:
    """`left` comes after `right`; NULL comes before everything, NaN before every number."""
    for column in order:
        mine, other = left.get(column), right.get(column)
        if mark(mine) == mark(other):
            continue
        if mine is None or other is None:
            return other is None
        if is_nan(mine) or is_nan(other):
            return is_nan(other)
        return bool(mine > other)  # type: ignore[operator]  # one ordered column
    return False


def keys(rows: Sequence[Row], options: Options) -> set[Key]:
    return {key_of(row, options.key) for row in rows}
