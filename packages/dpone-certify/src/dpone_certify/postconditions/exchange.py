"""full_refresh, replace, partition_replace, backfill, incremental_append: rows are exchanged or added as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime

from dpone_certify.postconditions.options import Options, Refused, Row
from dpone_certify.postconditions.reading import between, inside, keys, one_per_key, scanned, since
from dpone_certify.postconditions.rows import has_null, key_of, mark


def landed(row: Row, options: Options) -> Row:
    """A row of the source as it stands in the target."""
    return {**{c: row.get(c) for c in options.columns}, **options.stamps}


def refuse_loss(before: int, remaining: int, removed: int, options: Options) -> None:
    """Raises when a load would take too much away."""
    if before > 0 and remaining == 0 and not options.allow_empty:
        raise Refused("guard.empty")
    if remaining > 0 and removed > before * options.max_removed_share:
        raise Refused("guard.removed_share")


def full_refresh(_old: Sequence[Row], source: Sequence[Row], target: Sequence[Row], options: Options) -> list[Row]:
    """The target holds the rows of the source and no others."""
    return _exchanged(one_per_key(scanned(source, options), options), target, lambda _row: True, options)


def replace(_old: Sequence[Row], source: Sequence[Row], target: Sequence[Row], options: Options) -> list[Row]:
    """Inside the filter the target holds the rows of the source; outside it is as it was."""
    rows = one_per_key(scanned(source, options), options)
    return _exchanged(rows, target, lambda row: inside(row, options.where), options)


def partition_replace(_old: Sequence[Row], source: Sequence[Row], target: Sequence[Row], options: Options) -> list[Row]:
    """In every slice in which the source has a row the target holds its rows; other slices are as they were."""
    assert options.slice_column is not None
    column = options.slice_column
    rows = one_per_key(scanned(source, options), options)
    if any(has_null(row, [column]) for row in rows):
        raise Refused("stage.null_key")
    slices = {cut(row[column], options.grain) for row in rows}

    def is_reached(row: Row) -> bool:
        return row.get(column) is not None and cut(row[column], options.grain) in slices

    return _exchanged(rows, target, is_reached, options)


def backfill(_old: Sequence[Row], source: Sequence[Row], target: Sequence[Row], options: Options) -> list[Row]:
    """Inside the bounds the target holds the rows of the source; elsewhere it is as it was."""
    assert options.slice_column is not None
    assert options.bounds is not None
    column, (lo, hi) = options.slice_column, options.bounds
    rows = one_per_key(scanned(source, options), options)
    return _exchanged(rows, target, lambda row: row.get(column) is not None and between(row[column], lo, hi), options)


def incremental_append(
    _old: Sequence[Row], source: Sequence[Row], target: Sequence[Row], options: Options
) -> list[Row]:
    """What was there is there, and with it every row of the window whose key was not; once per load."""
    rows = one_per_key(since(source, options), options)
    if options.repeated:
        return list(target)
    if options.key:
        there = keys(target, options)
        rows = [row for row in rows if key_of(row, options.key) not in there]
    return [*target, *(landed(row, options) for row in rows)]


def _exchanged(
    rows: Sequence[Row], target: Sequence[Row], is_reached: Callable[[Row], bool], options: Options
) -> list[Row]:
    """The rows stand in the place of those that the load reaches."""
    outside = [row for row in target if not is_reached(row)]
    reached = len(target) - len(outside)
    refuse_loss(reached, len(rows), reached - len(rows), options)
    return [*outside, *(landed(row, options) for row in rows)]


_DIGITS = {"year": 4, "month": 7, "day": 10, "hour": 13}


def cut(value: object, grain: str) -> object:
    """What values of one slice have in common: the head of their ISO spelling, of instants in UTC."""
    if grain == "value":
        return mark(value)
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value).isoformat()[: _DIGITS[grain]]
    assert isinstance(value, date)
    return value.isoformat()[: _DIGITS[grain]]
