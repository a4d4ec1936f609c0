"""Texts by which values are compared: the same for equal values, different for different ones, and read back."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpone.connector import Column
from dpone.diff.spelling import common_form, row_text, spell, spell_as, written
from dpone.literals import literal_of
from dpone.plan import ChangeKind, ColumnChange, PlannedColumn
from dpone.schema import Field, Landing, parse_type
from dpone.segments import Form

FORMS = (Form.TEXT, Form.NUMBER, Form.OWN)
ROWS = st.tuples(
    st.none() | st.text(alphabet="~|:0a é", max_size=6),
    st.none() | st.integers(-20, 20).map(str),
    st.none() | st.text(alphabet="~|:1b", max_size=6),
)


@given(ROWS, ROWS)
def test_two_rows_have_one_text_only_when_they_are_the_same(
    one: tuple[str | None, ...], other: tuple[str | None, ...]
) -> None:
    assert (row_text(one, FORMS) == row_text(other, FORMS)) is (one == other)


@pytest.mark.parametrize(
    "form, same",
    [
        (Form.NUMBER, (1, Decimal("1.00"), Decimal("1E0"), "1.0")),
        (Form.NUMBER, (0, Decimal("-0.0"), Decimal("0E+5"))),
        (Form.NUMBER, (Decimal("1E+3"), 1000)),
        (Form.FLOAT, (0.0, -0.0)),
        (Form.FLOAT, (float("nan"), -float("nan"))),
        (
            Form.MOMENT,
            (datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 1, 14, tzinfo=timezone(timedelta(hours=2)))),
        ),
        (Form.MOMENT, (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1), 1767225600 * 10**9)),  # noqa: DTZ001 -- a wall clock
        (Form.TIME, (time(1, 2, 3, 500_000), 3_723_500_000_000)),
        (Form.UUID, (UUID(int=255), "00000000-0000-0000-0000-0000000000FF")),
        (Form.BYTES, (b"\xff", bytearray(b"\xff"), memoryview(b"\xff"))),
        (Form.DATE, (date(2026, 1, 31), datetime(2026, 1, 31, tzinfo=UTC))),
    ],
)
def test_equal_values_have_one_text(form: Form, same: tuple[object, ...]) -> None:
    assert len({spell(value, form) for value in same}) == 1


def test_nested_values_are_compared_by_what_they_hold() -> None:
    of = parse_type("map<string,struct<a:int64,b:list<decimal(9,2)>>>")
    as_arrow = [("x", {"a": 1, "b": [Decimal("1.50"), None]})]
    as_json = '{"x": {"b": [1.5, null], "a": 1}}'
    assert spell_as(as_arrow, of) == spell_as(as_json, of)
    assert spell_as(as_arrow, of) != spell_as('{"x": {"b": [1.5], "a": 1}}', of)
    json = parse_type("json")
    assert spell_as('{"a":1.0,"b":"1"}', json) == spell_as('{"b": "1", "a": 1}', json)
    assert spell_as('{"a":"1"}', json) != spell_as('{"a":1}', json)


@pytest.mark.parametrize(
    "spelled, value",
    [
        ("int64", -5),
        ("bool", True),
        ("decimal(9,2)", Decimal("1.5")),
        ("float64", 0.1),
        ("string", "it's"),
        ("date", date(2026, 1, 31)),
        ("time(6)", time(13, 45, 0, 5)),
        ("timestamp(6)", datetime(2026, 1, 31, 13, 45, 0, 5)),  # noqa: DTZ001 -- a wall clock
        ("timestamptz(6)", datetime(2026, 1, 31, 13, 45, tzinfo=UTC)),
        ("binary", b"\x00\xff"),
    ],
)
def test_a_key_in_a_report_is_what_a_resync_reads(spelled: str, value: object) -> None:
    of = parse_type(spelled)
    assert literal_of(written(spell_as(value, of), of), of, "key") == value


@pytest.mark.parametrize(
    "came, lands, change, expected",
    [
        (("int32", "postgres:integer"), ("int64", "clickhouse:Int64"), None, Form.NUMBER),
        (("uint64", "clickhouse:UInt64"), ("decimal(20,0)", "postgres:numeric(20,0)"), None, Form.NUMBER),
        (("json", "postgres:jsonb"), ("string", "clickhouse:String"), None, Form.TEXT),
        (("json", "postgres:jsonb"), ("json", "postgres:jsonb"), None, Form.OWN),
        (("json", "clickhouse:JSON"), ("json", "postgres:jsonb"), None, "no common text"),
        (("json", "clickhouse:JSON"), ("json", "postgres:json"), None, Form.TEXT),
        (
            ("list<int32>", "postgres:integer[]"),
            ("list<int32>", "clickhouse:Array(Nullable(Int32))"),
            None,
            "no common text",
        ),
        (("list<int32>", "postgres:integer[]"), ("list<int32>", "postgres:integer[]"), None, Form.OWN),
        (("timestamp(6)", None), ("timestamptz(6)", None), None, Form.MOMENT),
        (("date", None), ("timestamptz(6)", None), None, "no common text"),
        (("string", None), ("string", None), ColumnChange(ChangeKind.HASH, "sha256"), "changed on the way (hash)"),
        (("string", None), ("int64", None), ColumnChange(ChangeKind.CAST, "int64"), "changed on the way (cast)"),
        (("decimal", None), ("decimal(18,2)", None), ColumnChange(ChangeKind.CAST, "decimal(18,2)"), Form.NUMBER),
    ],
)
def test_the_form_that_two_columns_share(
    came: tuple[str, str | None], lands: tuple[str, str | None], change: ColumnChange | None, expected: Form | str
) -> None:
    found = Field("c", parse_type(came[0]), native=came[1])
    landed = Field("c", parse_type(lands[0]), native=lands[1])
    after = Field("c", parse_type(change.to)) if change and change.kind is ChangeKind.CAST else found
    shared = common_form(PlannedColumn(Column("c", "c"), found, after, Landing("x"), change), landed)
    assert shared is expected if isinstance(expected, Form) else isinstance(shared, str) and expected in shared, shared
