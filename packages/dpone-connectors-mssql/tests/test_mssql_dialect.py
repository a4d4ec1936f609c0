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
from dpone.schema import BINARY, DATE, INT64, JSON, STRING, Field, Type, parse_type, string, timestamp, timestamptz
from dpone.sql.operations import render
from dpone.testing.renderings import COLUMNS, KEY, definitions, loads, operations, questions, sealing
from dpone.testing.typemaps import EXAMPLES
from dpone_mssql.dialect import BINARY_COLLATION, MSSQL

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
LOAD, BARE = loads(MSSQL)
STATEMENTS = tuple(
    dict.fromkeys(text for part in (operations, questions, sealing, definitions) for text in part(MSSQL))
)


def parsed(text: str) -> exp.Expr:
    """The one statement that the text is, every part of it understood."""
    (tree,) = sqlglot.parse(text, dialect="tsql")
    assert tree is not None
    assert not list(tree.find_all(exp.Command)), text
    return tree


@pytest.mark.parametrize("text", STATEMENTS)
def test_every_statement_is_one_that_an_independent_grammar_reads(text: str) -> None:
    parsed(text)


def test_nothing_that_only_later_servers_know_is_used() -> None:
    for text in STATEMENTS:
        assert "DISTINCT FROM" not in text
        assert "DATETRUNC" not in text
        assert "MERGE" not in text


# ------------------------------------------------------------------- names and literals


def test_brackets_are_doubled_and_length_is_that_of_utf_16() -> None:
    assert MSSQL.table(("a.b", "c]d")) == "[a.b].[c]]d]"
    assert MSSQL.quote("😀" * 64) == f"[{'😀' * 64}]"
    for wrong in ("", "a\0b", "x" * 129, "😀" * 65):
        with pytest.raises(PlanError):
            MSSQL.quote(wrong)


@given(st.text(st.sampled_from("\\\r\n'aN +") | st.characters(codec="utf-8", exclude_characters="\0"), max_size=20))
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_text_is_read_back_from_its_literal(value: str) -> None:
    assert read_text(MSSQL.text(value)) == value


def read_text(literal: str) -> str:
    """What SQL Server makes of an expression of national literals: a backslash and the end of its line vanish."""
    if literal.startswith("(CAST("):
        first, *rest = literal[len("(CAST(") : -1].split(" AS nvarchar(max)) + ", 1)
        return read_text(first) + "".join(map(read_text, _split(rest[0])))
    assert literal.startswith("N'")
    assert literal.endswith("'")
    inner = literal[2:-1]
    assert inner.replace("''", "").count("'") == 0
    return inner.replace("\\\r\n", "").replace("\\\n", "").replace("''", "'")


def _split(text: str) -> list[str]:
    """`N'a' + N'b'` at the signs between the literals, not at those within one."""
    parts, start = [], 0
    while start < len(text):
        end = start + 2
        while text[end] != "'" or text[end : end + 2] == "''":
            end += 2 if text[end : end + 2] == "''" else 1
        parts.append(text[start : end + 1])
        start = end + 1 + len(" + ")
    return parts


def test_a_backslash_does_not_swallow_the_end_of_its_line() -> None:
    assert MSSQL.text("a\\b") == "N'a\\b'"
    assert MSSQL.text("a\\\nb") == "(CAST(N'a\\' AS nvarchar(max)) + N'\nb')"


@pytest.mark.parametrize(
    "value, literal",
    [
        (None, "NULL"),
        (True, "1"),
        (-5, "-5"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1.50"), "1.50"),
        (1.5, "1.5E0"),
        (1e300, "1e+300"),
        ("it's", "N'it''s'"),
        (b"\x00\xff", "0x00FF"),
        (b"", "0x"),
        (date(1, 1, 1), "CAST('0001-01-01' AS date)"),
        (time(1, 2, 3), "CAST('01:02:03.000000' AS time(6))"),
        (datetime(2026, 1, 2, 3, 4, 5, 6), "CAST('2026-01-02T03:04:05.000006' AS datetime2(6))"),  # noqa: DTZ001 - a wall clock
        (AT.astimezone(timezone(timedelta(hours=2))), "CAST('2026-03-01T12:30:00.000000+00:00' AS datetimeoffset(6))"),
    ],
)
def test_a_value_has_one_literal(value: object, literal: str) -> None:
    assert MSSQL.literal(value) == literal
    parsed(f"SELECT {literal}")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), "a\0b", object()])
def test_what_sql_server_cannot_hold_has_no_literal(value: object) -> None:
    with pytest.raises(PlanError) as refused:
        MSSQL.literal(value)
    assert refused.value.code == "plan.no_literal"


# ------------------------------------------------------------------------- comparisons


def test_text_is_told_apart_by_code_points_and_length() -> None:
    same = MSSQL.equals("t.[a]", "s.[a]", STRING)
    assert same.count(BINARY_COLLATION) == 2
    assert "LEN(t.[a] + N'.') = LEN(s.[a] + N'.')" in same
    assert MSSQL.equals("t.[a]", "s.[a]", INT64) == "t.[a] = s.[a]"
    assert "DATALENGTH" in MSSQL.equals("t.[a]", "s.[a]", BINARY)
    assert " IN (" not in MSSQL.among("t.[a]", ("x", "y"), string(5), inside=True)
    assert " IN (" in MSSQL.among("t.[a]", (1, 2), INT64, inside=True)


def test_a_difference_holds_window_functions() -> None:
    """Sealing compares with FIRST_VALUE: in a subquery of its own it would see one row."""
    for of in (INT64, STRING, BINARY, JSON):
        assert "SELECT" not in MSSQL.differs("d.[a]", "FIRST_VALUE(d.[a]) OVER (ORDER BY d.[b])", of)


@pytest.mark.parametrize("of", [DATE, timestamp(6), timestamptz(6)])
@pytest.mark.parametrize("grain", [Grain.HOUR, Grain.DAY, Grain.MONTH, Grain.YEAR])
def test_a_slice_reaches_back_to_year_one(of: Type, grain: Grain) -> None:
    text = MSSQL.truncate("t.[a]", grain, of)
    parsed(f"SELECT {text} FROM x AS t")
    assert "DATEDIFF" not in text
    assert ("SWITCHOFFSET" in text) is (of == timestamptz(6))


# ------------------------------------------------------------------------- definitions


def created(*fields: Field) -> str:
    return MSSQL.create_table("[t]", fields, ("k",))


def test_nullability_is_always_said() -> None:
    assert MSSQL.definition(Field("a", INT64)) == "[a] bigint NULL"
    assert MSSQL.definition(Field("a", INT64, nullable=False, native="mssql:int")) == "[a] int NOT NULL"
    assert MSSQL.relax_column("[t]", Field("a", INT64)) == "ALTER TABLE [t] ALTER COLUMN [a] bigint NULL"


def test_a_key_of_text_is_binary_and_as_long_as_an_index_can_be() -> None:
    key = Field("k", string(100), nullable=False)
    assert created(key) == (
        f"CREATE TABLE [t] ([k] nvarchar(200) COLLATE {BINARY_COLLATION} NOT NULL, PRIMARY KEY CLUSTERED ([k]))"
    )
    assert "NONCLUSTERED" in created(replace(key, type=string(400)))
    assert "PRIMARY KEY" not in created(replace(key, type=string(500)))
    assert "PRIMARY KEY" not in created(replace(key, type=STRING))
    assert "PRIMARY KEY" not in created(replace(key, type=parse_type("json")))
    own = replace(key, native="mssql:varchar(20) collate Cyrillic_General_CI_AS")
    assert BINARY_COLLATION not in created(own)
    named_like_its_type = Field("nvarchar(200)", string(100), nullable=False)
    text = MSSQL.create_table("[t]", (named_like_its_type,), ("nvarchar(200)",))
    assert text.startswith(f"CREATE TABLE [t] ([nvarchar(200)] nvarchar(200) COLLATE {BINARY_COLLATION} NOT NULL")


def test_a_new_name_is_a_value_and_not_quoted() -> None:
    assert MSSQL.rename("[raw].[o'r]", "a]b") == (
        "EXEC sp_rename @objname = N'[raw].[o''r]', @newname = N'a]b', @objtype = N'OBJECT'"
    )
    with pytest.raises(PlanError):
        MSSQL.rename("[t]", "x" * 129)


# --------------------------------------------------------------------------- operations


def test_upsert_locks_the_range_of_its_keys_in_both_statements() -> None:
    update, insert = (statement.text for statement in render(Upsert(KEY), LOAD, MSSQL))
    assert update.startswith("UPDATE t SET")
    assert insert.startswith("INSERT INTO [raw].[the orders]")
    for text in (update, insert):
        assert "[raw].[the orders] AS t WITH (UPDLOCK, HOLDLOCK)" in text
    assert "[id] =" not in update.partition(" FROM ")[0]  # the key itself is never set


def test_a_table_of_keys_alone_is_only_filled() -> None:
    (only,) = render(Upsert(("id",)), replace(BARE, columns=COLUMNS[:1], key=("id",)), MSSQL)
    assert only.text.startswith("INSERT")


def test_an_alias_stands_where_t_sql_wants_it() -> None:
    assert MSSQL.delete("[x]", "t", "1 = 1") == "DELETE t FROM [x] AS t WHERE 1 = 1"
    assert MSSQL.update("[x]", "t", [("a", "1")], None, "1 = 1") == "UPDATE t SET [a] = 1 FROM [x] AS t WHERE 1 = 1"
