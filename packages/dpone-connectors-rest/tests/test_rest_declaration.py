from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import SecretStr, ValidationError

from dpone.errors import DponeError, PlanError
from dpone.integration_matrix import SPECIFIED, capabilities
from dpone.manifest.connections import from_url
from dpone.schema import Field, Landing, parse_type
from dpone_rest import RestConfig, RestSource, connector
from dpone_rest.typemap import NATIVES, TYPES

CANARY = "cAnArY-71"
API = "https://api.example.org/v1"


def config(**given: object) -> RestConfig:
    return RestConfig.model_validate({"url": API, **given})


def test_it_declares_what_the_matrix_specifies() -> None:
    assert capabilities(connector) == next(c for c in SPECIFIED if c.name == "rest")
    assert connector.source is not None
    assert connector.source.pushes_where


def test_declaring_needs_no_driver_and_no_arrow() -> None:
    code = "import sys, dpone_rest; print({'requests', 'jmespath', 'pyarrow'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


# ------------------------------------------------------------------------ connection


def test_tls_is_verified_unless_the_api_is_this_machine() -> None:
    assert config().tls_mode == "verify"
    assert config(url="https://127.0.0.1:8443").tls_mode == "verify"
    assert config(url="http://localhost:8000").tls_mode == "off"
    assert config(url="http://api.example.org", tls="off").tls_mode == "off"
    for outside in ("http://api.example.org", "http://localhost.example.org", "http://10.0.0.1"):
        with pytest.raises(ValidationError, match="https"):
            config(url=outside)


def test_secrets_are_never_shown() -> None:
    found = (
        config(user="me", password=CANARY),
        config(token=CANARY),
        config(api_key=CANARY, headers={"X-Tenant": CANARY}),
        config(token_url="https://login.example.org/token", client_id="app", client_secret=CANARY),
    )
    for one in found:
        assert CANARY not in repr(one) + str(one) + one.model_dump_json() + one.label
    for wrong in ({"token": CANARY, "auth": "basic"}, {"url": f"https://me:{CANARY}@h"}, {"tokn": CANARY}):
        with pytest.raises(ValidationError) as refused:
            config(**wrong)
        assert CANARY not in str(refused.value) + repr(refused.value)


@pytest.mark.parametrize(
    "given, scheme",
    [
        ({}, "none"),
        ({"user": "me", "password": CANARY}, "basic"),
        ({"token": CANARY}, "bearer"),
        ({"api_key": CANARY, "api_key_in": "query", "api_key_name": "key"}, "api_key"),
        (
            {"token_url": "https://login.example.org", "client_id": "app", "client_secret": CANARY, "scope": "r"},
            "oauth2",
        ),
        ({"token_url": "http://127.0.0.1:1/t", "client_id": "app", "client_secret": CANARY}, "oauth2"),
    ],
)
def test_every_way_of_saying_who_we_are_can_be_written(given: dict[str, object], scheme: str) -> None:
    assert config(**given).scheme == scheme


@pytest.mark.parametrize(
    "given",
    [
        {"url": "api.example.org"},
        {"url": "https://api.example.org/v1?key=1"},
        {"url": "ftp://api.example.org"},
        {"url": "https://"},
        {"url": "https://h:port"},
        {"user": "me"},
        {"auth": "bearer"},
        {"auth": "none", "token": CANARY},
        {"token": CANARY, "password": CANARY},
        {"client_id": "app", "client_secret": CANARY},
        {"token_url": "http://login.example.org", "client_id": "app", "client_secret": CANARY},
        {"cert_file": "/me.pem"},
        {"headers": {"X Bad": "1"}},
        {"headers": {"X-Bad\r\nHost": "1"}},
        {"rate_limit": 0},
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        config(**given)


def test_every_field_says_what_it_is() -> None:
    for model in (RestConfig, RestSource):
        assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_a_url_says_the_same_as_its_parts() -> None:
    found = from_url("https://me:p%40ss@api.example.org/v1?retries=2&rate_limit=0.5", connector).resolve({})
    assert found == config(user="me", password=SecretStr("p@ss"), retries=2, rate_limit=0.5)
    assert from_url("http://127.0.0.1:8000/v1", connector).resolve({}).url == "http://127.0.0.1:8000/v1"
    with pytest.raises(DponeError) as wrong:
        from_url(f"https://me:{CANARY}@api.example.org?key=1", connector)
    assert CANARY not in str(wrong.value)


# ---------------------------------------------------------------------------- options


def source(**given: object) -> RestSource:
    return RestSource.model_validate({"path": "orders", **given})


@pytest.mark.parametrize(
    "pagination",
    [
        {"type": "page", "size_param": "per_page", "total": "meta.pages"},
        {"type": "offset", "size": 500},
        {"type": "cursor", "path": "meta.next"},
        {"type": "link", "path": "links.next"},
        {"type": "header"},
    ],
)
def test_every_pagination_can_be_written(pagination: dict[str, object]) -> None:
    options = source(pagination=pagination, records="data", columns={"id": "int64"}, key=("id",)).dataset().options
    assert options["pagination"]["type"] == pagination["type"]
    assert options["columns"] == {"id": "int64"}


@pytest.mark.parametrize(
    "given",
    [
        {"path": "https://evil.example.org/orders"},
        {"path": "//evil.example.org/orders"},
        {"path": "../admin"},
        {"path": "a/../../admin"},
        {"path": "orders?key=1"},
        {"path": "orders#x"},
        {"path": "a\\b"},
        {"path": ""},
        {"pagination": {"type": "cursor"}},
        {"pagination": {"type": "magic"}},
        {"columns": {"id": "int65"}},
        {"columns": {"id": "int64"}, "key": ("order_id",)},
        {"max_pages": 0},
    ],
)
def test_a_source_leads_nowhere_else(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        source(**given)


# ------------------------------------------------------------------------------ types


@pytest.mark.parametrize("native", NATIVES)
def test_every_native_type_is_read_and_lands_as_itself(native: str) -> None:
    field = Field("c", TYPES.read(native), native=f"rest:{native}")
    assert TYPES.land(field) == Landing(native)
    assert TYPES.widens(native, native)


@pytest.mark.parametrize(
    "native, type_",
    [
        ("integer", "int64"),
        ("number", "float64"),
        ("object", "json"),
        ("array", "json"),
        ("decimal(9,2)", "decimal(9,2)"),
        ("rest:boolean", "bool"),
    ],
)
def test_a_native_type_is_read_as_what_it_holds(native: str, type_: str) -> None:
    assert str(TYPES.read(native)) == type_


def test_nothing_lands_in_a_source() -> None:
    with pytest.raises(PlanError) as refused:
        TYPES.land(Field("c", parse_type("int64")))
    assert refused.value.code == "plan.not_an_end"
