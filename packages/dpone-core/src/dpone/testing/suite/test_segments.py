"""Checksums of segments: values are spelled and hashed as `dpone.diff.spelling` defines it, by ranges and by hash."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import isfinite

import pytest

from dpone.connector import Segmented
from dpone.diff.spelling import form_of, hash_of, row_text, spell
from dpone.schema import FLOAT32, INT64, Field, Kind, Schema, Type
from dpone.segments import HASHES, TOTALS, Checksum, Extent, Form, Segments, Shape, Span, Spelled
from dpone.testing.suite.rig import Seeded, SourceRig
from dpone.testing.testkit import Sample, values_read
from dpone.where import Compare, Condition

Texts = tuple[str | None, ...]
EVERYTHING = (Span(None, None),)
EIGHTH = HASHES // 8
SCALARS = frozenset(Kind) - {Kind.LIST, Kind.MAP, Kind.STRUCT}
NUMBERS = Schema((Field("id", INT64, nullable=False), Field("n", INT64)), key=("id",))
ROWS = tuple({"id": n, "n": None if n % 7 == 0 else n * n} for n in range(-50, 150))
COLUMNS = (Spelled("id", Form.NUMBER), Spelled("n", Form.NUMBER))


@pytest.fixture(autouse=True)
def _able(source: SourceRig) -> None:
    with source.source() as connected:
        if not isinstance(connected, Segmented):
            pytest.skip(f"{source.connector.name} computes no checksums of segments")


@contextmanager
def opened(seeded: Seeded, extent: Extent) -> Iterator[Segments]:
    with seeded.rig.source() as connected:
        assert isinstance(connected, Segmented)  # others are skipped
        with connected.segments(extent) as segments:
            yield segments


def defined(rows: Sequence[Texts], forms: Sequence[Form], number: dict[Texts, int]) -> dict[int, Checksum]:
    """The checksums by their definition; `number` says in which segment each row lies."""
    found: dict[int, Checksum] = {}
    for row in rows:
        before = found.get(number[row], Checksum(0, 0))
        total = (before.total + hash_of(row_text(row, forms))) % TOTALS
        found[number[row]] = Checksum(before.rows + 1, total)
    return found


def folded(found: dict[int, Checksum]) -> dict[int, Checksum]:
    return {number: Checksum(c.rows, c.total % TOTALS) for number, c in found.items()}


def narrowed(value: object, of: Type) -> object:
    """The value as a type of fewer bits holds it."""
    if isinstance(value, float) and of == FLOAT32 and isfinite(value):
        return struct.unpack("f", struct.pack("f", value))[0]
    return value


def test_a_native_type_is_spelled_and_hashed_as_defined(source: SourceRig, readable: Sample) -> None:
    of = source.connector.types.read(readable.native)
    value = Field("value", of, nullable=readable.nullable, native=f"{source.connector.name}:{readable.native}")
    values = [*readable.values, *([None] if readable.nullable else [])]
    rows = [{"id": n, "value": v} for n, v in enumerate(values)]
    seeded = source.seed(Schema((Field("id", INT64, nullable=False), value), key=("id",)), rows)
    form = form_of(of) if of.kind in SCALARS else Form.OWN
    columns = (Spelled("id", Form.NUMBER), Spelled("value", form, alike=True))
    with opened(seeded, Extent(seeded.dataset, columns, ("id",), axis="id")) as segments:
        if "value" in segments.refused:
            assert form in {Form.OWN, Form.TEXT}, segments.refused
            return
        found = sorted(segments.rows(EVERYTHING), key=lambda row: int(row[0] or 0))
        totals = segments.checksums((Span(0, len(rows)),), 1, hashed=False, own=False)
        if segments.digest is not None:
            own = segments.checksums((Span(0, len(rows)),), 1, hashed=False, own=True)
            assert {n: c.rows for n, c in own.items()} == dict.fromkeys(range(len(rows)), 1)
    if form is not Form.OWN:
        expected = (narrowed(r["value"], of) for r in map(values_read, rows))
        assert found == [(str(n), spell(v, form)) for n, v in enumerate(expected)]
    assert folded(dict(totals)) == defined(found, (Form.NUMBER, form), {row: int(row[0] or 0) for row in found})


def test_segments_are_cut_by_ranges_of_the_axis(source: SourceRig) -> None:
    seeded = source.seed(NUMBERS, ROWS)
    with opened(seeded, Extent(seeded.dataset, COLUMNS, ("id",), axis="id")) as segments:
        assert segments.shape() == Shape(200, 0, -50, 149)
        whole = segments.checksums((Span(-50, 150),), 64, hashed=False, own=False)
        part = segments.checksums((Span(-50, -40), Span(14, 20)), 32, hashed=False, own=False)
        fetched = list(segments.rows((Span(-50, -48), Span(149, 150))))
    assert {n: c.rows for n, c in whole.items()} == {0: 64, 1: 64, 2: 64, 3: 8}
    assert {n: c.rows for n, c in part.items()} == {0: 10, 2: 6}
    assert sorted(fetched) == [("-49", None), ("-50", "2500"), ("149", "22201")]


def test_segments_are_cut_by_the_hash_of_the_key(source: SourceRig) -> None:
    seeded = source.seed(NUMBERS, ROWS)
    with opened(seeded, Extent(seeded.dataset, COLUMNS, ("id",))) as segments:
        assert segments.shape() == Shape(200, 0, None, None)
        found = list(segments.rows(EVERYTHING))
        place = {row: hash_of(str(row[0])) // EIGHTH for row in found}
        totals = segments.checksums(EVERYTHING, EIGHTH, hashed=True, own=False)
        some = (Span(None, None, 0, EIGHTH), Span(None, None, 5 * EIGHTH, 6 * EIGHTH))
        fetched = list(segments.rows(some))
        finer = segments.checksums(some, EIGHTH // 2, hashed=True, own=False)
    assert folded(dict(totals)) == defined(found, (Form.NUMBER, Form.NUMBER), place)
    assert sorted(fetched, key=str) == sorted((row for row in found if place[row] in {0, 5}), key=str)
    assert sum(c.rows for c in finer.values()) == len(fetched)
    assert finer.keys() <= {0, 1, 10, 11}


def test_wide_rows(source: SourceRig) -> None:
    names = [f"c{n}" for n in range(230)]
    schema = Schema((Field("id", INT64, nullable=False), *(Field(name, INT64) for name in names)), key=("id",))
    rows = [{"id": n, **{name: n if place % 10 == n else None for place, name in enumerate(names)}} for n in range(4)]
    seeded = source.seed(schema, rows)
    columns = tuple(Spelled(f.name, Form.NUMBER, alike=True) for f in schema)
    with opened(seeded, Extent(seeded.dataset, columns, ("id",), axis="id")) as segments:
        found = list(segments.rows(EVERYTHING))
        totals = segments.checksums((Span(0, 4),), 1, hashed=False, own=False)
        if segments.digest is not None:
            assert segments.checksums((Span(0, 4),), 1, hashed=False, own=True).keys() == set(range(4))
    assert folded(dict(totals)) == defined(
        found, [Form.NUMBER] * len(columns), {row: int(row[0] or 0) for row in found}
    )


def test_a_filter_and_a_key_with_null(source: SourceRig) -> None:
    if not source.spec_of_source.pushes_where:
        pytest.skip(f"core filters the rows of {source.connector.name}")
    seeded = source.seed(NUMBERS, ROWS)
    where = (Condition("id", Compare.GE, 100),)
    with opened(seeded, Extent(seeded.dataset, COLUMNS, ("n",), where)) as segments:
        shape = segments.shape()
        totals = segments.checksums(EVERYTHING, HASHES, hashed=True, own=False)
        rows = list(segments.rows(EVERYTHING))
    assert shape == Shape(50, 7, None, None)
    assert totals[0].rows == len(rows) == shape.rows


def test_a_column_that_is_not_there_is_refused_by_name(source: SourceRig) -> None:
    seeded = source.seed(NUMBERS, ROWS)
    columns = (*COLUMNS, Spelled("nothing", Form.TEXT))
    with opened(seeded, Extent(seeded.dataset, columns, ("id",))) as segments:
        assert list(segments.refused) == ["nothing"]
