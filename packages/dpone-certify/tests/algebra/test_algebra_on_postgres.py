"""The same random loads on a real PostgreSQL, by the default rendering: NaN, zones and decimals are its own there."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import pytest

from algebra.loads import run
from algebra.scenarios import Dice, scenario
from dpone.schema import Field, Kind, Type
from dpone.sql.dialect import Dialect
from dpone.sql.rehearsal import Rehearsal
from dpone.strategies import STRATEGIES
from dpone.testing.services.postgres import EmbeddedPostgres

psycopg = pytest.importorskip("psycopg")

pytestmark = [
    pytest.mark.integration_postgres,
    pytest.mark.skipif(os.environ.get("DPONE_RUN_INTEGRATION") != "1", reason="needs DPONE_RUN_INTEGRATION=1"),
]
SEEDS = 400 if os.environ.get("DPONE_HYPOTHESIS_PROFILE") == "full" else 40


class PlainDialect(Dialect):
    """The default but for the length of names and the place of NaN."""

    name = "plain"
    max_identifier = 63
    orders_nan = True

    def is_nan(self, expression: str, of: Type | None) -> str | None:
        return f"{expression} = 'NaN'" if of is not None and of.kind in {Kind.FLOAT, Kind.DECIMAL} else None


class OnPostgres(Rehearsal):
    """In a schema of its own, made anew for each scenario."""

    dialect: Dialect = PlainDialect()
    connection: ClassVar[Any]

    def open(self) -> None:
        for statement in ("DROP SCHEMA IF EXISTS r CASCADE", "CREATE SCHEMA r", "SET search_path = r"):
            self.run(statement)

    def close(self) -> None:
        pass

    def run(self, text: str) -> int:
        return int(self.connection.execute(text.encode()).rowcount)

    def query(self, text: str) -> list[tuple[Any, ...]]:
        return list(self.connection.execute(text.encode()).fetchall())

    def fill(self, table: str, fields: Sequence[Field], rows: Sequence[Sequence[object]]) -> None:
        for row in rows:
            values = ", ".join(self.dialect.literal(value, f.type) for value, f in zip(row, fields, strict=True))
            self.run(f"INSERT INTO {table} VALUES ({values})")

    def value(self, stored: object, of: Type) -> object:
        return stored


@pytest.fixture(scope="module", autouse=True)
def _server() -> Iterator[None]:
    with EmbeddedPostgres() as endpoint:
        assert endpoint.password is not None
        with psycopg.connect(
            host=endpoint.host,
            port=endpoint.ports["postgres"],
            user=endpoint.user,
            password=endpoint.password.reveal(),
            dbname=endpoint.database,
            autocommit=True,
        ) as connection:
            connection.execute("SET client_min_messages = error")
            OnPostgres.connection = connection
            yield


@pytest.mark.timeout(600)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_default_rendering_is_right_on_a_real_engine(strategy: str) -> None:
    for seed in range(SEEDS):
        run(scenario(strategy, Dice(random.Random(seed).choice), nan=seed % 2 == 0), OnPostgres)
