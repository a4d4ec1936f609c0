"""From the whole table down to the rows that differ: segments by their checksums, finer where these are unlike.

Both ends are asked at once. A segment whose checksums are equal is not looked at again; one that is small enough is
fetched, row by row, in the texts that went into the checksum. One batch of segments at a time, so that memory stays
bounded however much differs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from typing import TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from dpone.diff.subject import Difference, Subject, Texts
from dpone.segments import HASHES, TOTALS, Checksum, Segments, Shape, Span

SEGMENT_ROWS = 8192  # at most, of a first segment: 1M rows are told equal by two answers of at most 245 lines
FAN = 32  # parts of a segment that differs
LEAF_ROWS = 32  # a segment of so many rows is fetched
BATCH = 32  # segments that are looked into at once

T = TypeVar("T")


class Ends(Struct):
    """The two ends, asked at the same time, and what was asked of them."""

    source: Segments
    target: Segments
    threads: Executor
    fetched: list[int] = field(default_factory=lambda: [0, 0])
    covered: tuple[int, int] | None = None  # rows that the first checksums were of
    compared: int = 0
    differing: int = 0

    @property
    def own(self) -> bool:
        """Both hash rows alike by a digest of their own."""
        return self.source.digest is not None and self.source.digest == self.target.digest

    def both(self, ask: Callable[[Segments], T]) -> tuple[T, T]:
        waiting = self.threads.submit(ask, self.target)
        try:
            found = ask(self.source)
        except BaseException:
            waiting.exception()  # it ends before its connection is closed under it
            raise
        return found, waiting.result()


class Grid(Struct, frozen=True):
    """Spans of one width, a power of two, so that finer ones never reach over the edge of a coarser one; numbered by
    the axis, or by the hash of the key.
    """

    step: int
    hashed: bool

    def part(self, of: Span, number: int) -> Span:
        """The segment of this number, counted from where `of` begins."""
        if self.hashed:
            lo = of.hash_lo + number * self.step
            return replace(of, hash_lo=lo, hash_hi=lo + self.step)
        assert of.lo is not None  # a grid on the axis is laid where there is one
        lo = of.lo + number * self.step
        return replace(of, lo=lo, hi=lo + self.step)

    def finer(self) -> Grid:
        return replace(self, step=max(1, self.step // FAN))


def _grid(width: int, parts: int, *, hashed: bool) -> Grid:
    """At least so many parts of the width, and less than twice as many."""
    return Grid(1 << max(0, (width // parts).bit_length() - 1), hashed)


def differing_keys(ends: Ends, subject: Subject, shapes: tuple[Shape, Shape]) -> Iterator[Difference]:
    """The keys whose rows are not equal, and what is the matter with each; of equal ends not one row is fetched."""
    rows = max(shape.rows for shape in shapes)
    if rows == 0:
        return
    whole, grid = _first(shapes, -(-rows // SEGMENT_ROWS))
    yield from _descend(ends, subject, [whole], grid)


def _first(shapes: tuple[Shape, Shape], parts: int) -> tuple[Span, Grid]:
    ends = [e for shape in shapes for e in (shape.least, shape.greatest) if e is not None]
    if not ends or (width := max(ends) - min(ends) + 1) >= HASHES:
        return Span(None, None), _grid(HASHES, parts, hashed=True)
    return Span(min(ends), max(ends) + 1), _grid(width, parts, hashed=False)


def _descend(ends: Ends, subject: Subject, spans: Sequence[Span], grid: Grid) -> Iterator[Difference]:
    """The differing keys of these spans, which begin with the first and are cut by the grid."""
    unlike = _unlike(ends, spans, grid)
    for at in range(0, len(unlike), BATCH):
        batch = unlike[at : at + BATCH]
        leaves = [span for span, rows in batch if rows <= LEAF_ROWS or (grid.hashed and grid.step == 1)]
        if leaves:
            yield from _compare_rows(ends, subject, _merged(leaves))
        deeper = [(span, rows) for span, rows in batch if span not in set(leaves)]
        if deeper and grid.step > 1:
            yield from _descend(ends, subject, _merged([span for span, _ in deeper]), grid.finer())
            continue
        for span, rows in deeper:  # one value of the axis has many rows: they are told apart by the hash of their key
            hashes = _grid(HASHES, rows // LEAF_ROWS + 1, hashed=True)
            yield from _descend(ends, subject, [span], hashes)


def _unlike(ends: Ends, spans: Sequence[Span], grid: Grid) -> list[tuple[Span, int]]:
    """The segments whose checksums are unlike, and how many rows the fuller end has in each."""
    own = ends.own
    source, target = ends.both(lambda end: end.checksums(spans, grid.step, hashed=grid.hashed, own=own))
    if ends.covered is None:
        ends.covered = sum(c.rows for c in source.values()), sum(c.rows for c in target.values())
    numbers = source.keys() | target.keys()
    unlike = sorted(n for n in numbers if not _equal(source.get(n), target.get(n)))
    ends.compared += len(numbers)
    ends.differing += len(unlike)
    return [(grid.part(spans[0], n), max(found[n].rows for found in (source, target) if n in found)) for n in unlike]


def _equal(one: Checksum | None, other: Checksum | None) -> bool:
    if one is None or other is None:
        return False
    return one.rows == other.rows and (one.total - other.total) % TOTALS == 0


def _merged(spans: Sequence[Span]) -> list[Span]:
    """The same rows by fewer spans: ranges of the axis that touch are one."""
    merged: list[Span] = []
    for span in spans:
        last = merged[-1] if merged else None
        whole = (span.hash_lo, span.hash_hi) == (0, HASHES)
        if last and whole and last.hi is not None and last.hi == span.lo:
            merged[-1] = replace(last, hi=span.hi)
        else:
            merged.append(span)
    return merged


def _compare_rows(ends: Ends, subject: Subject, spans: Sequence[Span]) -> Iterator[Difference]:
    fetched = ends.both(lambda end: list(end.rows(spans)))
    for place, rows in enumerate(fetched):
        ends.fetched[place] += len(rows)
    source, target = (_by_key(rows, subject.key_places) for rows in fetched)
    for key in dict.fromkeys((*source, *target)):
        found = subject.difference(key, source.get(key, Counter()), target.get(key, Counter()))
        if found is not None:
            yield found


def _by_key(rows: Sequence[Texts], places: Sequence[int]) -> Mapping[Texts, Counter[Texts]]:
    """The rows of each key, each with how often it is there."""
    found: dict[Texts, Counter[Texts]] = defaultdict(Counter)
    for row in rows:
        found[tuple(row[i] for i in places)][row] += 1
    return found
