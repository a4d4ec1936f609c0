"""What dpone is measured beside: pyodbc, or mssql-python where it does not load, by their quickest calls."""
# ruff: noqa: S608 - statements for a benchmark, of quoted identifiers and numbers

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from dpone.batch import PG_TEXT, Format
from dpone.connector import Dataset, Json, Target
from dpone.errors import MissingPackage
from dpone.schema import Field, Kind, Schema
from dpone.testing.made import made_column
from dpone.testing.plain import JSON_LINES
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.testkit import SeedTable
from dpone_mssql import connector
from dpone_mssql.config import MssqlConfig
from dpone_mssql.dialect import MSSQL
from dpone_mssql.drivers import connection_string, driver_for

Command = tuple[Sequence[str], Mapping[str, str]]  # arguments, and the whole environment with what is secret

_JSON = Format(JSON_LINES)
PLAIN = Path(__file__).with_name("plain.py")
_SCHEMA = "dbo"
_FILLED_AT_ONCE = 20_000
_WORDS: Mapping[Kind, str] = {
    Kind.INT: "int",
    Kind.DECIMAL: "decimal",
    Kind.FLOAT: "float",
    Kind.BOOL: "bool",
    Kind.DATE: "date",
    Kind.UUID: "uuid",
    Kind.TIMESTAMP: "moment",
    Kind.TIMESTAMPTZ: "moment",  # pyodbc drops the zone, which is UTC here
}


class PyodbcControl(Struct, frozen=True):
    """The control of SQL Server, for the benchmark of dpone-certify."""

    keys: str = ", then PRIMARY KEY"

    @property
    def gives(self) -> Mapping[Format, str]:
        return {PG_TEXT: f"{_client()} fetchmany", _JSON: f"{_client()} fetchmany, json.dumps"}

    @property
    def takes(self) -> Mapping[Format, str]:
        return {PG_TEXT: "pyodbc fast_executemany" if _client() == "pyodbc" else f"{_client()} bulkcopy"}

    def tells(self, schema: Schema) -> Schema:
        return schema

    def fill(self, endpoint: Endpoint, table: SeedTable, rows: int) -> Dataset:
        """The table holds `rows` rows with keys 1 to `rows`, brought by the driver's bulk copy."""
        name = _table(table.label)
        with _connected(endpoint) as raw:
            cursor = raw.cursor()
            cursor.execute(f"DROP TABLE IF EXISTS {name}")
            cursor.execute(_creation(name, table.schema))
            raw.cursor().bulkcopy_arrow(
                name, _made(table.schema, rows), timeout=0, keep_nulls=True, column_mappings=list(table.schema.names)
            )
            cursor.execute(_key(name, table.schema))
        return Dataset((_SCHEMA, table.label))

    def drop(self, endpoint: Endpoint, target: Target) -> None:
        with _connected(endpoint) as raw:
            raw.cursor().execute(f"DROP TABLE IF EXISTS {MSSQL.table(target.name)}")

    def prepare(self, endpoint: Endpoint, target: Target, schema: Schema) -> None:
        """An empty table without its key."""
        self.drop(endpoint, target)
        with _connected(endpoint) as raw:
            of = (replace(f, nullable=f.nullable and f.name not in schema.key) for f in schema)
            raw.cursor().execute(_creation(MSSQL.table(target.name), Schema(tuple(of), key=schema.key)))

    def sink_options(self, schema: Schema) -> Mapping[str, Json]:
        """None: keys come from the source or from the strategy."""
        del schema
        return {}

    def strategy_options(self, schema: Schema) -> Mapping[str, Json]:
        """The key, which another engine does not tell."""
        return {"key": list(schema.key)}

    def reads(self, endpoint: Endpoint, dataset: Dataset, schema: Schema, wire: Format) -> Command:
        return _plain(endpoint, "read", _select(dataset, schema), wire)

    def fetches(self, endpoint: Endpoint, dataset: Dataset, schema: Schema) -> tuple[str, Command]:
        """The rows are fetched and thrown away."""
        return self.gives[PG_TEXT], _plain(endpoint, "count", _select(dataset, schema))

    def writes(self, endpoint: Endpoint, target: Target, schema: Schema, wire: Format) -> Command:
        del wire
        table, words = MSSQL.table(target.name), ",".join(map(_word, schema))
        if _client() != "pyodbc":
            return _plain(endpoint, "bulk", table, words)
        names, places = _names(schema.names), ", ".join("?" for _ in schema)
        return _plain(endpoint, "write", f"INSERT INTO {table} ({names}) VALUES ({places})", words)

    def finishes(self, endpoint: Endpoint, target: Target, schema: Schema) -> Sequence[Sequence[Command]]:
        if not schema.key:
            return []
        return [[_plain(endpoint, "run", _key(MSSQL.table(target.name), schema))]]

    def constraints(self, endpoint: Endpoint, target: Target) -> frozenset[str]:
        """The primary key and the required columns, as the catalogue has them."""
        schema, table = (MSSQL.text(part) for part in target.name)
        there = f"o.schema_id = SCHEMA_ID({schema}) AND o.name = {table}"
        with _connected(endpoint) as raw:
            required = raw.cursor().execute(
                "SELECT c.name FROM sys.columns AS c JOIN sys.objects AS o ON o.object_id = c.object_id "
                f"WHERE {there} AND c.is_nullable = 0"
            )
            found = {f"NOT NULL {name}" for (name,) in required.fetchall()}
            key = raw.cursor().execute(
                "SELECT c.name FROM sys.indexes AS i JOIN sys.objects AS o ON o.object_id = i.object_id "
                "JOIN sys.index_columns AS x ON x.object_id = i.object_id AND x.index_id = i.index_id "
                "JOIN sys.columns AS c ON c.object_id = x.object_id AND c.column_id = x.column_id "
                f"WHERE {there} AND i.is_primary_key = 1 ORDER BY x.key_ordinal"
            )
            return frozenset(found | {f"PRIMARY KEY {name}" for (name,) in key.fetchall()})

    def bare(self, endpoint: Endpoint) -> Command:
        return _plain(endpoint, "bare")

    def rest(self, endpoint: Endpoint) -> None:
        """Nothing: who has what on disk is the server's own matter."""


def _made(schema: Schema, rows: int) -> Iterator[Any]:
    """The rows as Arrow, some at a time."""
    import pyarrow as pa

    from dpone.arrow import arrow_type
    from dpone_mssql.arrow_write import fitted

    for begin in range(1, rows + 1, _FILLED_AT_ONCE):
        numbers = range(begin, min(begin + _FILLED_AT_ONCE, rows + 1))
        columns = [pa.array(made_column(f, numbers, is_key=f.name in schema.key), arrow_type(f.type)) for f in schema]
        arrays = [fitted(column, f, MSSQL.spell(f)) for column, f in zip(columns, schema, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, names=list(schema.names))


def _creation(name: str, schema: Schema) -> str:
    return f"CREATE TABLE {name} ({', '.join(map(MSSQL.definition, schema))})"


def _key(name: str, schema: Schema) -> str:
    return f"ALTER TABLE {name} ADD PRIMARY KEY ({_names(schema.key)})"


def _select(dataset: Dataset, schema: Schema) -> str:
    return f"SELECT {_names(schema.names)} FROM {MSSQL.table(dataset.name)}"


def _word(of: Field) -> str:
    """How the program shall take a column's text."""
    return "long" if MSSQL.spell(of) == "nvarchar(max)" else _WORDS.get(of.type.kind, "text")


def _names(names: Sequence[str]) -> str:
    return ", ".join(map(MSSQL.quote, names))


def _table(label: str) -> str:
    return MSSQL.table((_SCHEMA, label))


def _config(endpoint: Endpoint, driver: str) -> MssqlConfig:
    said = {
        "host": endpoint.host,
        "port": endpoint.port,
        "user": endpoint.user,
        "password": endpoint.password.reveal() if endpoint.password else None,
        "database": endpoint.database,
        "driver": driver,
    }
    config: MssqlConfig = connector.config.model_validate(said)
    return config


def _plain(endpoint: Endpoint, *arguments: str) -> Command:
    """Our own program, and how it reaches the server."""
    config = _config(endpoint, "auto")
    driver = driver_for(config)
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    environment["DPONE_BENCH_ODBC"] = connection_string(config, driver)
    if _client() != "pyodbc":
        import mssql_python

        environment["MSSQL_PYTHON_NATIVE_PROVIDER"] = str(mssql_python.native_provider)  # type: ignore[attr-defined]  # a property of the module
    return (sys.executable, str(PLAIN), *arguments), environment


@cache
def _client() -> str:
    """What statements go through on this machine."""
    try:
        driver = driver_for(MssqlConfig.model_validate({"database": "master", "auth": "windows"}))
    except MissingPackage:
        return "pyodbc"  # the program says by its own words that it does not load
    return driver.name.partition(" ")[0]


_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


@contextmanager
def _connected(endpoint: Endpoint) -> Iterator[Any]:
    """A connection of mssql-python, which brings rows in bulk."""
    import mssql_python

    config = _config(endpoint, "mssql_python")
    driver_for(config)  # which chooses what mssql-python itself goes through
    raw = mssql_python.connect(connection_string(config), autocommit=True)
    try:
        yield raw
    finally:
        raw.close()


PYODBC = PyodbcControl()
