"""Questions about segments as SQL answer what a look at every row answers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpone.connector import Dataset
from dpone.diff.spelling import hash_of
from dpone.schema import INT64, STRING, Field, Schema
from dpone.segments import HASHES, TOTALS, Checksum, Extent, Form, Shape, Span, Spelled
from dpone.sql.segments import SegmentQueries
from dpone.sql.sqlite import SqliteDialect
from dpone.testing.memory.segments import MemorySegments
from dpone.where import Compare, Condition, Row, Where

AXIS = 'i "'
SCHEMA = Schema((Field(AXIS, INT64, nullable=False), Field("k", STRING), Field("v", STRING), Field("n", INT64)))
COLUMNS = tuple(map(Spelled, (AXIS, "k", "v", "n"), (Form.NUMBER, Form.TEXT, Form.TEXT, Form.NUMBER)))
WHERE = (Condition("n", Compare.GE, 1), Condition("v", Compare.NE, "b"))
SIXTEENTH = HASHES >> 4
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            AXIS: st.integers(-3, 40),
            "k": st.none() | st.text(alphabet="~|:0é", max_size=3),
            "v": st.sampled_from([None, "", "a", "b", "it's"]),
            "n": st.sampled_from([None, 0, 1, 2**61]),
        }
    ),
    max_size=12,
)


class SqliteSpells:
    """Forms as SQLite has them; the hash and the sum are functions that a connection is given."""

    def text(self, expression: str, field: Field, form: Form) -> str | None:
        del field
        return None if form is Form.UUID else f"CAST({expression} AS TEXT)"

    def measured(self, text: str) -> str:
        return f"LENGTH(CAST({text} AS BLOB)) || ':' || {text}"

    def joined(self, texts: Sequence[str]) -> str:
        return " || '|' || ".join(texts)

    def hashed(self, text: str) -> str:
        return f"HASH({text})"

    def divided(self, number: str, step: int) -> str:
        return f"({number}) / {step}"

    def hashed_alike(self, columns: Sequence[tuple[str, Field, Spelled]]) -> str:
        return f"OWN({', '.join(expression for expression, _, _ in columns)})"

    def summed(self, number: str) -> str:
        return f"WRAPPED({number})"


class Wrapped:
    def __init__(self) -> None:
        self._total = 0

    def step(self, number: int) -> None:
        self._total += number

    def finalize(self) -> str:
        return str(self._total % TOTALS)


@contextmanager
def opened(rows: Sequence[Row]) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.create_function("HASH", 1, hash_of)
    connection.create_function("OWN", -1, lambda *values: len(values))
    connection.create_aggregate("WRAPPED", 1, Wrapped)  # type: ignore[arg-type]  # typeshed asks for an int answer
    connection.execute('CREATE TABLE rows ("i """ INTEGER, k TEXT, v TEXT, n INTEGER)')
    connection.executemany("INSERT INTO rows VALUES (?, ?, ?, ?)", [[row[f.name] for f in SCHEMA] for row in rows])
    try:
        yield connection
    finally:
        connection.close()


def queries(extent: Extent, schema: Schema = SCHEMA) -> SegmentQueries:
    return SegmentQueries(SqliteDialect(), SqliteSpells(), extent, schema, "rows AS t")


def looked_at(rows: Sequence[Row], extent: Extent) -> MemorySegments:
    table: Any = SimpleNamespace(content=rows)
    return MemorySegments(table, {f.name: f.type for f in SCHEMA}, extent)


def extent_of(where: Where = (), axis: str | None = AXIS, key: tuple[str, ...] = (AXIS, "k")) -> Extent:
    return Extent(Dataset(("rows",)), COLUMNS, key, where, axis)


@pytest.mark.parametrize("where", [(), WHERE])
@pytest.mark.parametrize("axis", [AXIS, None])
@given(rows=ROWS)
def test_a_shape_counts_rows_and_keys_that_are_not_whole(rows: list[Row], axis: str | None, where: Where) -> None:
    extent = extent_of(where, axis)
    with opened(rows) as connection:
        found = connection.execute(queries(extent).shape()).fetchone()
    assert Shape(*found) == looked_at(rows, extent).shape()


def test_a_key_that_is_never_null_is_not_looked_at() -> None:
    extent = extent_of(key=(AXIS,))
    assert "IS NULL" not in queries(extent).shape()
    with opened([]) as connection:
        assert connection.execute(queries(extent).shape()).fetchone() == (0, 0, None, None)


SPANS = {
    "all": ([Span(None, None)], HASHES, True),
    "ranges": ([Span(0, 10), Span(10, 20), Span(30, 40)], 10, False),
    "finer ranges": ([Span(5, 25)], 2, False),
    "hashes": ([Span(None, None, n * SIXTEENTH, (n + 1) * SIXTEENTH) for n in (0, 3, 9, 15)], SIXTEENTH, True),
    "finer hashes": ([Span(None, None, 4 * SIXTEENTH, 5 * SIXTEENTH)], SIXTEENTH >> 3, True),
    "hashes of a range": ([Span(0, 20, n * SIXTEENTH, (n + 1) * SIXTEENTH) for n in (1, 2, 8)], SIXTEENTH, True),
}


@pytest.mark.parametrize("where", [(), WHERE])
@pytest.mark.parametrize("spans", SPANS)
@given(rows=ROWS)
def test_checksums_and_rows_of_segments_are_those_of_their_rows(rows: list[Row], spans: str, where: Where) -> None:
    which, step, hashed = SPANS[spans]
    extent = extent_of(where)
    asked, expected = queries(extent), looked_at(rows, extent)
    with opened(rows) as connection:
        found = connection.execute(asked.checksums(which, step, hashed=hashed, own=False)).fetchall()
        own = connection.execute(asked.checksums(which, step, hashed=hashed, own=True)).fetchall()
        texts = connection.execute(asked.rows(which)).fetchall()
    sums = expected.checksums(which, step, hashed=hashed, own=False)
    assert {n: Checksum(count, int(total)) for n, count, total in found} == sums
    assert {n: (count, int(total)) for n, count, total in own} == {n: (c.rows, 4 * c.rows) for n, c in sums.items()}
    assert sorted(texts, key=repr) == sorted(expected.rows(which), key=repr)


def test_columns_that_cannot_be_compared_are_named_with_the_reason() -> None:
    columns = (Spelled(AXIS, Form.NUMBER), Spelled("gone", Form.TEXT), Spelled("k", Form.UUID), Spelled("u", Form.UUID))
    schema = Schema((*SCHEMA, Field("u", STRING, native="mine:odd")))
    extent = Extent(Dataset(("rows",)), columns, (AXIS,))
    assert queries(extent, schema).refused == {
        "gone": "it is not there",
        "k": "string cannot be spelled as uuid",
        "u": "mine:odd cannot be spelled as uuid",
    }
    assert not queries(extent_of()).refused
    assert queries(extent_of(), schema).rows([Span(None, None)]).count("CAST") == len(COLUMNS)


def test_a_column_that_cannot_be_spelled_is_null_among_the_texts() -> None:
    extent = Extent(Dataset(("rows",)), (Spelled(AXIS, Form.NUMBER), Spelled("k", Form.UUID)), (AXIS,))
    with opened([{AXIS: 1, "k": "x", "v": None, "n": None}]) as connection:
        assert connection.execute(queries(extent).rows([Span(None, None)])).fetchall() == [("1", None)]
