from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from pydantic import SecretStr, ValidationError

from dpone.errors import DponeError, PlanError, UsageError
from dpone.integration_matrix import SPECIFIED, capabilities
from dpone.manifest.connections import from_url
from dpone.manifest.loader import parse
from dpone.registry import load
from dpone.schema import Field, Landing, Verdict, parse_type
from dpone.testing.typemaps import EXAMPLES, fields, overclaim
from dpone_kafka import KafkaConfig, KafkaSink, KafkaSource, connector
from dpone_kafka.typemap import NATIVES, TYPES

CANARY = "cAnArY-71"
FAR = "k1.example.org:9093,k2.example.org:9093"


def config(**given: object) -> KafkaConfig:
    return KafkaConfig.model_validate({"brokers": FAR, **given})


def test_it_declares_what_the_matrix_specifies() -> None:
    assert capabilities(connector) == next(c for c in SPECIFIED if c.name == "kafka")


def test_a_message_is_whole_and_a_broker_filters_nothing() -> None:
    assert connector.sink is not None
    assert connector.source is not None
    assert not connector.sink.keeps_partial
    assert not connector.source.pushes_where


def test_declaring_needs_no_driver_and_no_arrow() -> None:
    code = "import sys, dpone_kafka; print({'confluent_kafka', 'avro', 'pyarrow'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


# ------------------------------------------------------------------------ connection


def test_tls_is_verified_unless_all_brokers_are_this_machine() -> None:
    assert config().tls_mode == "verify"
    assert config(brokers="localhost:9092,127.0.0.1:9093,[::1]:9094").tls_mode == "off"
    assert config(brokers="localhost:9092,k1.example.org:9092").tls_mode == "verify"
    assert config(brokers="localhost", ca_file="/ca.pem").tls_mode == "verify"
    assert config(tls="off").tls_mode == "off"


def test_secrets_are_never_shown() -> None:
    secrets = {"password": CANARY, "registry_password": CANARY, "key_password": CANARY}
    found = config(user="me", registry_user="me", **secrets)
    assert CANARY not in repr(found) + str(found) + found.model_dump_json() + found.label
    with pytest.raises(ValidationError) as refused:
        config(**secrets)
    with pytest.raises(ValidationError) as in_the_address:
        config(registry=f"https://me:{CANARY}@r.example.org")
    assert CANARY not in str(refused.value) + repr(refused.value) + str(in_the_address.value)


@pytest.mark.parametrize(
    "given",
    [
        {"brokers": "k1:9092,,k2"},
        {"brokers": "kafka://k1"},
        {"user": "me"},
        {"sasl": "scram_sha_512"},
        {"sasl": "kerberos", "password": CANARY},
        {"sasl": "oauth", "user": "app", "password": CANARY},
        {"user": "me", "password": CANARY, "oauth_token_url": "https://login.example.org"},
        {"cert_file": "/me.pem"},
        {"tls": "off", "cert_file": "/me.pem", "key_file": "/me.key"},
        {"registry": "http://r.example.org"},
        {"registry": "r.example.org:8081"},
        {"registry": "https://r.example.org", "registry_user": "me"},
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        config(**given)


@pytest.mark.parametrize(
    "given, mechanism",
    [
        ({}, None),
        ({"user": "me", "password": CANARY}, "plain"),
        ({"user": "me", "password": CANARY, "sasl": "scram_sha_256"}, "scram_sha_256"),
        ({"sasl": "kerberos"}, "kerberos"),
        (
            {"sasl": "oauth", "user": "app", "password": CANARY, "oauth_token_url": "https://login.example.org/token"},
            "oauth",
        ),
        ({"cert_file": "/me.pem", "key_file": "/me.key", "key_password": CANARY}, None),
        ({"registry": "http://localhost:8081"}, None),
    ],
)
def test_every_way_of_saying_who_we_are_can_be_written(given: dict[str, object], mechanism: str | None) -> None:
    assert config(**given).mechanism == mechanism


def test_every_field_says_what_it_is() -> None:
    for model in (KafkaConfig, KafkaSource, KafkaSink):
        assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_a_url_says_the_same_as_its_parts() -> None:
    url = f"kafka://me:p%40ss@{FAR}?sasl=scram_sha_256&registry=https://r.example.org"
    expected = config(user="me", password=SecretStr("p@ss"), sasl="scram_sha_256", registry="https://r.example.org")
    assert from_url(url, connector).resolve({}) == expected
    assert from_url("kafka://localhost:9092", connector).resolve({}) == KafkaConfig()
    with pytest.raises(DponeError) as wrong:
        from_url(f"kafka://me:{CANARY}@h:9092?sasl=md5", connector)
    assert CANARY not in str(wrong.value)


@pytest.mark.parametrize("mode", ["incremental_append", "incremental_merge"])
def test_a_topic_is_read_by_offsets_and_takes_no_cursor(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPONE_CONN_SHOP", "kafka://localhost")
    ends = {side: {"type": "kafka", "connection": "shop", "topic": side} for side in ("source", "sink")}
    strategy: dict[str, object] = {"mode": mode, "key": ["id"]}
    parse({"version": 1, "name": "n", **ends, "strategy": strategy}, load)
    with pytest.raises(UsageError) as refused:
        parse({"version": 1, "name": "n", **ends, "strategy": {**strategy, "cursor": {"column": "id"}}}, load)
    assert "positions of its own" in str(refused.value)


# ---------------------------------------------------------------------------- options


def test_a_topic_is_one_name_dots_and_all() -> None:
    assert KafkaSource(topic="shop.orders").dataset().name == ("shop.orders",)
    assert KafkaSink(topic="shop.orders", partitions=6).target().options["partitions"] == 6


@pytest.mark.parametrize(
    "given",
    [
        {"topic": "a b"},
        {"topic": "t", "on_bad_message": "dead_letter"},
        {"topic": "t", "dead_letter_topic": "bad"},
        {"topic": "t", "format": "raw", "columns": {"a": "int64"}},
        {"topic": "t", "columns": {"a": "int65"}},
        {"topic": "t", "tombstones": "keep"},
    ],
)
def test_what_does_not_go_together_in_a_source_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        KafkaSource.model_validate(given)


# ------------------------------------------------------------------------------ types


@pytest.mark.parametrize("native", NATIVES)
def test_every_native_type_is_read_and_lands_as_itself(native: str) -> None:
    field = Field("c", TYPES.read(native), native=f"kafka:{native}")
    landing = TYPES.land(field)
    assert (landing.native, landing.verdict) == (native, Verdict.EXACT)
    assert TYPES.widens(native, native)
    assert overclaim(TYPES, Field("c", TYPES.read(native))) is None


@given(fields())
@settings(max_examples=EXAMPLES, deadline=None)
def test_no_verdict_claims_more_than_the_column_holds(field: Field) -> None:
    assert overclaim(TYPES, field) is None


@pytest.mark.parametrize(
    "type_, native, verdict",
    [
        ("int64", "int64", Verdict.EXACT),
        ("uint256", "uint256", Verdict.EXACT),
        ("decimal", "decimal", Verdict.EXACT),
        ("decimal(76,0)", "decimal(76,0)", Verdict.EXACT),
        ("timestamptz(9)", "timestamptz(9)", Verdict.EXACT),
        ("binary", "binary", Verdict.EXACT),
        ("opaque", "opaque", Verdict.WIDENED),
        ("list<struct<a:decimal(9,2)>>", "list<struct<a:decimal(9,2)>>", Verdict.EXACT),
    ],
)
def test_types_of_other_engines_land_where_they_fit_best(type_: str, native: str, verdict: Verdict) -> None:
    landing = TYPES.land(Field("c", parse_type(type_), native="elsewhere:thing"))
    assert (landing.native, landing.verdict) == (native, verdict)


def test_text_in_json_is_said_to_be_text() -> None:
    assert "text" in TYPES.land(Field("c", parse_type("decimal(9,2)"))).why
    assert TYPES.land(Field("c", parse_type("int64"))) == Landing("int64")


@pytest.mark.parametrize(
    "old, new, safe",
    [
        ("int8", "int64", True),
        ("int64", "int8", False),
        ("uint8", "int16", True),
        ("uint8", "int8", False),
        ("int64", "decimal(19,0)", True),
        ("int64", "decimal(18,0)", False),
        ("decimal(9,2)", "decimal", True),
        ("decimal", "decimal(9,2)", False),
        ("string(5)", "string", True),
        ("string", "string(5)", False),
        ("timestamptz(3)", "timestamptz(6)", True),
        ("timestamp(3)", "timestamptz(3)", False),
        ("list<int8>", "list<int64>", True),
        ("struct<a:int8>", "struct<a:int16,b:string>", True),
        ("struct<a:int8>", "struct<b:string>", False),
        ("kafka:int8", "kafka:int64", True),
    ],
)
def test_a_column_widens_only_where_no_written_value_changes(old: str, new: str, safe: bool) -> None:  # noqa: FBT001 - a case
    assert TYPES.widens(old, new) is safe


@pytest.mark.parametrize("native", ["", "int65", "struct<>", "avro:long"])
def test_an_unknown_type_is_refused(native: str) -> None:
    with pytest.raises(DponeError) as refused:
        TYPES.read(native)
    assert not isinstance(refused.value, PlanError)  # what was declared is wrong, and not what was found
