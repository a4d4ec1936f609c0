"""What the dialect spells, as goldens."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from msgspec.structs import replace

from dpone.connector import AddColumn, CreateTarget, Layout, RelaxColumn, SchemaChange, WidenColumn
from dpone.errors import PlanError
from dpone.ops import Upsert
from dpone.schema import FLOAT64, INT64, Field, Schema, Type, decimal, parse_type
from dpone.sql.load import SqlLoad
from dpone.sql.operations import render
from dpone.sql.statement import Counted
from dpone.where import Compare, Condition
from dpone_postgres.dialect import MERGING, POSTGRES
from dpone_postgres.layouts import statements
from dpone_postgres.selecting import Subject, copy_statement, select

ID = Field("id", parse_type("int64"), nullable=False, native="postgres:bigint")
DOC = Field("do c", parse_type("json"), native="postgres:jsonb")


@pytest.mark.parametrize(
    "value, text",
    [
        ("it's", "'it''s'"),
        ("back\\slash", "'back\\slash'"),
        (b"\x00\xff", "'\\x00ff'::bytea"),
        (Decimal("1e3"), "1000"),
        (
            datetime(2024, 1, 1, microsecond=1, tzinfo=UTC),
            "TIMESTAMP WITH TIME ZONE '2024-01-01 00:00:00.000001+00:00'",
        ),
    ],
)
def test_literals(value: object, text: str) -> None:
    assert POSTGRES.literal(value) == text


def test_a_name_that_the_server_would_cut_is_refused() -> None:
    assert POSTGRES.quote("é" * 31) == '"' + "é" * 31 + '"'
    with pytest.raises(PlanError):
        POSTGRES.quote("é" * 32)
    with pytest.raises(PlanError):
        POSTGRES.text("a\0b")


def test_an_upsert_touches_only_what_differs_and_compares_json_by_its_text() -> None:
    load = SqlLoad("t.t", "live", (ID, DOC))
    texts = [s.text for s in render(Upsert(("id",)), load, POSTGRES)]
    assert texts == [
        (
            'UPDATE t.t AS t SET "do c" = s."do c" FROM live AS s '
            'WHERE t."id" = s."id" AND (t."do c"::text IS DISTINCT FROM s."do c"::text)'
        ),
        (
            'INSERT INTO t.t ("id", "do c") SELECT s."id", s."do c" FROM live AS s '
            'WHERE NOT EXISTS (SELECT 1 FROM t.t AS t WHERE t."id" = s."id")'
        ),
    ]


def test_a_merge_is_one_statement_that_answers_what_it_did() -> None:
    fields = tuple(Field(n, parse_type("int64")) for n in ("id", "v"))
    load = SqlLoad(target="t", live="s", columns=fields, stamps={"at": 1})
    (merge,) = render(Upsert(("id",), flag="gone"), load, MERGING)
    assert merge.counts is Counted.ANSWERED
    assert merge.text == (
        'WITH done AS (INSERT INTO t AS t ("id", "v", "at") SELECT s."id", s."v", 1 FROM s AS s ON CONFLICT ("id") '
        'DO UPDATE SET "v" = excluded."v", "at" = excluded."at", "gone" = NULL WHERE t."v" IS DISTINCT FROM '
        'excluded."v" OR t."gone" IS NOT NULL RETURNING t.xmax = 0 AS is_new) '
        "SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM done"
    )
    for op, of in ((Upsert(("id",), newer="v"), load), (Upsert(("id",)), replace(load, partial=True))):
        assert render(op, of, MERGING) == render(op, of, POSTGRES)


def test_changes_of_a_layout() -> None:
    layout = Layout(Schema((ID, DOC), ("id",)))
    wide = Field("id", parse_type("decimal"), native="postgres:numeric")
    changes: list[SchemaChange] = [CreateTarget(), AddColumn(DOC), WidenColumn(wide, "bigint"), RelaxColumn("id")]
    assert list(statements('"s"."t"', layout, changes)) == [
        'CREATE TABLE "s"."t" ("id" bigint NOT NULL, "do c" jsonb)',
        'ALTER TABLE "s"."t" ADD COLUMN "do c" jsonb',
        'ALTER TABLE "s"."t" ALTER COLUMN "id" SET DATA TYPE numeric',
        'ALTER TABLE "s"."t" ALTER COLUMN "id" DROP NOT NULL',
    ]


def test_a_reading_is_a_copy_of_one_select() -> None:
    from dpone.batch import PG_BINARY
    from dpone.connector import Column, Dataset, ReadRequest
    from dpone.strategies import Read

    where = (Condition("do c", Compare.NOT_NULL),)
    request = ReadRequest(Dataset(query="SELECT 1"), Read.SCAN, (Column("x", "id"),), PG_BINARY, where=where)
    query = select(Subject(Schema((ID, DOC)), query="SELECT 1 --"), request, [])
    assert copy_statement(query, PG_BINARY) == (
        'COPY (SELECT t."id" AS "x" FROM (\nSELECT 1 --\n) AS t WHERE t."do c" IS NOT NULL) TO STDOUT (FORMAT binary)'
    )


@pytest.mark.parametrize("of", [FLOAT64, decimal(9, 2), decimal()], ids=str)
def test_nan_which_is_the_greatest_here_is_left_out_of_comparisons(of: Type) -> None:
    condition = Condition("c", Compare.GE, 2)
    assert POSTGRES.condition("t.c", condition, of) == "(t.c >= 2 AND NOT t.c = 'NaN')"
    assert POSTGRES.condition("t.c", condition, INT64) == "t.c >= 2"
