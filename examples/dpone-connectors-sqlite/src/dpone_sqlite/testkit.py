"""How tests drive SQLite: files are seeded, changed and read by plain sqlite3, without the connector's code."""
# ruff: noqa: S608 -- all text here is made of quoted identifiers

from __future__ import annotations

import hashlib
import math
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from dpone.connector import AddColumn, Connector, Dataset, Json, Target
from dpone.names import print_name
from dpone.schema import Field, Kind, Schema, Type
from dpone.testing.losing import losing_answers
from dpone.testing.services.endpoint import Endpoint, Fidelity, Provider
from dpone.testing.testkit import (
    Alteration,
    Delete,
    Deviation,
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
from dpone_sqlite import connector
from dpone_sqlite.publication import COMMITTED
from dpone_sqlite.typemap import land, read

if TYPE_CHECKING:
    import pyarrow as pa

_NAMES = Names(longest="n" * 200, folds_case=True)


class SqliteTestkit(Struct, frozen=True):
    connector: Connector[Any] = connector
    deviations: Sequence[Deviation] = ()
    tables: Names = _NAMES
    columns: Names = _NAMES
    cursors: frozenset[Kind] = frozenset({Kind.INT, Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
    storable: frozenset[Kind] = frozenset(Kind) - {Kind.LIST, Kind.MAP, Kind.STRUCT, Kind.INTERVAL, Kind.OPAQUE}
    mutations: frozenset[type[Mutation]] = frozenset({Insert, Update, Delete, Truncate})
    alterations: frozenset[type[Alteration]] = frozenset({AddColumn})

    # ------------------------------------------------------------------- service

    def providers(self) -> Sequence[Provider]:
        return (Provider.EMBEDDED,)

    @contextmanager
    def service(self, provider: Provider) -> Iterator[Endpoint]:
        """A file in a folder of its own."""
        with tempfile.TemporaryDirectory(prefix="dpone-sqlite-") as folder:
            path = Path(folder) / "shop.db"
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
            yield Endpoint("sqlite", "", {}, provider, Fidelity.REAL, extra={"path": str(path)})

    def identify(self, endpoint: Endpoint) -> Identity:
        return Identity("SQLite", sqlite3.sqlite_version, genuine=True, evidence="sqlite3, which ships with Python")

    def connection(self, endpoint: Endpoint) -> Mapping[str, Json]:
        return dict(endpoint.extra)

    # -------------------------------------------------------------------- source

    @property
    def samples(self) -> Sequence[Sample]:
        return (
            Sample("INTEGER", (0, -(2**63), 2**63 - 1)),
            Sample("REAL", (0.1, -1.5e308, 5e-324, math.inf, math.nan)),
            Sample("TEXT", ("", "it's", "größe 😀", "a\nb\tc\\")),
            Sample("BLOB", (b"", bytes(range(256)))),
            Sample("BOOLEAN", (True, False)),
            Sample("DATE", (date(1, 1, 1), date(9999, 12, 31))),
            Sample("TIME", (time(0), time(23, 59, 59, 999_999))),
            Sample("TIMESTAMP", (datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999))),  # noqa: DTZ001 -- none
            Sample("TIMESTAMPTZ", (datetime(2026, 3, 29, 1, 30, tzinfo=UTC),)),
            Sample("DECIMAL_TEXT(38,9)", (Decimal("12345678901234567890123456789.123456789"), Decimal("-0.000000001"))),
            Sample("DECIMAL_TEXT", (Decimal("1e40"), Decimal("0.1"))),
            Sample("UUID_TEXT", ("00000000-0000-0000-0000-000000000001",)),
            Sample("JSON_TEXT", ('{"a": 1, "a": 1e400}', "null")),
        )

    def dataset(self, endpoint: Endpoint, table: SeedTable) -> Dataset:
        return Dataset((table.label,))

    def seed(self, endpoint: Endpoint, table: SeedTable) -> None:
        columns = [f"{_quote(f.name)} {_declared(f)}{'' if f.nullable else ' NOT NULL'}" for f in table.schema]
        if table.schema.key:
            columns.append(f"PRIMARY KEY ({', '.join(map(_quote, table.schema.key))})")
        with _writing(endpoint) as connection:
            connection.execute(f"DROP TABLE IF EXISTS {_quote(table.label)}")
            connection.execute(f"CREATE TABLE {_quote(table.label)} ({', '.join(columns)})")
            for row in table.rows:
                _insert(connection, table, row)

    def change(self, endpoint: Endpoint, table: SeedTable, mutations: Sequence[Mutation]) -> None:
        with _writing(endpoint) as connection:
            for mutation in mutations:
                match mutation:
                    case Insert(row=row):
                        _insert(connection, table, row)
                    case Update(key=key, values=values):
                        sets = ", ".join(f"{_quote(name)} = {_expression(v)}" for name, v in values.items())
                        given = [_bound(v) for v in values.values() if not isinstance(v, Native)]
                        condition, keys = _condition(key)
                        connection.execute(f"UPDATE {_quote(table.label)} SET {sets} WHERE {condition}", given + keys)
                    case Delete(key=key):
                        condition, keys = _condition(key)
                        connection.execute(f"DELETE FROM {_quote(table.label)} WHERE {condition}", keys)
                    case Truncate():
                        connection.execute(f"DELETE FROM {_quote(table.label)}")

    def alter(self, endpoint: Endpoint, table: SeedTable, alteration: Alteration) -> None:
        assert isinstance(alteration, AddColumn)  # the only one that is declared
        column = f"{_quote(alteration.field.name)} {_declared(alteration.field)}"
        with _writing(endpoint) as connection:
            connection.execute(f"ALTER TABLE {_quote(table.label)} ADD COLUMN {column}")

    # ---------------------------------------------------------------------- sink

    def target(self, endpoint: Endpoint, label: str) -> Target:
        return Target((label,))

    def rows(self, endpoint: Endpoint, target: Target) -> pa.Table:
        with closing(sqlite3.connect(endpoint.extra["path"])) as connection:
            return _table(connection, target.name[0])

    @contextmanager
    def snapshot(self, endpoint: Endpoint, target: Target) -> Iterator[Callable[[], pa.Table]]:
        with closing(sqlite3.connect(endpoint.extra["path"], isolation_level=None)) as connection:
            connection.execute("BEGIN")
            _table(connection, target.name[0])  # the snapshot begins with the first reading
            yield lambda: _table(connection, target.name[0])

    def lose_commit_answer(self, endpoint: Endpoint) -> AbstractContextManager[None]:
        return losing_answers(endpoint, COMMITTED)

    def forget_state(self, endpoint: Endpoint, target: Target) -> None:
        with _writing(endpoint) as connection:
            for table in ("_dpone_state", "_dpone_loads", "_dpone_chunks"):
                connection.execute(f"DELETE FROM {table} WHERE target = ?", (_printed(target),))

    def remove(self, endpoint: Endpoint, target: Target) -> None:
        with _writing(endpoint) as connection:
            connection.execute(f"DROP TABLE {_quote(target.name[-1])}")

    def leftovers(self, endpoint: Endpoint, target: Target) -> Sequence[str]:
        label = _printed(target)
        with closing(sqlite3.connect(endpoint.extra["path"])) as connection:
            named = connection.execute(
                "SELECT stage FROM _dpone_loads WHERE stage IS NOT NULL AND target = ?", (label,)
            ).fetchall()
        of_target = hashlib.sha256(label.encode()).hexdigest()[:16]
        files = Path(endpoint.extra["path"]).parent.glob(f"*.dpone-{of_target}-*")
        return sorted({*(path for (path,) in named), *map(str, files)})


def _printed(target: Target) -> str:
    return print_name(target.name)


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _declared(field: Field) -> str:
    return field.native_of("sqlite") or land(field).native


@contextmanager
def _writing(endpoint: Endpoint) -> Iterator[sqlite3.Connection]:
    """One transaction, committed in the end."""
    with closing(sqlite3.connect(endpoint.extra["path"], timeout=30, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")


def _insert(connection: sqlite3.Connection, table: SeedTable, row: Mapping[str, object]) -> None:
    names = ", ".join(map(_quote, row))
    marks = ", ".join(map(_expression, row.values()))
    given = [_bound(v) for v in row.values() if not isinstance(v, Native)]
    connection.execute(f"INSERT INTO {_quote(table.label)} ({names}) VALUES ({marks})", given)


def _expression(value: object) -> str:
    return value.text if isinstance(value, Native) else "?"


def _condition(key: Mapping[str, object]) -> tuple[str, list[object]]:
    return " AND ".join(f"{_quote(name)} = ?" for name in key), [_bound(value) for value in key.values()]


def _bound(value: object) -> object:
    """The value as README.md says that it is stored."""
    match value:
        case bool():
            return int(value)
        case int() if not -(2**63) <= value < 2**63:
            return str(value)
        case Decimal():
            text = format(value, "f")
            return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"
        case datetime() if value.tzinfo is not None:
            return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00:00").rjust(32, "0")
        case datetime():
            return value.strftime("%Y-%m-%d %H:%M:%S.%f").rjust(26, "0")
        case date() | time():
            return value.isoformat()
        case float() if math.isnan(value):
            return "NaN"
        case _:
            return value


def _table(connection: sqlite3.Connection, name: str) -> pa.Table:
    import pyarrow as pa

    columns = connection.execute("SELECT name, type FROM pragma_table_info(?)", (name,)).fetchall()
    if not columns:
        raise LookupError(name)
    rows = connection.execute(f"SELECT * FROM {_quote(name)}").fetchall()
    schema = Schema(tuple(Field(column, read(declared)) for column, declared in columns))
    values = [[_value(row[at], field.type) for row in rows] for at, field in enumerate(schema)]
    arrays = [pa.array(found, _arrow(field.type)) for found, field in zip(values, schema, strict=True)]
    return pa.Table.from_arrays(arrays, names=list(schema.names))


def _arrow(of: Type) -> Any:
    import pyarrow as pa

    known = {
        Kind.INT: pa.int64(),
        Kind.FLOAT: pa.float64(),
        Kind.BOOL: pa.bool_(),
        Kind.BINARY: pa.binary(),
        Kind.DATE: pa.date32(),
        Kind.TIME: pa.time64("us"),
        Kind.TIMESTAMP: pa.timestamp("us"),
        Kind.TIMESTAMPTZ: pa.timestamp("us", "UTC"),
    }
    return known.get(of.kind, pa.string())


def _value(stored: Any, of: Type) -> Any:
    if stored is None:
        return None
    match of.kind:
        case Kind.FLOAT:
            return float(stored)
        case Kind.BOOL:
            return bool(stored)
        case Kind.DATE:
            return date.fromisoformat(stored)
        case Kind.TIME:
            return time.fromisoformat(stored)
        case Kind.TIMESTAMP | Kind.TIMESTAMPTZ:
            return datetime.fromisoformat(stored)
        case _:
            return stored


testkit = SqliteTestkit()
