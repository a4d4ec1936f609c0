from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlglot import exp

from dpone.errors import PlanError
from dpone.ops import Grain, Upsert
from dpone.schema import (
    BINARY,
    DATE,
    FLOAT64,
    INT64,
    JSON,
    STRING,
    Field,
    Type,
    decimal,
    list_of,
    timestamp,
    timestamptz,
)
from dpone.sql.operations import render
from dpone.sql.statement import Counted
from dpone.testing.renderings import COLUMNS, KEY, definitions, loads, operations, questions, sealing
from dpone.testing.typemaps import EXAMPLES
from dpone_bigquery.dialect import BIGQUERY

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
LOAD, BARE = loads(BIGQUERY)
STATEMENTS = tuple(
    dict.fromkeys(text for part in (operations, questions, sealing, definitions) for text in part(BIGQUERY))
)


def parsed(text: str) -> exp.Expr:
    """The one statement that the text is, every part of it understood."""
    (tree,) = sqlglot.parse(text, dialect="bigquery")
    assert tree is not None
    assert not list(tree.find_all(exp.Command)), text
    return tree


@pytest.mark.parametrize("text", STATEMENTS)
def test_every_statement_is_one_that_an_independent_grammar_reads(text: str) -> None:
    parsed(text)


def test_a_renamed_table_stays_where_it_is() -> None:
    assert BIGQUERY.rename("`raw`.`a`", "b c") == "ALTER TABLE `raw`.`a` RENAME TO `b c`"
    parsed(BIGQUERY.rename("`raw`.`a`", "b c"))


# ------------------------------------------------------------------- names and literals


def test_names_that_bigquery_never_takes_are_refused_before_a_job_is_sent() -> None:
    for fine in ("order lines", "größe", "a-b", "x=1%", "select", "_dpone_load_id", "a" * 300):
        assert BIGQUERY.quote(fine) == f"`{fine}`"
    for wrong in ("", "a.b", "a`b", 'a"b', "a\\b", "a[b", "a;b", "a\nb", "_TABLE_x", "_partitiontime", "a" * 301):
        with pytest.raises(PlanError) as refused:
            BIGQUERY.quote(wrong)
        assert refused.value.code in {"plan.invalid_identifier", "plan.identifier_too_long"}


def test_a_table_has_a_dataset_and_perhaps_a_project() -> None:
    assert BIGQUERY.table(("orders",)) == "`orders`"
    assert BIGQUERY.table(("raw", "orders")) == "`raw`.`orders`"
    assert BIGQUERY.table(("example.com:my-project", "raw", "orders")) == "`example.com:my-project`.`raw`.`orders`"
    for wrong in (("a`b", "raw", "t"), ("p", "ra`w", "t"), ("raw", "")):
        with pytest.raises(PlanError):
            BIGQUERY.table(wrong)


@given(st.text(st.sampled_from("\\'\"\n\r\t`nux0") | st.characters(codec="utf-8"), max_size=20))
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_text_is_read_back_from_its_literal(value: str) -> None:
    literal = BIGQUERY.text(value)
    assert literal[0] == literal[-1] == "'"
    inner = literal[1:-1]
    assert "\n" not in inner
    assert "\r" not in inner
    unescaped = inner.replace("\\\\", "").replace("\\'", "")
    assert "'" not in unescaped
    assert inner.encode("ascii", "backslashreplace").decode("unicode_escape") == value  # Python's escapes are the same


@pytest.mark.parametrize(
    "value, literal",
    [
        (None, "NULL"),
        (True, "TRUE"),
        (-5, "-5"),
        (2**63 - 1, "9223372036854775807"),
        (2**63, "NUMERIC '9223372036854775808'"),
        (10**30, f"BIGNUMERIC '{10**30}'"),
        (Decimal("1.50"), "NUMERIC '1.50'"),
        (Decimal("-1E-10"), "BIGNUMERIC '-0.0000000001'"),
        (1.5, "1.5E0"),
        (float("nan"), "CAST('NaN' AS FLOAT64)"),
        (float("-inf"), "CAST('-Infinity' AS FLOAT64)"),
        ("it's\\\n", "'it\\'s\\\\\\n'"),
        (b"\x00\xff", "b'\\x00\\xff'"),
        (date(1, 1, 1), "DATE '0001-01-01'"),
        (time(1, 2, 3, 4), "TIME '01:02:03.000004'"),
        (datetime(2026, 1, 2, 3, 4, 5, 6), "DATETIME '2026-01-02 03:04:05.000006'"),  # noqa: DTZ001 - a wall clock
        (AT.astimezone(timezone(timedelta(hours=2))), "TIMESTAMP '2026-03-01 12:30:00.000000+00:00'"),
    ],
)
def test_a_value_has_one_literal(value: object, literal: str) -> None:
    assert BIGQUERY.literal(value) == literal
    parsed(f"SELECT {literal}")


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("1E+38"), Decimal("1E-39"), 10**38, object()])
def test_what_bigquery_cannot_hold_has_no_literal(value: object) -> None:
    with pytest.raises(PlanError) as refused:
        BIGQUERY.literal(value)
    assert refused.value.code == "plan.no_literal"


# ------------------------------------------------------------------------- comparisons


def test_what_has_no_equality_is_compared_by_its_json() -> None:
    for of in (JSON, list_of(INT64)):
        assert "TO_JSON_STRING(t.`a`)" in BIGQUERY.differs("t.`a`", "s.`a`", of)
    assert BIGQUERY.differs("t.`a`", "s.`a`", STRING) == "t.`a` IS DISTINCT FROM s.`a`"


def test_a_nan_is_itself() -> None:
    assert "IS_NAN" in BIGQUERY.equals("t.`a`", "s.`a`", FLOAT64)
    assert BIGQUERY.equals("t.`a`", "s.`a`", INT64) == "t.`a` = s.`a`"


@pytest.mark.parametrize(
    "of, grain, text",
    [
        (DATE, Grain.DAY, "x"),
        (DATE, Grain.MONTH, "DATE_TRUNC(x, MONTH)"),
        (timestamp(6), Grain.HOUR, "DATETIME_TRUNC(x, HOUR)"),
        (timestamptz(6), Grain.DAY, "TIMESTAMP_TRUNC(x, DAY, 'UTC')"),
        (STRING, Grain.VALUE, "x"),
    ],
)
def test_a_slice_is_cut_by_the_function_of_its_type(of: Type, grain: Grain, text: str) -> None:
    assert BIGQUERY.truncate("x", grain, of) == text


# ------------------------------------------------------------------------- definitions


def test_an_array_takes_no_not_null_and_no_key_is_declared() -> None:
    assert BIGQUERY.definition(Field("a", INT64, nullable=False)) == "`a` INT64 NOT NULL"
    assert BIGQUERY.definition(Field("a", list_of(INT64), nullable=False)) == "`a` ARRAY<INT64>"
    assert BIGQUERY.definition(Field("a", BINARY, native="bigquery:BYTES(16)")) == "`a` BYTES(16)"
    assert "KEY" not in BIGQUERY.create_table("`t`", (Field("a", decimal(38, 9), nullable=False),), ("a",))


# --------------------------------------------------------------------------- operations


def test_upsert_is_one_merge_that_sets_no_key() -> None:
    (merge,) = render(Upsert(KEY, flag="deleted at"), LOAD, BIGQUERY)
    assert merge.counts is Counted.ANSWERED  # by the job's dmlStats
    tree = parsed(merge.text)
    assert isinstance(tree, exp.Merge)
    sets = merge.text.partition("UPDATE SET ")[2].partition(" WHEN NOT MATCHED")[0]
    assert "`id` =" not in sets
    assert "`deleted at` = NULL" in sets
    assert "INSERT (`id`, `the name`" in merge.text
    assert merge.text.count("`_dpone_load_id`") == 2


def test_a_table_of_keys_alone_is_only_filled() -> None:
    (merge,) = render(Upsert(("id",)), replace(BARE, columns=COLUMNS[:1], key=("id",)), BIGQUERY)
    assert "MATCHED AND" not in merge.text
    assert "WHEN NOT MATCHED THEN INSERT" in merge.text
