"""A real server for all tests of a process, and a schema of its own for each test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from dpone.testing.services.endpoint import Endpoint
from dpone.testing.services.postgres import EmbeddedPostgres
from dpone_postgres import PostgresConfig

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Endpoint]:
    with EmbeddedPostgres(settings={"max_replication_slots": "60", "max_connections": "60"}) as found:
        yield found


@pytest.fixture(scope="session")
def config(endpoint: Endpoint) -> PostgresConfig:
    return PostgresConfig.from_url(endpoint.url())


@pytest.fixture
def db(endpoint: Endpoint) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection in a new schema that is its search path; all of it is gone afterwards."""
    with psycopg.connect(endpoint.url(), autocommit=True) as connection:
        schema = f"t{os.getpid()}_{next(_numbers)}"
        connection.execute(f"CREATE SCHEMA {schema}".encode())
        connection.execute(f"SET search_path = {schema}".encode())
        yield connection
        connection.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active")
        connection.execute(f"DROP SCHEMA {schema} CASCADE".encode())


@pytest.fixture
def schema(db: psycopg.Connection[Any]) -> str:
    row = db.execute("SELECT current_schema()").fetchone()
    assert row is not None
    return str(row[0])
