"""What dpone is measured beside: psql, which copies a table out or in, and then builds its keys."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg
from msgspec import Struct, field
from psycopg import sql

from dpone.batch import PG_BINARY, PG_TEXT, Format
from dpone.connector import Dataset, Json, Target
from dpone.errors import MissingPackage
from dpone.schema import Field, Kind, Schema
from dpone.testing.made import refuse_unmade
from dpone.testing.plain import JSON_LINES
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.testkit import SeedTable
from dpone_postgres.typemap import ENGINE, land

Command = tuple[Sequence[str], Mapping[str, str]]  # arguments, and the whole environment with what is secret

_SCHEMA = "public"
_JSON = Format(JSON_LINES)
# quotes and delimiters that no JSON holds, so that each line is an object as it stands
_AS_IT_IS = " (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')"
_FORMATS = {PG_BINARY: sql.SQL(" (FORMAT binary)"), PG_TEXT: sql.SQL(""), _JSON: sql.SQL(_AS_IT_IS)}
_BARE = "import os, psycopg; psycopg.connect(os.environ['DPONE_BENCH_URL']).close()"

_CONSTRAINTS = """
    WITH t AS (
        SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = %(schema)s AND c.relname = %(table)s
    )
    SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k JOIN t ON t.oid = k.conrelid WHERE k.contype = 'p'
    UNION ALL
    SELECT 'NOT NULL ' || a.attname FROM pg_attribute a JOIN t ON t.oid = a.attrelid WHERE a.attnum > 0 AND a.attnotnull
"""

# A value of each kind from the number `i` of its row, one in ten NULL where the column may be; spread, not sorted.
_VALUES: Mapping[Kind, str] = {
    Kind.INT: "(i * 7919 % 30011)",
    Kind.STRING: "left(md5(i::text) || repeat('x', (i % 20)::int), 40)",
    Kind.DECIMAL: "((i * 7919 % 100000007) / 100.0)",
    Kind.TIMESTAMPTZ: "(timestamptz '2024-01-01 00:00:00Z' + i * interval '1.000001 seconds')",
    Kind.TIMESTAMP: "(timestamp '2024-01-01 00:00:00' + i * interval '61.25 seconds')",
    Kind.DATE: "(date '2020-01-01' + (i % 2000)::int)",
    Kind.JSON: "jsonb_build_object('number', i, 'text', md5((i * 3)::text), 'tags', jsonb_build_array('a', i % 7))",
    Kind.UUID: "md5((i * 5)::text)::uuid",
    Kind.BOOL: "(i % 3 = 0)",
    Kind.FLOAT: "sqrt(i)",
}


class PsqlControl(Struct, frozen=True):
    """The control of PostgreSQL, for the benchmark of dpone-certify."""

    gives: Mapping[Format, str] = field(
        default_factory=lambda: {
            PG_BINARY: "psql COPY BINARY",
            PG_TEXT: "psql COPY TO",
            _JSON: "psql COPY TO of row_to_json",
        }
    )
    takes: Mapping[Format, str] = field(
        default_factory=lambda: {PG_BINARY: "psql COPY BINARY", PG_TEXT: "psql COPY FROM"}
    )
    keys: str = ", then NOT NULL and PRIMARY KEY"

    def tells(self, schema: Schema) -> Schema:
        return schema

    def fill(self, endpoint: Endpoint, table: SeedTable, rows: int) -> Dataset:
        """The table holds `rows` rows with keys 1 to `rows`, made by generate_series."""
        name = sql.Identifier(_SCHEMA, table.label)
        values = [_value(f, is_key=f.name in table.schema.key) for f in table.schema]
        with _connect(endpoint) as connection:
            connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))
            connection.execute(sql.SQL("CREATE TABLE {} ({})").format(name, _columns(table.schema, required=True)))
            insert = sql.SQL("INSERT INTO {} SELECT {} FROM generate_series(1::bigint, {}) AS i")
            connection.execute(insert.format(name, sql.SQL(", ").join(values), sql.Literal(rows)))
            connection.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(name, _key(table.schema)))
            connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(name))
        return Dataset((_SCHEMA, table.label))

    def drop(self, endpoint: Endpoint, target: Target) -> None:
        with _connect(endpoint) as connection:
            connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(*target.name)))

    def prepare(self, endpoint: Endpoint, target: Target, schema: Schema) -> None:
        """An empty table without constraints."""
        self.drop(endpoint, target)
        create = sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(*target.name), _columns(schema, required=False))
        with _connect(endpoint) as connection:
            connection.execute(create)

    def sink_options(self, schema: Schema) -> Mapping[str, Json]:
        """None: keys come from the source or from the strategy."""
        del schema
        return {}

    def strategy_options(self, schema: Schema) -> Mapping[str, Json]:
        """The key, which another engine does not tell."""
        return {"key": list(schema.key)}

    def reads(self, endpoint: Endpoint, dataset: Dataset, schema: Schema, wire: Format) -> Command:
        columns = sql.SQL(", ").join(sql.Identifier(f.name) for f in schema)
        source = sql.Identifier(*dataset.name)
        query = sql.SQL("SELECT {} FROM {}").format(columns, source)
        if wire == JSON_LINES:
            query = sql.SQL("SELECT row_to_json(r) FROM ({}) AS r").format(query)
        query = sql.SQL("COPY ({}) TO STDOUT{}").format(query, _FORMATS[wire])
        return _psql(endpoint, query)

    def writes(self, endpoint: Endpoint, target: Target, schema: Schema, wire: Format) -> Command:
        columns = sql.SQL(", ").join(sql.Identifier(f.name) for f in schema)
        into = sql.Identifier(*target.name)
        return _psql(endpoint, sql.SQL("COPY {} ({}) FROM STDIN{}").format(into, columns, _FORMATS[wire]))

    def finishes(self, endpoint: Endpoint, target: Target, schema: Schema) -> Sequence[Sequence[Command]]:
        """One statement that makes the columns NOT NULL and builds the key."""
        required = [sql.SQL("ALTER {} SET NOT NULL").format(sql.Identifier(f.name)) for f in schema if not f.nullable]
        parts = [*required, *([sql.SQL("ADD PRIMARY KEY ({})").format(_key(schema))] if schema.key else [])]
        if not parts:
            return []
        table = sql.Identifier(*target.name)
        return [[_psql(endpoint, sql.SQL("ALTER TABLE {} {}").format(table, sql.SQL(", ").join(parts)))]]

    def constraints(self, endpoint: Endpoint, target: Target) -> frozenset[str]:
        """The primary key and the required columns, as the catalogue has them."""
        with _connect(endpoint) as connection:
            found = connection.execute(_CONSTRAINTS, {"schema": target.name[0], "table": target.name[-1]}).fetchall()
        return frozenset(str(text) for (text,) in found)

    def bare(self, endpoint: Endpoint) -> Command:
        return (sys.executable, "-c", _BARE), {**_inherited(), "DPONE_BENCH_URL": endpoint.url()}

    def rest(self, endpoint: Endpoint) -> None:
        with _connect(endpoint) as connection:
            connection.execute("CHECKPOINT")


def _value(field: Field, *, is_key: bool) -> sql.Composable:
    refuse_unmade(field, _VALUES, is_key=is_key)
    made = f"CAST({'i' if is_key else _VALUES[field.type.kind]} AS {_native(field)})"
    text = f"CASE WHEN (i + {len(field.name)}) % 10 = 0 THEN NULL ELSE {made} END" if field.nullable else made
    return sql.SQL(text)


def _columns(schema: Schema, *, required: bool) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("{} {} {}").format(
            sql.Identifier(f.name),
            sql.SQL(_native(f)),
            sql.SQL("NOT NULL" if required and not f.nullable else ""),
        )
        for f in schema
    )


def _key(schema: Schema) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, schema.key))


def _native(field: Field) -> str:
    return field.native_of(ENGINE) or land(field).native


def _psql(endpoint: Endpoint, statement: sql.Composed) -> Command:
    arguments = (str(_program()), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", statement.as_string())
    where = {"PGHOST": endpoint.host, "PGPORT": str(endpoint.port), "PGDATABASE": endpoint.database or "postgres"}
    if endpoint.user is not None:
        where["PGUSER"] = endpoint.user
    where["PGTZ"] = "UTC"  # so that an instant is the same text on both ends
    if endpoint.password is not None:
        where["PGPASSWORD"] = endpoint.password.reveal()
    return arguments, {**_inherited(), **where}


def _program() -> Path:
    """The psql of the embedded server, which is the newest, or the one on PATH."""
    from dpone.testing.services.postgres_binaries import find_binaries

    try:
        found = find_binaries(None).psql
    except MissingPackage:
        found = Path(path) if (path := shutil.which("psql")) else None
    if found is None:
        raise MissingPackage("there is no psql to measure beside", install="'dpone-connectors-postgres[local]'")
    return found


def _inherited() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT") if name in os.environ}


def _connect(endpoint: Endpoint) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(endpoint.url(), autocommit=True)


PSQL = PsqlControl()
