"""Text of values on its way into Arrow and out of it, without a server."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpone.errors import DataError
from dpone.schema import Field, parse_type
from dpone_postgres.array_text import parse_array, print_array
from dpone_postgres.arrow_csv import write_csv
from dpone_postgres.arrow_text import days_from_civil, read_csv, typed


@given(st.lists(st.none() | st.text(st.characters(exclude_characters="\0", codec="utf-8"))))
def test_arrays_are_read_as_they_are_printed(elements: list[str | None]) -> None:
    assert parse_array(print_array(elements)) == elements


@pytest.mark.parametrize("text", ["{{1,2},{3,4}}", "[0:1]={1,2}"])
def test_an_array_that_a_list_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="array"):
        parse_array(text)


def test_null_and_nothing_are_told_apart() -> None:
    fields = [Field("a", parse_type("string")), Field("b", parse_type("string"))]
    assert read_csv(b'"",\n,""\n', fields).to_pylist() == [{"a": "", "b": None}, {"a": None, "b": ""}]
    assert read_csv(b'\n""\n\n', fields[:1]).to_pylist() == [{"a": None}, {"a": ""}, {"a": None}]


@given(st.dates())
def test_days_are_those_of_the_calendar(day: date) -> None:
    assert days_from_civil(day.year, day.month, day.day) == (day - date(1970, 1, 1)).days


def test_years_that_python_has_not_survive_both_ways() -> None:
    texts = ["4713-01-01 00:00:00.000001 BC", "294246-12-31 23:59:59.999999", "0001-12-31 23:59:59.000000 BC"]
    batch = typed([pa.array(texts)], [Field("c", parse_type("timestamp"))])
    assert write_csv(batch, ["timestamp without time zone"]).decode().splitlines() == [f'"{t}"' for t in texts]


@pytest.mark.parametrize(
    "type_, text",
    [("decimal(5,2)", "NaN"), ("date", "infinity"), ("time(6)", "24:00:00"), ("list<int32>", "{{1}}")],
)
def test_what_arrow_cannot_hold_is_refused_by_the_column_and_never_shown(type_: str, text: str) -> None:
    with pytest.raises(DataError, match="column secret") as caught:
        typed([pa.array([text])], [Field("secret", parse_type(type_))])
    assert text not in str(caught.value)


def test_values_of_arrow_are_written_as_postgres_reads_them() -> None:
    moment = datetime(2024, 1, 1, 1, 2, 3, 4, tzinfo=UTC)
    values: dict[str, Any] = {
        "s": pa.array(["", None, 'a"b,\n']),
        "b": pa.array([b"\x00\xff", b"", None]),
        "t": pa.array([moment, None, None], pa.timestamp("us", "UTC")),
        "l": pa.array([["x", None, 'q"'], [], None]),
        "j": pa.array([[{"k": Decimal("1.50")}], [], None]),
        "f": pa.array([0.1, float("nan"), float("-inf")]),
    }
    batch = pa.RecordBatch.from_pydict(values)
    natives = ["text", "bytea", "timestamp with time zone", "text[]", "json", "double precision"]
    lines = write_csv(batch, natives).decode()
    first = '"","\\x00ff","2024-01-01 01:02:03.000004","{""x"",NULL,""q\\""""}","[{""k"": 1.50}]","0.1"\n'
    assert lines.startswith(first)
    assert lines.splitlines()[1] == ',"\\x",,"{}","[]","nan"'


def test_json_holds_no_nan() -> None:
    batch = pa.RecordBatch.from_pydict({"j": pa.array([[[float("nan")]]])})
    with pytest.raises(DataError, match="column j"):
        write_csv(batch, ["json"])
