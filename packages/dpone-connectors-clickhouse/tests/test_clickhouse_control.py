"""The control that dpone is measured beside: its commands, without a server."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from dpone.batch import CH_NATIVE, PG_TEXT
from dpone.connector import Dataset, Target
from dpone.errors import PlanError
from dpone.schema import BINARY, INT64, STRING, Field, Schema
from dpone.testing.plain import JSON_LINES
from dpone.testing.services.endpoint import Endpoint, Fidelity, Provider
from dpone.testing.services.secret import Secret
from dpone.testing.testkit import SeedTable
from dpone_clickhouse.control import CURL

CANARY = "canary-5d21"
SERVER = Endpoint(
    connector="clickhouse",
    host="127.0.0.1",
    ports={"native": 1, "http": 2},
    provider=Provider.EMBEDDED,
    fidelity=Fidelity.REAL,
    user="me",
    password=Secret(CANARY),
    database="db",
)
SHAPE = Schema((Field("id", INT64, nullable=False), Field("a `b`", STRING)), key=("id",))


def query_of(command: tuple[object, object]) -> str:
    arguments, environment = command
    assert isinstance(arguments, tuple)
    assert isinstance(environment, dict)
    assert CANARY not in " ".join(arguments)
    assert environment["DPONE_BENCH_PASSWORD"] == CANARY
    url = urlsplit(arguments[-1])
    assert (url.hostname, url.port) == ("127.0.0.1", 2)
    return parse_qs(url.query)["query"][0]


def test_rows_are_read_and_written_in_one_format() -> None:
    columns = "`id`, `a \\`b\\``"
    read = CURL.reads(SERVER, Dataset(("db", "from")), SHAPE, CH_NATIVE)
    write = CURL.writes(SERVER, Target(("db", "to")), SHAPE, PG_TEXT)
    assert query_of(read) == f"SELECT {columns} FROM `db`.`from` FORMAT Native"
    assert query_of(write) == f"INSERT INTO `db`.`to` ({columns}) FORMAT TabSeparated"
    assert list(CURL.gives) == list(CURL.takes) == [CH_NATIVE, PG_TEXT, JSON_LINES]


def test_the_bare_connection_has_its_password_in_the_environment_alone() -> None:
    arguments, environment = CURL.bare(SERVER)
    assert CANARY not in " ".join(arguments)
    assert environment["DPONE_BENCH_PASSWORD"] == CANARY


def test_values_are_made_for_known_kinds_alone() -> None:
    table = SeedTable("t", Schema((Field("id", INT64, nullable=False), Field("raw", BINARY)), key=("id",)))
    with pytest.raises(PlanError, match="raw: no values are made for binary"):
        CURL.fill(SERVER, table, 1)
