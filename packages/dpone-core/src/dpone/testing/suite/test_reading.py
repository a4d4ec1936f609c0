"""Reading a table whole: its schema, its rows, by columns, by filters, by splits, by small batches."""
# ruff: noqa: PLR2004 - expected numbers are the point of a test

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from dpone.connector import Column
from dpone.schema import INT64, Field, Kind, Schema
from dpone.testing.suite.compare import plain_rows
from dpone.testing.suite.plain import NOON, ROWS, many
from dpone.testing.suite.readings import assert_read, decode, gather, gather_from, request_of
from dpone.testing.suite.rig import Seeded, SourceRig
from dpone.testing.testkit import PLAIN, Insert
from dpone.where import Compare, Condition, Row, Where, matches

# ---------------------------------------------------------------------------- schema


def test_a_table_is_described(source: SourceRig) -> None:
    seeded = source.seed(PLAIN, ROWS)
    with source.source() as connected:
        found = connected.describe(seeded.dataset)
    assert set(PLAIN.names) <= set(found.names)
    kinds = {name: found[name].type.kind for name in PLAIN.names}
    assert kinds == {"id": Kind.INT, "name": Kind.STRING, "amount": Kind.DECIMAL, "updated_at": Kind.TIMESTAMPTZ}
    amount = found["amount"].type
    assert amount.size is None or (amount.size >= 18 and (amount.scale or 0) >= 4)


def test_described_columns_say_what_they_are_in_the_engine(source: SourceRig) -> None:
    seeded = source.seed(PLAIN, [])
    with source.source() as connected:
        found = connected.describe(seeded.dataset)
    read = source.connector.types.read
    for field in found:
        native = field.native_of(source.connector.name)
        assert field.native is None or native, f"{field.name} is called {field.native}"
        assert native is None or read(native) == field.type, f"{field.name}: {native} is read as {read(native)}"


def test_a_reading_has_the_schema_that_was_described(source: SourceRig) -> None:
    seeded = source.seed(PLAIN, ROWS)
    with source.source() as connected:
        described = connected.describe(seeded.dataset)
        with connected.open(request_of(seeded)) as reading:
            assert [f.type for f in reading.schema] == [described[name].type for name in PLAIN.names]
            assert [f.native for f in reading.schema] == [described[name].native for name in PLAIN.names]


# ------------------------------------------------------------------------------ rows


def test_all_rows_are_read_as_they_were_seeded(source: SourceRig) -> None:
    seeded = source.seed(PLAIN, ROWS)
    gathered = gather(seeded, request_of(seeded))
    assert_read(seeded, gathered.rows, seeded.rows)
    assert gathered.upto is None
    assert not gathered.changes


def test_an_empty_table_has_a_schema_and_no_rows(source: SourceRig) -> None:
    seeded = source.seed(PLAIN, [])
    gathered = gather(seeded, request_of(seeded))
    assert gathered.rows == []
    assert gathered.schema.names == PLAIN.names


def test_columns_are_chosen_ordered_and_renamed(source: SourceRig) -> None:
    seeded = source.seed(PLAIN, ROWS)
    columns = (Column("wann", "updated_at"), Column("größe", "amount"), Column("select", "id"))
    gathered = gather(seeded, replace(request_of(seeded), columns=columns))
    assert gathered.schema.names == ("wann", "größe", "select")
    renamed = Schema(tuple(Field(c.name, PLAIN[c.source].type) for c in columns))
    expected = [{c.name: row[c.source] for c in columns} for row in seeded.rows]
    assert plain_rows(gathered.rows, renamed.fields) == plain_rows(expected, renamed.fields)


def test_two_columns_may_come_from_one(source: SourceRig) -> None:
    seeded = source.seed(PLAIN, ROWS)
    columns = (Column("one", "id"), Column("two", "id"))
    gathered = gather(seeded, replace(request_of(seeded), columns=columns))
    assert sorted(row["one"] for row in gathered.rows) == sorted(row["two"] for row in gathered.rows)  # type: ignore[type-var]  # numbers
    assert len(gathered.rows) == len(ROWS)


def test_small_batches_hold_every_row_once(source: SourceRig) -> None:
    seeded = source.seed(PLAIN, many(500))
    gathered = gather(seeded, replace(request_of(seeded), batch_bytes=2_000))
    assert gathered.batches > 1, "a table of many times batch_bytes came as one batch"
    assert_read(seeded, gathered.rows, seeded.rows)


def test_a_table_without_a_key_is_read(source: SourceRig) -> None:
    keyless = Schema((Field("n", INT64),))
    seeded = source.seed(keyless, [{"n": 1}, {"n": 1}, {"n": None}, {"n": None}])
    assert_read(seeded, gather(seeded, request_of(seeded)).rows, seeded.rows)


# ---------------------------------------------------------------------------- splits


@pytest.mark.parametrize("rows", [0, 1, 3, 500])
@pytest.mark.parametrize("splits", [1, 2, 4])
def test_splits_cover_every_row_once(source: SourceRig, rows: int, splits: int) -> None:
    seeded = source.seed(PLAIN, many(rows))
    gathered = gather(seeded, request_of(seeded, splits=splits))
    assert 1 <= gathered.splits <= splits
    assert_read(seeded, gathered.rows, seeded.rows)


def test_splits_have_names_of_their_own(source: SourceRig) -> None:
    seeded = source.seed(PLAIN, many(100))
    with source.source() as connected, connected.open(request_of(seeded, splits=4)) as reading:
        names = [split.id for split in reading.splits]
    assert len(set(names)) == len(names)


def test_a_split_gives_the_same_rows_again(source: SourceRig) -> None:
    """A worker that died is replaced by another one, which reads its split again."""
    seeded = source.seed(PLAIN, many(200))
    request = request_of(seeded, splits=2)
    with source.source() as connected, connected.open(request) as reading:
        for split in reading.splits:
            first, second = (
                [change.row for batch in connected.read(request, split) for change in decode(batch, reading, request)]
                for _ in range(2)
            )
            assert_read(seeded, second, first, f"split {split.id} read again")


def test_a_split_can_be_read_by_another_connection(source: SourceRig) -> None:
    seeded = source.seed(PLAIN, many(200))
    request = request_of(seeded, splits=2)
    with source.source() as opener, source.source() as worker, opener.open(request) as reading:
        found = [
            change.row
            for split in reading.splits
            for batch in worker.read(request, split)
            for change in decode(batch, reading, request)
        ]
    assert_read(seeded, found, seeded.rows)


# --------------------------------------------------------------------------- filters

FILTERS: list[tuple[str, Where]] = [
    ("eq", (Condition("id", Compare.EQ, 3),)),
    ("ne", (Condition("id", Compare.NE, 3),)),
    ("ne_of_null", (Condition("name", Compare.NE, "a"),)),
    ("text_eq", (Condition("name", Compare.EQ, "größe 表 😀"),)),
    ("text_quoted", (Condition("name", Compare.EQ, 'it\'s "quoted"; --'),)),
    ("text_escaped", (Condition("name", Compare.EQ, "line\nbreak\ttab\\"),)),
    ("text_empty", (Condition("name", Compare.EQ, ""),)),
    ("text_injection", (Condition("name", Compare.EQ, "' OR 1=1 --"),)),
    ("int_lt", (Condition("id", Compare.LT, 3),)),
    ("int_le", (Condition("id", Compare.LE, 3),)),
    ("int_gt", (Condition("id", Compare.GT, 3),)),
    ("int_ge", (Condition("id", Compare.GE, 2**63 - 1),)),
    ("decimal", (Condition("amount", Compare.GE, Decimal("0.0001")),)),
    ("decimal_exact", (Condition("amount", Compare.EQ, Decimal("99999999999999.9999")),)),
    ("instant", (Condition("updated_at", Compare.GT, NOON),)),
    ("instant_exact", (Condition("updated_at", Compare.EQ, NOON + timedelta(microseconds=1)),)),
    ("in", (Condition("id", Compare.IN, (1, 4, 99)),)),
    ("in_texts", (Condition("name", Compare.IN, ("", "a", "' OR 1=1 --")),)),
    ("not_in", (Condition("name", Compare.NOT_IN, ("", "a")),)),
    ("is_null", (Condition("name", Compare.IS_NULL),)),
    ("not_null", (Condition("updated_at", Compare.NOT_NULL),)),
    ("both", (Condition("id", Compare.GE, 1), Condition("name", Compare.NOT_NULL), Condition("id", Compare.LT, 4))),
    ("none", (Condition("id", Compare.EQ, 12345),)),
]


@pytest.mark.parametrize("where", [pytest.param(where, id=name) for name, where in FILTERS])
def test_a_filter_gives_the_rows_that_match(source: SourceRig, where: Where) -> None:
    if not source.spec_of_source.pushes_where:
        pytest.skip(f"core filters the rows of {source.connector.name}")
    seeded = source.seed(PLAIN, ROWS)
    expected = [row for row in seeded.rows if matches(row, where)]
    assert_read(seeded, gather(seeded, request_of(seeded, where=where)).rows, expected)


def test_a_filter_may_name_a_column_that_is_not_read(source: SourceRig) -> None:
    if not source.spec_of_source.pushes_where:
        pytest.skip(f"core filters the rows of {source.connector.name}")
    seeded = source.seed(PLAIN, ROWS)
    request = replace(
        request_of(seeded, where=(Condition("name", Compare.EQ, "a"),)), columns=(Column("key", "id"),), key=("id",)
    )
    assert [row["key"] for row in gather(seeded, request).rows] == [1]


# ------------------------------------------------------------- while the table changes


def test_rows_that_come_while_a_table_is_read_do_not_disturb_it(source: SourceRig) -> None:
    """Of a row that comes after the reading opened nothing is asked; all others come once."""
    if Insert not in source.source_kit.mutations:
        pytest.skip(f"rows of {source.connector.name} cannot be added later")
    seeded = source.seed(PLAIN, many(100))
    request = request_of(seeded, splits=2)
    with source.source() as connected, connected.open(request) as reading:
        seeded.change(Insert({"id": 1_000, "name": "late"}))
        found = [
            change.row
            for split in reading.splits
            for batch in connected.read(request, split)
            for change in decode(batch, reading, request)
        ]
    assert_read(seeded, _without(found, 1_000), seeded.rows)


def _without(rows: Sequence[Row], number: int) -> list[Row]:
    return [row for row in rows if row["id"] != number]


def test_readings_of_one_connection_follow_one_another(source: SourceRig) -> None:
    seeded: list[Seeded] = [source.seed(PLAIN, many(n)) for n in (3, 0, 5)]

    with source.source() as connected:
        for table in seeded:
            assert_read(table, gather_from(connected, request_of(table)).rows, table.rows)
