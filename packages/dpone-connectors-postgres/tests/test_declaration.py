from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import SecretStr, ValidationError

from dpone.batch import ARROW, PG_BINARY, PG_TEXT, negotiate
from dpone.errors import UsageError
from dpone.integration_matrix import SPECIFIED, capabilities
from dpone.manifest import from_url
from dpone.schema import Field, Landing, Verdict, parse_type
from dpone_postgres import PostgresConfig, connector
from dpone_postgres.options import PostgresSinkOptions, PostgresSourceOptions
from dpone_postgres.typemap import NATIVES, TYPES
from dpone_postgres.wires import ACCEPTS, EMITS


def test_it_declares_what_the_matrix_specifies() -> None:
    assert capabilities(connector) == next(c for c in SPECIFIED if c.name == "postgres")


def test_declaring_needs_no_driver_and_no_arrow() -> None:
    code = "import sys, dpone_postgres; print(sorted({'psycopg', 'pyarrow'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_tls_is_verified_unless_the_server_is_this_machine() -> None:
    assert PostgresConfig(host="db.example.org").tls == "verify-full"
    assert PostgresConfig(host="127.0.0.1").tls == PostgresConfig(host="::1").tls == "prefer"
    assert PostgresConfig(host="localhost.example.org").tls == "verify-full"
    assert PostgresConfig(host="db.example.org", sslmode="require").tls == "require"


def test_a_url_says_the_same_as_its_parts() -> None:
    config = from_url("postgresql://me:p%40ss@h:5433/d%2Fb?sslmode=require", connector).resolve({})
    expected = PostgresConfig(
        host="h",
        port=5433,
        user="me",
        password=SecretStr("p@ss"),
        database="d/b",
        sslmode="require",
    )
    assert config == expected
    assert "p@ss" not in repr(config)


def test_a_wrong_url_is_refused_without_repeating_its_password() -> None:
    with pytest.raises(UsageError) as caught:
        from_url("postgresql://me:canary@h:port/d", connector)
    assert "canary" not in str(caught.value)
    with pytest.raises(UsageError, match="sslmod"):
        from_url("postgresql://h/d?sslmod=require", connector)


def test_a_source_is_a_table_or_a_query() -> None:
    assert PostgresSourceOptions(table="orders").dataset().name == ("public", "orders")
    assert PostgresSourceOptions(query="select 1").dataset().query == "select 1"
    for wrong in ({}, {"table": "a", "query": "select 1"}):
        with pytest.raises(ValidationError):
            PostgresSourceOptions.model_validate(wrong)
    with pytest.raises(UsageError):
        PostgresSourceOptions(table="db.public.orders")


def test_a_sink_names_a_table() -> None:
    assert PostgresSinkOptions(table='raw."or.ders"').target().name == ("raw", "or.ders")


@pytest.mark.parametrize("native", NATIVES)
def test_every_native_type_lands_as_itself_and_reads_as_a_type_that_can_be_spelled(native: str) -> None:
    type_ = TYPES.read(native)
    assert parse_type(str(type_)) == type_
    assert TYPES.land(Field("c", type_, native=f"postgres:{native}")) == Landing(native)
    assert TYPES.widens(native, native)


@pytest.mark.parametrize(
    "type_, native, verdict",
    [
        ("int8", "smallint", Verdict.WIDENED),
        ("int64", "bigint", Verdict.EXACT),
        ("uint32", "bigint", Verdict.WIDENED),
        ("uint64", "numeric(20,0)", Verdict.WIDENED),
        ("int256", "numeric(78,0)", Verdict.WIDENED),
        ("float64", "double precision", Verdict.EXACT),
        ("decimal(76,10)", "numeric(76,10)", Verdict.EXACT),
        ("decimal", "numeric", Verdict.EXACT),
        ("string(20)", "character varying(20)", Verdict.EXACT),
        ("timestamptz(3)", "timestamp(3) with time zone", Verdict.EXACT),
        ("timestamp(9)", "timestamp without time zone", Verdict.LOSSY),
        ("time(7)", "time without time zone", Verdict.LOSSY),
        ("json", "json", Verdict.EXACT),
        ("list<int64>", "bigint[]", Verdict.EXACT),
        ("list<list<int64>>", "json", Verdict.WIDENED),
        ("struct<a:int64>", "json", Verdict.WIDENED),
        ("opaque", "text", Verdict.WIDENED),
    ],
)
def test_types_of_other_engines_land_where_every_value_fits(type_: str, native: str, verdict: Verdict) -> None:
    landing = TYPES.land(Field("c", parse_type(type_)))
    assert (landing.native, landing.verdict) == (native, verdict)
    assert bool(landing.why) is (verdict is not Verdict.EXACT)


@pytest.mark.parametrize(
    "old, new, safe",
    [
        ("smallint", "bigint", True),
        ("bigint", "integer", False),
        ("integer", "numeric(10,0)", True),
        ("integer", "numeric(9,0)", False),
        ("numeric(10,2)", "numeric(12,4)", True),
        ("numeric(10,2)", "numeric(12,5)", False),
        ("numeric", "numeric(38,9)", False),
        ("character varying(5)", "character varying(9)", True),
        ("character varying", "character varying(9)", False),
        ("character varying(5)", "text", True),
        ("character(5)", "text", False),
        ("real", "double precision", True),
        ("timestamp(3) with time zone", "timestamp with time zone", True),
        ("timestamp with time zone", "timestamp(3) with time zone", False),
        ("timestamp without time zone", "timestamp with time zone", False),
        ("integer[]", "bigint[]", True),
        ("integer", "bigint[]", False),
        ("json", "jsonb", False),
        ("postgres:integer", "postgres:bigint", True),
    ],
)
def test_a_column_widens_only_where_no_stored_value_changes(old: str, new: str, safe: bool) -> None:  # noqa: FBT001 - a case
    assert TYPES.widens(old, new) is safe


def _choose(native: str, landing: str) -> tuple[str, list[str]]:
    field = Field("c", TYPES.read(native), native=f"postgres:{native}")
    choice = negotiate(EMITS, ACCEPTS, [(field, Landing(landing))])
    return choice.format, [r.format for r in choice.refused]


def test_equal_types_travel_as_bytes_and_others_as_text_or_arrow() -> None:
    assert _choose("jsonb", "jsonb") == (PG_BINARY, [])
    assert _choose("integer", "bigint") == (PG_TEXT, [PG_BINARY])
    assert _choose("character(3)", "text") == (ARROW, [PG_BINARY, PG_TEXT])


@pytest.mark.parametrize("native", ["public.mood", "public.mood[]", "regclass", "regtype", "aclitem"])
def test_bytes_that_hold_numbers_of_objects_are_never_passed_on(native: str) -> None:
    assert _choose(native, native) == (PG_TEXT, [PG_BINARY])


def test_text_of_another_engine_is_taken_where_it_means_the_same() -> None:
    (_, text, _) = ACCEPTS
    assert text.refuses(Field("c", parse_type("timestamptz(6)")), Landing("timestamp with time zone")) is None
    assert text.refuses(Field("c", parse_type("binary")), Landing("bytea")) is not None
    assert text.refuses(Field("c", parse_type("list<int64>")), Landing("bigint[]")) is not None


def test_an_address_of_ipv6_is_told_from_its_port() -> None:
    assert PostgresConfig(host="::1").label == "[::1]:5432/postgres"
