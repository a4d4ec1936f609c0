"""Names, literals, comparisons and definitions of the default dialect, and of SQLite's."""
# ruff: noqa: DTZ001 - wall clocks without a zone are among what is tested

from __future__ import annotations

import sqlite3
import time as clock
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpone.errors import PlanError
from dpone.ops import Grain
from dpone.schema import (
    BINARY,
    BOOL,
    DATE,
    FLOAT64,
    INT16,
    INT64,
    STRING,
    Field,
    Kind,
    Type,
    decimal,
    string,
    timestamp,
    timestamptz,
)
from dpone.schema import UUID as UUID_TYPE
from dpone.schema import time as time_type
from dpone.sql.dialect import Dialect
from dpone.sql.sqlite import SqliteDialect, decode, encode, prepare
from dpone.where import Compare, Condition, Row, matches

ANSI = Dialect()
SQLITE = SqliteDialect()


class TestNames:
    def test_a_name_stands_between_quotes_whatever_it_holds(self) -> None:
        assert ANSI.quote('a "b" ☂;--') == '"a ""b"" ☂;--"'
        assert ANSI.table(("raw", "or.ders")) == '"raw"."or.ders"'

    @pytest.mark.parametrize("name", ["", "a\0b"])
    def test_what_is_no_name_to_the_engine_is_an_error(self, name: str) -> None:
        with pytest.raises(PlanError) as caught:
            ANSI.quote(name)
        assert (caught.value.code, caught.value.message) == ("plan.invalid_identifier", f"not a name: {name!r}")
        assert caught.value.hint == "rename it under `columns:`"

    def test_a_name_that_the_engine_would_cut_is_an_error(self) -> None:
        assert ANSI.quote("x" * 128) == f'"{"x" * 128}"'
        with pytest.raises(PlanError) as caught:
            ANSI.quote("x" * 129)
        assert caught.value.code == "plan.identifier_too_long"
        assert caught.value.message == f"ansi takes names of at most 128, and '{'x' * 129}' has 129"

    def test_an_engine_may_count_bytes(self) -> None:
        class Bytes(Dialect):
            max_identifier = 63

            def identifier_length(self, identifier: str) -> int:
                return len(identifier.encode())

        assert Bytes().quote("é" * 31)
        with pytest.raises(PlanError, match="at most 63"):
            Bytes().quote("é" * 32)


class TestLiterals:
    @pytest.mark.parametrize(
        "value,spelled",
        [
            (None, "NULL"),
            (True, "TRUE"),
            (False, "FALSE"),
            (-3, "-3"),
            (Decimal("1E+3"), "1000"),
            (Decimal("-0.10"), "-0.10"),
            (Decimal("NaN"), "CAST('NaN' AS DECIMAL)"),
            (0.1, "0.1E0"),
            (1e300, "1e+300"),
            (float("nan"), "CAST('NaN' AS DOUBLE PRECISION)"),
            (float("-inf"), "CAST('-Infinity' AS DOUBLE PRECISION)"),
            ("it's \\ ☂", "'it''s \\ ☂'"),
            (b"\x00\xff", "X'00FF'"),
            (bytearray(b"\xab"), "X'AB'"),
            (memoryview(b"\xab"), "X'AB'"),
            (date(2024, 2, 29), "DATE '2024-02-29'"),
            (time(1, 2, 3, 4), "TIME '01:02:03.000004'"),
            (datetime(9999, 12, 31, 23, 59, 59, 999999), "TIMESTAMP '9999-12-31 23:59:59.999999'"),
            (
                datetime(2024, 1, 1, 1, tzinfo=timezone(timedelta(hours=2))),
                "TIMESTAMP WITH TIME ZONE '2023-12-31 23:00:00.000000+00:00'",
            ),
            (UUID(int=1), "'00000000-0000-0000-0000-000000000001'"),
        ],
    )
    def test_each_kind_of_value_has_one_spelling(self, value: object, spelled: str) -> None:
        assert ANSI.literal(value) == spelled

    def test_the_type_decides_what_nan_is(self) -> None:
        assert ANSI.literal(Decimal("NaN"), decimal(9, 2)) == "CAST('NaN' AS DECIMAL(9, 2))"

    def test_what_has_no_literal_is_an_error_that_does_not_show_it(self) -> None:
        with pytest.raises(PlanError) as caught:
            ANSI.literal(["secret"])
        assert (caught.value.code, caught.value.message) == ("plan.no_literal", "no literal holds a list")
        assert caught.value.hint == "filters and bounds take numbers, text, booleans, dates and times"


class TestStorage:
    @pytest.mark.parametrize(
        "value,of",
        [
            (True, BOOL),
            (-1, INT64),
            (Decimal("-12345678901234567890.1234"), decimal(30, 4)),
            (Decimal("NaN"), decimal()),
            (1.5, FLOAT64),
            ("", STRING),
            (b"\0", BINARY),
            (date(1, 1, 1), DATE),
            (time(23, 59, 59, 999999), time_type()),
            (datetime(2024, 1, 1), timestamp()),
            (datetime(2024, 1, 1, 1, tzinfo=timezone(timedelta(hours=9))), timestamptz()),
            (None, STRING),
        ],
    )
    def test_what_is_stored_comes_back(self, value: object, of: Type) -> None:
        found = decode(encode(value), of)
        assert type(found) is type(value)
        assert found == value or str(found) == str(value) == "NaN"

    def test_equal_decimals_are_stored_alike(self) -> None:
        assert encode(Decimal("1.50")) == encode(Decimal("1.5")) == "1.5"
        assert encode(Decimal("100.00")) == encode(Decimal("1E2")) == "100"
        assert encode(Decimal("-0")) == encode(Decimal("-0.0")) == "0"

    def test_an_integer_that_sqlite_has_not_is_stored_as_its_digits(self) -> None:
        assert [encode(n) for n in (2**63 - 1, 2**63, -(2**63) + 1, -(2**63))] == [
            *(2**63 - 1, "9223372036854775808"),
            *(-(2**63) + 1, "-9223372036854775808"),
        ]
        assert decode("9223372036854775808", Type(Kind.UINT, 64)) == 2**63

    def test_a_boolean_is_stored_as_a_number(self) -> None:
        assert [SQLITE.literal(value) for value in (True, False)] == ["1", "0"]

    def test_decimals_that_are_no_numbers_are_stored_by_their_names(self) -> None:
        found = [encode(Decimal(n)) for n in ("NaN", "Infinity", "-Infinity")]
        assert found == ["NaN", "Infinity", "-Infinity"]

    def test_moments_are_stored_in_one_length_so_that_their_order_is_that_of_their_text(self) -> None:
        assert (
            encode(datetime(2024, 1, 1, 2, tzinfo=timezone(timedelta(hours=3)))) == "2023-12-31 23:00:00.000000+00:00"
        )
        assert encode(datetime(2024, 1, 1, 2)) == "2024-01-01 02:00:00.000000"

    def test_what_has_no_form_of_its_own_is_stored_as_text(self) -> None:
        assert encode(UUID(int=1)) == "00000000-0000-0000-0000-000000000001"
        assert decode("x", STRING) == "x"

    def test_decimals_have_the_order_of_numbers_and_nan_is_the_greatest(self) -> None:
        numbers = ["NaN", "10", "-Infinity", "9.5", "9", "NaN", "-100", "Infinity"]
        with closing(sqlite3.connect(":memory:")) as connection:
            prepare(connection)
            connection.execute(f"CREATE TABLE t (n {SQLITE.spell(Field('n', decimal()))})")
            connection.executemany("INSERT INTO t VALUES (?)", [(n,) for n in numbers])
            ordered = [n for (n,) in connection.execute("SELECT n FROM t ORDER BY n")]
            kinds = connection.execute("SELECT COUNT(DISTINCT n) FROM t").fetchone()
        assert ordered == ["-Infinity", "-100", "9", "9.5", "10", "Infinity", "NaN", "NaN"]
        assert kinds == (7,)

    def test_a_sum_of_decimals_is_exact_or_an_error(self) -> None:
        total = f"SELECT {SQLITE.total('column1', decimal())} FROM (VALUES"
        with closing(sqlite3.connect(":memory:")) as connection:
            prepare(connection)
            ask = connection.execute
            assert ask(f"{total} ('0.1'), (NULL), ('0.2'), ('1E+30'))").fetchone() == (f"1{'0' * 30}.3",)
            assert ask(f"{total} ('0.00000001'))").fetchone() == ("0.00000001",)
            assert ask(f"{total} (NULL))").fetchone() == (None,)
            with pytest.raises(sqlite3.OperationalError):
                ask(f"{total} ('1E+9999'), ('1E-9999'))").fetchone()

    def test_no_type_is_spelled_so_that_sqlite_would_change_its_text(self) -> None:
        for of in (decimal(30, 4), DATE, timestamp(), timestamptz(), UUID_TYPE, Type(Kind.UINT, 64)):
            assert SQLITE.spell(Field("c", of)).startswith("TEXT")


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    clock.tzset()
    yield
    monkeypatch.undo()
    clock.tzset()


@pytest.mark.usefixtures("in_tokyo")
def test_an_instant_is_spelled_in_utc_wherever_the_machine_stands() -> None:
    instant = datetime(2024, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    assert ANSI.literal(instant) == "TIMESTAMP WITH TIME ZONE '2023-12-31 23:00:00.000000+00:00'"
    assert SQLITE.literal(instant) == "'2023-12-31 23:00:00.000000+00:00'"


class TestConditions:
    def test_no_condition_is_true_of_every_row(self) -> None:
        assert ANSI.where((), "t", []) == "1 = 1"

    def test_differences_are_seen_through_null(self) -> None:
        assert ANSI.differs("a", "b") == "a IS DISTINCT FROM b"


class TestNan:
    """Numbers that have no order: what an engine would put somewhere is left out, and comes right after NULL."""

    class Somewhere(Dialect):
        orders_nan = True

        def is_nan(self, expression: str, of: Type | None) -> str | None:
            return f"IS_NAN({expression})" if of is not None and of.kind is Kind.FLOAT else None

    SOMEWHERE = Somewhere()

    def test_an_engine_that_orders_nan_leaves_it_out(self) -> None:
        above = Condition("c", Compare.GE, 1.5)
        assert ANSI.condition("t.c", above, FLOAT64) == "t.c >= 1.5E0"
        assert self.SOMEWHERE.condition("t.c", above, FLOAT64) == "(t.c >= 1.5E0 AND NOT IS_NAN(t.c))"
        assert self.SOMEWHERE.condition("t.c", Condition("c", Compare.GE, 1), INT64) == "t.c >= 1"
        assert self.SOMEWHERE.condition("t.c", Condition("c", Compare.NE, 1.5), FLOAT64) == "NOT (t.c = 1.5E0)"

    def test_only_floats_may_be_nan_unless_an_engine_knows_better(self) -> None:
        assert ANSI.is_nan("t.c", FLOAT64) == "t.c <> t.c"
        assert [ANSI.is_nan("t.c", of) for of in (INT64, decimal(9, 2), STRING, None)] == [None] * 4

    def test_the_greatest_number_is_first_then_nan_then_null(self) -> None:
        assert ANSI.greatest_first("t.c", INT64) == "CASE WHEN t.c IS NULL THEN 1 ELSE 0 END, t.c DESC"
        assert self.SOMEWHERE.greatest_first("t.c", FLOAT64) == (
            "CASE WHEN t.c IS NULL THEN 2 WHEN IS_NAN(t.c) THEN 1 ELSE 0 END, t.c DESC"
        )

    def test_a_value_that_is_not_older(self) -> None:
        assert ANSI.not_older("s.c", "t.c", INT64) == "t.c IS NULL OR s.c >= t.c"
        assert self.SOMEWHERE.not_older("s.c", "t.c", FLOAT64) == (
            "t.c IS NULL OR (IS_NAN(t.c) AND s.c IS NOT NULL) OR (s.c >= t.c AND NOT IS_NAN(s.c))"
        )


class TestSlices:
    def test_instants_are_cut_in_utc(self) -> None:
        assert ANSI.truncate("t.c", Grain.DAY, timestamptz()) == "DATE_TRUNC('day', t.c AT TIME ZONE 'UTC')"
        assert ANSI.truncate("t.c", Grain.HOUR, timestamp()) == "DATE_TRUNC('hour', t.c)"

    def test_a_value_and_the_day_of_a_date_are_themselves(self) -> None:
        assert ANSI.truncate("t.c", Grain.VALUE, STRING) == ANSI.truncate("t.c", Grain.DAY, DATE) == "t.c"


class TestDefinitions:
    def test_a_table_has_its_key_and_required_columns(self) -> None:
        fields = [Field("id", INT64, nullable=False), Field("v", string(5)), Field("n", decimal(9, 2))]
        assert ANSI.create_table('"t"', fields, ["id"]) == (
            'CREATE TABLE "t" ("id" BIGINT NOT NULL, "v" VARCHAR(5), "n" DECIMAL(9, 2), PRIMARY KEY ("id"))'
        )

    def test_a_native_type_of_the_same_engine_is_kept(self) -> None:
        assert ANSI.spell(Field("c", STRING, native="ansi:CLOB")) == "CLOB"
        assert ANSI.spell(Field("c", STRING, native="postgres:jsonb")) == "VARCHAR"

    def test_changes_of_a_table(self) -> None:
        field = Field("c", INT16)
        assert ANSI.add_column("t", field) == 'ALTER TABLE t ADD COLUMN "c" SMALLINT'
        assert ANSI.widen_column("t", field) == 'ALTER TABLE t ALTER COLUMN "c" SET DATA TYPE SMALLINT'
        assert ANSI.relax_column("t", field) == 'ALTER TABLE t ALTER COLUMN "c" DROP NOT NULL'
        assert ANSI.rename("t", "u") == 'ALTER TABLE t RENAME TO "u"'
        assert ANSI.drop("t") == "DROP TABLE IF EXISTS t"
        assert ANSI.create_as("t", "SELECT 1") == "CREATE TABLE t AS SELECT 1"


COLUMN = Field('c"', INT64)

# Not in a class: a test of Hypothesis that is run again in the same process, as mutmut does, would have another `self`.


@given(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63) + 1, 2**63 - 1),
        st.decimals(allow_nan=False, allow_infinity=False),
        st.floats(-1e18, 1e18, allow_nan=False).map(lambda v: round(v, 15)),  # beyond, SQLite's own reading rounds
        st.sampled_from([float("inf"), float("-inf")]),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
        st.binary(),
        st.dates(),
        st.times(),
        st.datetimes(),
        st.datetimes(timezones=st.timezones() | st.just(UTC), allow_imaginary=False),
        st.uuids(),
    )
)
def test_sqlite_reads_every_literal_as_the_value_that_it_stores(value: object) -> None:
    with sqlite3.connect(":memory:") as connection:
        (found,) = connection.execute(f"SELECT {SQLITE.literal(value)}").fetchone()
    connection.close()
    assert found == encode(value)


@given(
    st.sampled_from([None, 0, 1, 2, 3]),
    st.sampled_from(
        [
            *(Condition('c"', op, 2) for op in Compare if op not in {Compare.IN, Compare.NOT_IN}),
            Condition('c"', Compare.EQ, None),
            Condition('c"', Compare.NE, None),
            *(Condition('c"', op, v) for op in (Compare.IN, Compare.NOT_IN) for v in ((), (None,), (1, None), (1, 2))),
        ]
    ),
)
def test_a_rendered_condition_is_true_exactly_when_the_condition_is(value: object, condition: Condition) -> None:
    row: Row = {'c"': value}
    where = SQLITE.where((condition,), "t", [COLUMN])
    query = f'SELECT COUNT(*) FROM (SELECT {SQLITE.literal(value)} AS "c""") AS t WHERE {where}'
    connection = sqlite3.connect(":memory:")
    (found,) = connection.execute(query).fetchone()
    connection.close()
    assert bool(found) is matches(row, (condition,))
