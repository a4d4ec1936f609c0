from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import SecretStr, ValidationError

from dpone.batch import ARROW, CH_NATIVE, PG_BINARY, PG_TEXT, Wire, negotiate
from dpone.errors import DponeError
from dpone.integration_matrix import SPECIFIED, capabilities
from dpone.manifest.connections import from_url
from dpone.schema import Field, Landing, Verdict, parse_type
from dpone_clickhouse import ClickHouseConfig, ClickHouseSink, ClickHouseSource, connector
from dpone_clickhouse.typemap import TYPES
from dpone_clickhouse.wires import ACCEPTS, EMITS, accepted_text_refusal

CANARY = "cAnArY-71"


def config(**given: object) -> ClickHouseConfig:
    return ClickHouseConfig.model_validate({"host": "db.example.org", **given})


def test_it_declares_what_the_matrix_specifies() -> None:
    assert capabilities(connector) == next(c for c in SPECIFIED if c.name == "clickhouse")


def test_declaring_needs_no_driver_and_no_arrow() -> None:
    code = "import sys, dpone_clickhouse; print({'clickhouse_driver', 'requests', 'pyarrow'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


# ------------------------------------------------------------------------ connection


def test_tls_is_verified_unless_the_server_is_this_machine() -> None:
    assert (config().tls_mode, config().ports) == ("verify", (9440, 8443))
    for here in ("localhost", "127.0.0.1", "::1"):
        assert (config(host=here).tls_mode, config(host=here).ports) == ("off", (9000, 8123))
    assert config(host="localhost.example.org").tls_mode == "verify"
    assert config(host="localhost", ca_file="/ca.pem").tls_mode == "verify"
    assert (config(tls="off").tls_mode, config(tls="off", http_port=80).ports) == ("off", (9000, 80))


def test_a_password_is_never_shown() -> None:
    found = config(password=CANARY)
    assert CANARY not in repr(found) + str(found) + found.model_dump_json() + found.label
    with pytest.raises(ValidationError) as refused:
        config(password=CANARY, cert_file="/me.pem")
    with pytest.raises(ValidationError) as unknown:
        config(passwrd=CANARY)
    assert CANARY not in str(refused.value) + repr(refused.value) + str(unknown.value)


@pytest.mark.parametrize(
    "given",
    [
        {"cert_file": "/me.pem"},
        {"tls": "off", "cert_file": "/me.pem", "key_file": "/me.key"},
        {"tls": "require", "ca_file": "/ca.pem"},
        {"tls": "yes"},
        {"http_port": 0},
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        config(**given)


def test_every_field_says_what_it_is() -> None:
    for model in (ClickHouseConfig, ClickHouseSource, ClickHouseSink):
        assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_a_url_says_the_same_as_its_parts() -> None:
    url = "clickhouse://me:p%40ss@db.example.org:9001/raw?http_port=8124&tls=require&compression=none"
    expected = config(
        port=9001,
        http_port=8124,
        database="raw",
        user="me",
        password=SecretStr("p@ss"),
        tls="require",
        compression="none",
    )
    assert from_url(url, connector).resolve({}) == expected
    with pytest.raises(DponeError) as wrong:
        from_url(f"clickhouse://me:{CANARY}@h/d?tls=veriffy", connector)
    assert CANARY not in str(wrong.value)


# ---------------------------------------------------------------------------- options


def test_a_table_keeps_its_parts() -> None:
    assert ClickHouseSource(table="orders").dataset().name == ("orders",)
    assert ClickHouseSource(table="orders", final=True).dataset().options["final"] is True
    target = ClickHouseSink.model_validate(
        {
            "table": "raw.orders",
            "order_by": ("id",),
            "partition_by": {"column": "created"},
            "ttl": {"column": "created", "after": "90d"},
            "codecs": {"payload": "Delta(4), ZSTD(3)"},
        }
    ).target()
    assert target.name == ("raw", "orders")
    assert target.options["partition_by"] == {"column": "created", "grain": "month"}


@pytest.mark.parametrize(
    "given",
    [
        {"table": "a.b.c"},
        {"table": "t", "version": "v"},
        {"table": "t", "engine": "replacing_merge_tree"},
        {"table": "t", "codecs": {"c": "ZSTD(3)) ENGINE = Null --"}},
        {"table": "t", "partition_by": {"column": "c", "grain": "toYYYYMM(c)"}},
    ],
)
def test_a_sink_takes_data_and_no_sql(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ClickHouseSink.model_validate(given)


# -------------------------------------------------------------------------------- wire


def own(native: str, *, nullable: bool = False) -> Field:
    return Field("c", TYPES.read(native), nullable, f"clickhouse:{native}")


def foreign(type_: str, *, nullable: bool = False) -> Field:
    return Field("c", parse_type(type_), nullable, "postgres:something")


COPY = (Wire(PG_BINARY), Wire(PG_TEXT), Wire(ARROW))  # as another engine offers or takes it


@pytest.mark.parametrize("native", TYPES.natives)
def test_between_two_clickhouse_servers_every_type_travels_in_blocks(native: str) -> None:
    choice = negotiate(EMITS, ACCEPTS, [(own(native), TYPES.land(own(native)))])
    assert (choice.format, choice.refused) == (CH_NATIVE, ())


@pytest.mark.parametrize(
    "type_, text",
    [
        *((name, True) for name in ("bool", "int16", "int64", "uint32", "float32", "float64", "decimal(18,4)", "uuid")),
        *(
            (name, True)
            for name in ("string", "string(20)", "date", "time(6)", "timestamp(6)", "timestamptz(3)", "json", "opaque")
        ),
        *((name, False) for name in ("binary", "interval", "list<int64>", "struct<a:int64>")),
        ("map<string,int64>", False),
        ("decimal", False),  # digits beyond the scale would be cut
        ("timestamptz(12)", False),
    ],
)
def test_the_text_of_copy_is_taken_where_it_means_the_same(type_: str, text: bool) -> None:  # noqa: FBT001 - a case
    field = foreign(type_)
    choice = negotiate(COPY, ACCEPTS, [(field, TYPES.land(field))])
    assert choice.format == (PG_TEXT if text else ARROW)
    assert len(choice.refused) == (1 if text else 2)


def test_text_is_refused_where_a_number_would_wrap_around() -> None:
    assert accepted_text_refusal(foreign("int64"), Landing("Int64")) is None
    assert accepted_text_refusal(foreign("int32"), Landing("Int64")) is None
    assert "Int32" in (accepted_text_refusal(foreign("int64"), Landing("Int32")) or "")
    assert accepted_text_refusal(foreign("decimal(9,4)"), Landing("Decimal(9, 2)")) is not None
    assert accepted_text_refusal(foreign("timestamptz(6)"), Landing("DateTime64(3, 'UTC')")) is not None
    assert accepted_text_refusal(foreign("int64"), Landing("Int64", Verdict.LOSSY, "so")) is not None


@pytest.mark.parametrize(
    "native, text",
    [
        *((n, True) for n in ("Bool", "UInt256", "Float64", "Decimal(76, 38)", "String", "LowCardinality(String)")),
        *((n, True) for n in ("Enum8('a' = 1)", "UUID", "IPv6", "Date32", "DateTime", "DateTime64(9, 'UTC')", "JSON")),
        *((n, False) for n in ("FixedString(3)", "Array(Int8)", "Map(String, Int8)", "Tuple(Int8)", "IntervalDay")),
        *((n, False) for n in ("Variant(Int8, String)", "Point")),
    ],
)
def test_its_own_text_is_that_of_copy_only_where_both_print_alike(native: str, text: bool) -> None:  # noqa: FBT001 - a case
    assert negotiate(EMITS, COPY, [(own(native), Landing("text"))]).format == (PG_TEXT if text else ARROW)


def test_the_state_of_an_aggregate_leaves_clickhouse_in_no_format() -> None:
    state = own("AggregateFunction(quantile(0.5), Float64)")
    with pytest.raises(DponeError, match="aggregate"):
        negotiate(EMITS, COPY, [(state, Landing("text"))])


def test_the_driver_is_loaded_without_a_table_of_all_days() -> None:
    code = """
from datetime import date
import dpone_clickhouse.session
from clickhouse_driver.columns.datecolumn import Date32Column as column
print(len(column.date_lut), column.date_lut[-25567], column.date_lut_reverse[date(2299, 12, 31)])
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["0", "1900-01-01", "120529"]


def test_an_address_of_ipv6_is_told_from_its_port() -> None:
    assert config(host="::1").label == "[::1]:9000/default"
