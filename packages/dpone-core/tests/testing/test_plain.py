"""What controls share: text between two clients, and rows that are always the same."""

from __future__ import annotations

import io
import json
from datetime import date
from decimal import Decimal

import pytest

from dpone.errors import PlanError
from dpone.schema import BINARY, DATE, INT64, STRING, Field, Schema, decimal
from dpone.testing.made import made_rows
from dpone.testing.plain import JSON_LINES, copied, put, unescaped

SCHEMA = Schema(
    (Field("id", INT64, nullable=False), Field("note", STRING), Field("amount", decimal(12, 2)), Field("day", DATE)),
    key=("id",),
)
RECORD = {"id": 1, "note": "a\tb\\n\n", "paid": True, "price": Decimal("1.20"), "day": date(2024, 2, 29), "no": None}


def test_a_row_is_a_line_of_copy_and_comes_back() -> None:
    line = copied(RECORD.values())
    assert line == "1\ta\\tb\\\\n\\n\tt\t1.20\t2024-02-29\t\\N\n"
    assert unescaped(line.split("\t")[1]) == RECORD["note"]
    assert copied([{"a": [1, "x\ty"]}]) == '{"a": [1, "x\\\\\\\\ty"]}\n'.replace("\\\\\\\\", "\\\\")


def test_records_are_put_on_either_wire() -> None:
    text, lines = io.StringIO(), io.StringIO()
    put([RECORD, RECORD], "pg_text", text)
    put([RECORD], JSON_LINES, lines)
    assert text.getvalue() == copied(RECORD.values()) * 2
    assert json.loads(lines.getvalue()) == {**RECORD, "price": "1.20", "day": "2024-02-29"}


def test_rows_are_always_the_same_whatever_their_number() -> None:
    few, many = list(made_rows(SCHEMA, 10)), list(made_rows(SCHEMA, 30))
    assert many[:10] == few
    assert [row["id"] for row in few] == list(range(1, 11))
    assert [row["note"] for row in few].count(None) == 1


def test_values_are_made_for_known_kinds_alone() -> None:
    with pytest.raises(PlanError) as refused:
        list(made_rows(Schema((Field("raw", BINARY),)), 1))
    assert refused.value.code == "benchmark.unknown_shape"
