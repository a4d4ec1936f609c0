"""A real server for all tests of a process, a schema for each test, and pipelines through the real runner."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
import pytest
from msgspec import Struct, field

from dpone import events
from dpone.connector import Column, Cursor, Dataset, Target
from dpone.manifest import from_url
from dpone.ops import Program
from dpone.plan import End, Plan, PlannedColumn
from dpone.runner import Run, execute
from dpone.signals import Stop
from dpone.strategies import Load
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.services.postgres import EmbeddedPostgres
from dpone_postgres import PostgresConfig, connector
from dpone_postgres.sink import PostgresSink
from dpone_postgres.source import PostgresSource

_numbers = itertools.count(1)
_runs = itertools.count(1)


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Endpoint]:
    with EmbeddedPostgres(settings={"max_replication_slots": "60", "max_connections": "60"}) as found:
        yield found


@pytest.fixture(scope="session")
def config(endpoint: Endpoint) -> PostgresConfig:
    found: PostgresConfig = from_url(endpoint.url(), connector).resolve()
    return found


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


@pytest.fixture
def pipeline_type() -> type[Pipeline]:
    return Pipeline


class Pipeline(Struct, dict=True):
    """`options` are those of the target; everything else of a plan and a load is given by name."""

    config: PostgresConfig
    source_table: tuple[str, str]
    target_table: tuple[str, str]
    strategy: str
    key: tuple[str, ...] = ()
    cursor: Cursor | None = None
    name: str = "pipe"
    load: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    source_options: Mapping[str, Any] = field(default_factory=dict)

    def compiled(self) -> Plan:
        dataset = Dataset(self.source_table, options=self.source_options)
        changes = self.plan.get("changes", {})
        schema = PostgresSource(self.config).describe(dataset)
        columns = tuple(
            PlannedColumn(Column(f.name, f.name), f, f, connector.types.land(f), **changes.get(f.name, {}))
            for f in schema
        )
        load: dict[str, Any] = {"id": "", "at": None, "columns": schema.names, "key": self.key, **self.load}
        given = {k: v for k, v in self.plan.items() if k != "changes"}
        return Plan(
            pipeline=self.name,
            source=End("postgres", "source"),
            sink=End("postgres", "sink"),
            dataset=dataset,
            target=Target(self.target_table, dict(self.options)),
            strategy=self.strategy,
            columns=columns,
            load=Load(**load),
            cursor=self.cursor,
            **given,
        )

    def run(self, run_id: str | None = None) -> Outcome:
        seen: list[events.Event] = []
        execute(
            Run(
                id=run_id or f"run-{next(_runs)}",
                plan=self.compiled(),
                source=PostgresSource(self.config),
                sink=PostgresSink(self.config),
                source_connector=connector,
                sink_connector=connector,
                notify=seen.append,
                stop=Stop(),
            )
        )
        return Outcome(seen)


class Outcome(Struct):
    events: list[events.Event]

    @property
    def counts(self) -> tuple[int, int, int]:
        """Inserted, updated, deleted."""
        done = [e.counts for e in self.events if isinstance(e, events.OpApplied)]
        return sum(c.inserted for c in done), sum(c.updated for c in done), sum(c.deleted for c in done)

    @property
    def format(self) -> str:
        return next(e.choice.format for e in self.events if isinstance(e, events.FormatChosen))

    @property
    def splits(self) -> int:
        return next(e.splits for e in self.events if isinstance(e, events.ReadingOpened))

    @property
    def program(self) -> Program:
        return tuple(e.op for e in self.events if isinstance(e, events.OpApplied))
