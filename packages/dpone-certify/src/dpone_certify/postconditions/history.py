"""scd2: the versions that must be there, and what is true of every history whatever the load."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from dpone_certify.postconditions.exchange import landed, refuse_loss
from dpone_certify.postconditions.options import Options, Refused, Row, Violation
from dpone_certify.postconditions.reading import one_per_key, scanned
from dpone_certify.postconditions.rows import alike, by_key, key_of, mark, marks


def scd2(_old: Sequence[Row], source: Sequence[Row], target: Sequence[Row], options: Options) -> list[Row]:
    """Past versions are as they were; the open ones are the source at the time of the load, unless it lost too much."""
    rows = {key_of(row, options.key): row for row in one_per_key(scanned(source, options), options)}
    start, end = options.interval
    valid = [row for row in target if row.get(end) is None]
    if options.absent == "expire":
        refuse_loss(len(valid), len(rows), len([row for row in valid if key_of(row, options.key) not in rows]), options)
    if any(moment is not None and moment > options.at for row in target for moment in (row.get(start), row.get(end))):  # type: ignore[operator]  # instants
        raise Refused("load.at_not_after")
    opened = by_key(valid, options.key)
    if any(len(versions) > 1 for versions in opened.values()):
        raise Refused("target.two_open_versions")
    result = [row for row in target if row.get(end) is not None]
    for key in [*opened, *(k for k in rows if k not in opened)]:
        was, now = next(iter(opened.get(key, ())), None), rows.get(key)
        stays = was is not None and (options.absent == "keep" if now is None else alike(was, now, options.compared))
        if was is not None:
            if not stays and mark(was.get(start)) == mark(options.at):
                raise Refused("load.at_not_after")
            result.append(was if stays else {**was, end: options.at})
        if now is not None and not stays:
            result.append({**landed(now, options), start: options.at, end: None})
    return result


def history_violations(before: Sequence[Row], after: Sequence[Row], options: Options) -> Iterator[Violation]:
    """Versions of one key that overlap or are open twice, and closed versions that a load changed."""
    start, end = options.interval
    for key, versions in by_key(after, options.key).items():
        if sum(row.get(end) is None for row in versions) > 1:
            yield Violation("two_open", "a key has two open versions", key)
        spans = sorted(((row.get(start), row.get(end)) for row in versions), key=lambda span: _rank(span[0]))
        for (_, ended), (begun, _) in pairwise(spans):
            if ended is None or begun is None or ended > begun:  # type: ignore[operator]  # instants
                yield Violation("overlapping", "two versions of a key are valid at one time", key)
    columns = (*options.columns, start, end)
    closed = {marks(row, columns) for row in after if row.get(end) is not None}
    for row in before:
        if row.get(end) is not None and marks(row, columns) not in closed:
            yield Violation("history_changed", "a closed version is not there any more", key_of(row, options.key))


def _rank(start: object) -> tuple[object, ...]:
    """An unknown start is before every other."""
    return () if start is None else (start,)
