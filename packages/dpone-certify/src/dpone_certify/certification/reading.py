"""What a source hands over when it is read in each of the four ways: a reader of the certification's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from dpone.stage import Change, ChangeKind
from dpone.strategies import Read
from dpone_certify.certification.seeded import KEY, NAME, Row
from dpone_certify.postconditions.options import Options
from dpone_certify.postconditions.reading import scanned, since


class Entries(Struct, frozen=True):
    """A raw stage. `changes` says that its entries carry a kind and a sequence."""

    staged: list[Change]
    changes: bool = False


def entries_of(read: Read, before: Sequence[Row], after: Sequence[Row], options: Options) -> Entries:
    """What a reading stages when the source has gone from `before` to `after`."""
    match read:
        case Read.SCAN:
            return Entries([Change(row) for row in scanned(after, options)])
        case Read.SINCE if options.names_deletes:
            return entries_of(Read.CHANGES, before, after, options)
        case Read.SINCE:
            return Entries([Change(row) for row in since(after, options)])
        case Read.XMIN:
            return Entries([Change(row) for row in after if options.first or _is_touched(row, options)])
        case Read.CHANGES if options.first:
            return Entries([Change(row, seq=n) for n, row in enumerate(after)], changes=True)
        case Read.CHANGES:
            return Entries(list(_numbered(_log(before, after, options))), changes=True)


def _is_touched(row: Row, options: Options) -> bool:
    return (row[KEY],) in options.touched


def _log(before: Sequence[Row], after: Sequence[Row], options: Options) -> Iterator[Change]:
    """Every change that led from one state to the other, with some that were undone on the way."""
    there = {row[KEY] for row in after}
    known = {row[KEY] for row in before}
    empty: Row = dict.fromkeys(before[0] if before else after[0])
    for row in before:
        if row[KEY] not in there:
            yield Change({**row, NAME: "written before it was deleted"})
            yield Change({**empty, KEY: row[KEY]}, ChangeKind.DELETE)
    for row in after:
        if _is_touched(row, options):
            if row[KEY] in known:
                yield Change({**empty, KEY: row[KEY]}, ChangeKind.DELETE)
            yield Change({**row, NAME: "written before the last change"})
            yield Change(row)
    passing = max((int(str(n)) for n in there), default=0) + 1
    if after:
        yield Change({**after[0], KEY: passing})
    yield Change({**empty, KEY: passing}, ChangeKind.DELETE)


def _numbered(changes: Iterator[Change]) -> Iterator[Change]:
    """The changes with numbers that leave gaps, the last one first: their order of arrival means nothing."""
    found = [Change(c.row, c.kind, 2 * n + 1, c.kept) for n, c in enumerate(changes)]
    return reversed(found)
