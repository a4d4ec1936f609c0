"""The descent names exactly the keys that differ, whatever the keys are, however rows are spread, and asks for few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct, field

from dpone.connector import Column, Dataset, Layout, Target
from dpone.diff import descent
from dpone.diff.descent import Ends, differing_keys
from dpone.diff.subject import Subject, Verdict, subject_of
from dpone.plan import End, Plan, PlannedColumn
from dpone.schema import INT64, STRING, Field, Landing, Schema
from dpone.segments import Checksum, Extent, Shape, Span
from dpone.strategies import Load
from dpone.testing.memory.cell import Table
from dpone.testing.memory.segments import MemorySegments

Rows = list[dict[str, Any]]
SCHEMA = Schema((Field("a", INT64), Field("b", STRING), Field("v", INT64)))


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descent, "SEGMENT_ROWS", 16)
    monkeypatch.setattr(descent, "LEAF_ROWS", 2)
    monkeypatch.setattr(descent, "FAN", 4)
    monkeypatch.setattr(descent, "BATCH", 3)


def subject(*key: str) -> Subject:
    columns = tuple(PlannedColumn(Column(f.name, f.name), f, f, Landing("x")) for f in SCHEMA)
    plan = Plan(
        pipeline="p",
        source=End("memory", "s"),
        sink=End("memory", "t"),
        dataset=Dataset(("s",)),
        target=Target(("t",)),
        strategy="full_refresh",
        columns=columns,
        load=Load("", datetime(2026, 1, 1, tzinfo=UTC), SCHEMA.names),
    )
    return subject_of(plan, Layout(SCHEMA), key=key)


class Counting(Struct):
    """An end that counts what it is asked."""

    inner: MemorySegments
    questions: int = 0
    nbytes: int = 0
    digest: str | None = None
    refused: Mapping[str, str] = field(default_factory=dict)

    def shape(self) -> Shape:
        return self.inner.shape()

    def checksums(self, spans: Sequence[Span], step: int, *, hashed: bool, own: bool) -> Mapping[int, Checksum]:
        self.questions += 1
        return self.inner.checksums(spans, step, hashed=hashed, own=own)

    def rows(self, spans: Sequence[Span]) -> Iterator[tuple[str | None, ...]]:
        self.questions += 1
        return self.inner.rows(spans)

    def is_steady(self) -> bool:
        return True


@contextmanager
def ends(of: Subject, source: Rows, target: Rows) -> Iterator[Ends]:
    def end(rows: Rows, extent: Extent) -> Counting:
        table = Table(Layout(SCHEMA), tuple((1, row) for row in rows))
        return Counting(MemorySegments(table, {f.name: f.type for f in SCHEMA}, extent))

    with ThreadPoolExecutor(1) as threads:
        yield Ends(end(source, of.source_extent()), end(target, of.target_extent()), threads)


def found(of: Subject, source: Rows, target: Rows) -> tuple[dict[tuple[str | None, ...], Verdict], Ends]:
    with ends(of, source, target) as both:
        shapes = both.both(lambda end: end.shape())
        differences = list(differing_keys(both, of, shapes))
        assert both.covered in {None, (len(source), len(target))}
    keys = Counter(d.key for d in differences)
    assert not keys or max(keys.values()) == 1, "a key is named once"
    return {d.key: d.verdict for d in differences}, both


def expected(of: Subject, source: Rows, target: Rows) -> dict[tuple[str | None, ...], Verdict]:
    """By looking at every row."""
    names = [of.columns[place].name for place in of.key_places]

    def grouped(rows: Rows) -> dict[tuple[str | None, ...], Counter[tuple[object, ...]]]:
        groups: dict[tuple[str | None, ...], Counter[tuple[object, ...]]] = {}
        for row in rows:
            key = tuple(None if row[n] is None else str(row[n]) for n in names)
            groups.setdefault(key, Counter())[tuple(row.values())] += 1
        return groups

    left, right = grouped(source), grouped(target)
    verdicts = {}
    for key in left.keys() | right.keys():
        if key not in right:
            verdicts[key] = Verdict.MISSING
        elif key not in left:
            verdicts[key] = Verdict.EXTRA
        elif left[key] != right[key]:
            verdicts[key] = Verdict.DIFFERENT
    return verdicts


# values in clusters far apart, few of them, so that segments are crowded, empty and doubled
NUMBERS = st.one_of(st.integers(0, 60), st.integers(2**62, 2**62 + 40), st.integers(-(2**63), -(2**63) + 5))
ROWS = st.lists(
    st.builds(lambda a, b, v: {"a": a, "b": b, "v": v}, NUMBERS, st.sampled_from("xyz|~"), st.integers(0, 2)),
    max_size=60,
)
CHANGES = st.lists(st.tuples(st.integers(0, 59), st.sampled_from(["drop", "change", "double"])), max_size=4)


def changed(rows: Rows, changes: list[tuple[int, str]]) -> Rows:
    after = [dict(row) for row in rows]
    for at, change in changes:
        if at >= len(after):
            continue
        if change == "drop":
            del after[at]
        elif change == "change":
            after[at]["v"] = 99
        else:
            after.append(dict(after[at]))
    return after


@settings(max_examples=300, deadline=None)
@given(rows=ROWS, changes=CHANGES, key=st.sampled_from([("a",), ("a", "b"), ("b",), ("b", "a"), ()]))
def test_exactly_the_keys_that_differ_are_named(
    rows: Rows, changes: list[tuple[int, str]], key: tuple[str, ...]
) -> None:
    of = subject(*key)
    target = changed(rows, changes)
    assert found(of, rows, target)[0] == expected(of, rows, target)
    assert found(of, target, rows)[0] == expected(of, target, rows)


def test_equal_ends_are_asked_once_and_give_no_row() -> None:
    rows = [{"a": n, "b": "x", "v": n} for n in range(1000)]
    differences, both = found(subject("a"), rows, rows)
    assert (differences, both.fetched, both.differing) == ({}, [0, 0], 0)
    assert both.source.questions == 1  # type: ignore[attr-defined]  # it counts


@pytest.mark.parametrize("key", [("a",), ("b", "v"), ("b", "a")])
def test_one_difference_among_many_rows_is_found_by_few_of_them(key: tuple[str, ...]) -> None:
    rows = [{"a": n, "b": f"b{n % 3}", "v": n * n} for n in range(4096)]
    target = [row | {"v": -1} if row["a"] == 1234 else row for row in rows]
    differences, both = found(subject(*key), rows, target)
    assert len(differences) == (2 if "v" in key else 1)
    assert sum(both.fetched) < 40
    assert both.source.questions < 12  # type: ignore[attr-defined]  # it counts


@given(width=st.integers(1, 2**63), parts=st.integers(1, 10_000))
def test_a_grid_has_as_many_parts_as_it_should_and_its_finer_ones_fit(width: int, parts: int) -> None:
    grid = descent._grid(width, parts, hashed=False)
    assert grid.step == 1 or parts <= width // grid.step < 2 * parts + 1
    while grid.step > 1:
        finer = grid.finer()
        assert finer.step < grid.step
        assert grid.step % finer.step == 0, "a finer segment would reach over the edge of a coarser one"
        grid = finer
