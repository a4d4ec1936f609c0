"""What dpone is measured beside: pyodbc alone, which reads by fetchmany and writes by fast_executemany."""
# ruff: noqa: S608 - statements for a benchmark, of quoted identifiers and numbers

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from dpone.batch import PG_TEXT, Format
from dpone.connector import Dataset, Json, Target
from dpone.errors import PlanError
from dpone.schema import Field, Kind, Schema
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.testkit import SeedTable
from dpone_mssql import connector
from dpone_mssql.config import MssqlConfig
from dpone_mssql.dialect import MSSQL
from dpone_mssql.drivers import connection_string, driver_for

Command = tuple[Sequence[str], Mapping[str, str]]  # arguments, and the whole environment with what is secret

PLAIN = Path(__file__).with_name("plain.py")
_SCHEMA = "dbo"
_FILLED_AT_ONCE = 20_000
_WORDS: Mapping[Kind, str] = {
    Kind.INT: "int",
    Kind.DECIMAL: "decimal",
    Kind.FLOAT: "float",
    Kind.BOOL: "bool",
    Kind.DATE: "date",
    Kind.TIMESTAMP: "moment",
    Kind.TIMESTAMPTZ: "moment",  # pyodbc drops the zone, which is UTC here
}
_BEGIN = datetime(2024, 1, 1, tzinfo=UTC)


def _digest(number: int) -> str:
    return hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()


# A value of each kind from the number `i` of its row, one in ten NULL where the column may be; spread, not sorted.
_VALUES: Mapping[Kind, Callable[[int], object]] = {
    Kind.INT: lambda i: i * 7919 % 30011,
    Kind.STRING: lambda i: (_digest(i) + "x" * (i % 20))[:40],
    Kind.DECIMAL: lambda i: Decimal(i * 7919 % 100000007).scaleb(-2),
    Kind.TIMESTAMPTZ: lambda i: _BEGIN + i * timedelta(seconds=1, microseconds=1),
    Kind.TIMESTAMP: lambda i: (_BEGIN + i * timedelta(seconds=61, milliseconds=250)).replace(tzinfo=None),
    Kind.DATE: lambda i: date(2020, 1, 1) + timedelta(days=i % 2000),
    Kind.JSON: lambda i: f'{{"number": {i}, "text": "{_digest(i * 3)}", "tags": ["a", {i % 7}]}}',
    Kind.UUID: lambda i: str(UUID(_digest(i * 5))),
    Kind.BOOL: lambda i: i % 3 == 0,
    Kind.FLOAT: lambda i: i**0.5,
}


@dataclass(frozen=True, slots=True)
class PyodbcControl:
    """The control of SQL Server, for the benchmark of dpone-certify."""

    speaks: Mapping[Format, tuple[str, str]] = field(
        default_factory=lambda: {PG_TEXT: ("pyodbc fetchmany", "pyodbc fast_executemany")}
    )
    keys: str = ", then PRIMARY KEY"

    def fill(self, endpoint: Endpoint, table: SeedTable, rows: int) -> None:
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

    def drop(self, endpoint: Endpoint, target: Target) -> None:
        with _connected(endpoint) as raw:
            raw.cursor().execute(f"DROP TABLE IF EXISTS {MSSQL.table(target.name)}")

    def prepare(self, endpoint: Endpoint, target: Target, schema: Schema) -> None:
        """An empty table without its key."""
        self.drop(endpoint, target)
        with _connected(endpoint) as raw:
            raw.cursor().execute(_creation(MSSQL.table(target.name), schema))

    def sink_options(self, schema: Schema) -> Mapping[str, Json]:
        """None: keys come from the source or from the strategy."""
        del schema
        return {}

    def strategy_options(self, schema: Schema) -> Mapping[str, Json]:
        """The key, which another engine does not tell."""
        return {"key": list(schema.key)}

    def reads(self, endpoint: Endpoint, dataset: Dataset, schema: Schema, wire: Format) -> Command:
        del wire
        return _plain(endpoint, "read", _select(dataset, schema))

    def fetches(self, endpoint: Endpoint, dataset: Dataset, schema: Schema) -> tuple[str, Command]:
        """The rows are fetched and thrown away."""
        return "pyodbc fetchmany", _plain(endpoint, "count", _select(dataset, schema))

    def writes(self, endpoint: Endpoint, target: Target, schema: Schema, wire: Format) -> Command:
        del wire
        names, places = _names(schema.names), ", ".join("?" for _ in schema)
        words = ",".join(map(_word, schema))
        insert = f"INSERT INTO {MSSQL.table(target.name)} ({names}) VALUES ({places})"
        return _plain(endpoint, "write", insert, words)

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
        columns = [pa.array(_column(f, numbers, is_key=f.name in schema.key), arrow_type(f.type)) for f in schema]
        arrays = [fitted(column, f, MSSQL.spell(f)) for column, f in zip(columns, schema, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, names=list(schema.names))


def _column(of: Field, numbers: range, *, is_key: bool) -> list[object]:
    kind = of.type.kind
    if is_key:
        if kind is not Kind.INT:
            raise PlanError(f"{of.name} is no number, and keys are numbered", code="benchmark.unknown_shape")
        return list(numbers)
    if kind not in _VALUES:
        raise PlanError(f"{of.name}: no values are made for {of.type}", code="benchmark.unknown_shape")
    make, gap = _VALUES[kind], len(of.name)
    return [None if of.nullable and (i + gap) % 10 == 0 else make(i) for i in numbers]


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
    """Our own program, which fails by its own words where pyodbc does not load."""
    config = _config(endpoint, "odbc")
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    environment["DPONE_BENCH_ODBC"] = connection_string(config, driver_for(config))
    return (sys.executable, str(PLAIN), *arguments), environment


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
