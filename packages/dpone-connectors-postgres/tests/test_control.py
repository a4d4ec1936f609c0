"""The control that dpone is measured beside: its commands, without a server."""

from __future__ import annotations

import pytest

from dpone.batch import PG_BINARY
from dpone.connector import Dataset, Target
from dpone.errors import PlanError
from dpone.schema import BINARY, INT64, STRING, Field, Schema
from dpone.testing.services.endpoint import Endpoint, Fidelity, Provider
from dpone.testing.services.secret import Secret
from dpone.testing.testkit import SeedTable
from dpone_postgres.control import PSQL
from dpone_postgres.testkit import testkit

CANARY = "canary-5d21"
SERVER = Endpoint(
    connector="postgres",
    host="127.0.0.1",
    ports={"postgres": 1},
    provider=Provider.EMBEDDED,
    fidelity=Fidelity.REAL,
    user="me",
    password=Secret(CANARY),
    database="db",
    scheme="postgresql",
)
SHAPE = Schema((Field("id", INT64, nullable=False), Field('a "b"', STRING)), key=("id",))


def statements() -> list[list[str]]:
    target = Target(("t", "to"))
    copy = [
        PSQL.reads(SERVER, Dataset(("s", "from")), SHAPE, PG_BINARY),
        PSQL.writes(SERVER, target, SHAPE, PG_BINARY),
    ]
    pipes = [copy, *PSQL.finishes(SERVER, target, SHAPE)]
    assert all(CANARY not in " ".join(arguments) for pipe in pipes for arguments, _ in pipe)
    assert all(environment["PGPASSWORD"] == CANARY for pipe in pipes for _, environment in pipe)
    assert all(arguments[0].endswith("psql") for pipe in pipes for arguments, _ in pipe)
    return [[arguments[-1] for arguments, _ in pipe] for pipe in pipes]


def test_rows_are_piped_in_binary_and_keys_are_built_afterwards() -> None:
    columns = '"id", "a ""b"""'
    assert statements() == [
        [
            f'COPY (SELECT {columns} FROM "s"."from") TO STDOUT (FORMAT binary)',
            f'COPY "t"."to" ({columns}) FROM STDIN (FORMAT binary)',
        ],
        ['ALTER TABLE "t"."to" ALTER "id" SET NOT NULL, ADD PRIMARY KEY ("id")'],
    ]


def test_the_bare_connection_has_its_url_in_the_environment_alone() -> None:
    arguments, environment = PSQL.bare(SERVER)
    assert CANARY not in " ".join(arguments)
    assert CANARY in environment["DPONE_BENCH_URL"]


def test_values_are_made_for_known_kinds_alone() -> None:
    table = SeedTable("t", Schema((Field("id", INT64, nullable=False), Field("raw", BINARY)), key=("id",)))
    with pytest.raises(PlanError, match="raw: no values are made for binary"):
        PSQL.fill(SERVER, table, 1)


def test_the_testkit_offers_it() -> None:
    assert testkit.control is PSQL
