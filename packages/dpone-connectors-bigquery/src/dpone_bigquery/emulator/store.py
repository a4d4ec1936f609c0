"""Datasets and tables: DuckDB holds the rows, and beside them, in the same file, what BigQuery says of each table."""
# ruff: noqa: S608 - all text here is made of quoted identifiers

from __future__ import annotations

import importlib.util
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from dpone_bigquery.emulator.answers import Json, Refused, duplicate, invalid, invalid_query, not_found
from dpone_bigquery.emulator.fields import definition, field_of, quoted, stored
from dpone_bigquery.emulator.numbers import MACROS

Connection = duckdb.DuckDBPyConnection
_OURS = "__emulator"
_KEPT = ("tableReference", "etag", "id", "kind", "selfLink", "numRows", "numBytes")
_SETUP = f"""
CREATE SCHEMA IF NOT EXISTS {_OURS};
CREATE TABLE IF NOT EXISTS {_OURS}.datasets (dataset VARCHAR PRIMARY KEY, body VARCHAR);
CREATE TABLE IF NOT EXISTS {_OURS}.tables (dataset VARCHAR, name VARCHAR, body VARCHAR);
CREATE TABLE IF NOT EXISTS {_OURS}.jobs (id VARCHAR, body VARCHAR);
{MACROS}"""


class Store:
    """One DuckDB file. Changes of definitions go one after another; rows are changed by many at once."""

    def __init__(self, folder: Path) -> None:
        self._root = duckdb.connect(str(folder / "bigquery.duckdb"))
        _load_icu(self._root)
        self._root.execute("SET GLOBAL TimeZone = 'UTC'")
        self._root.execute(_SETUP)
        self.defining = threading.RLock()

    def connect(self) -> Connection:
        """A connection of its own, with transactions of its own."""
        return self._root.cursor()

    # ------------------------------------------------------------------- datasets

    def datasets(self) -> list[str]:
        rows = self.connect().execute(f"SELECT dataset FROM {_OURS}.datasets ORDER BY 1").fetchall()
        return [name for (name,) in rows]

    def dataset(self, dataset: str) -> Json:
        row = self.connect().execute(f"SELECT body FROM {_OURS}.datasets WHERE dataset = ?", [dataset]).fetchone()
        if row is None:
            raise not_found("Dataset", dataset)
        body: Json = json.loads(row[0])
        return body

    def make_dataset(self, dataset: str, body: Json) -> None:
        with self.defining, transaction(self.connect()) as own:
            if dataset in self.datasets():
                raise duplicate("Dataset", dataset)
            own.execute(f"CREATE SCHEMA {quoted(dataset)}")
            own.execute(f"INSERT INTO {_OURS}.datasets VALUES (?, ?)", [dataset, json.dumps(body)])

    def drop_dataset(self, dataset: str, *, contents: bool) -> None:
        self.dataset(dataset)
        if self.tables(dataset) and not contents:
            raise Refused(400, "resourceInUse", f"Dataset {dataset} is still in use")
        with self.defining, transaction(self.connect()) as own:
            own.execute(f"DROP SCHEMA {quoted(dataset)} CASCADE")
            for name in ("datasets", "tables"):
                own.execute(f"DELETE FROM {_OURS}.{name} WHERE dataset = ?", [dataset])

    # --------------------------------------------------------------------- tables

    def tables(self, dataset: str) -> dict[str, Json]:
        self.dataset(dataset)
        rows = self.connect().execute(
            f"SELECT name, body FROM {_OURS}.tables WHERE dataset = ? ORDER BY name",
            [dataset],
        )
        return {name: json.loads(body) for name, body in rows.fetchall()}

    def find(self, dataset: str, name: str) -> Json | None:
        self.dataset(dataset)
        row = self.connect().execute(
            f"SELECT body FROM {_OURS}.tables WHERE dataset = ? AND name = ?",
            [dataset, name],
        )
        found = row.fetchone()
        return None if found is None else json.loads(found[0])

    def table(self, dataset: str, name: str) -> Json:
        if (found := self.find(dataset, name)) is None:
            raise not_found("Table", f"{dataset}.{name}")
        return found

    def count(self, dataset: str, name: str) -> int:
        row = self.connect().execute(f"SELECT count(*) FROM {place(dataset, name)}").fetchone()
        assert row is not None
        return int(row[0])

    def make(self, own: Connection, dataset: str, name: str, body: Json, query: str | None = None) -> None:
        """The table is there, with the rows of the query if there is one; `own` is in a transaction."""
        if self._is_there(own, dataset, name):
            raise duplicate("Table", f"{dataset}.{name}")
        fields = body.get("schema", {}).get("fields", [])
        if query is not None and not fields:
            fields = describe(own, query)
        if not fields:
            raise invalid(f"Schema has no fields. Table: {name}")
        own.execute(f"CREATE TABLE {place(dataset, name)} ({', '.join(map(definition, fields))})")
        if query is not None:
            own.execute(f"INSERT INTO {place(dataset, name)} {stored(query, fields)}")
        now = _now()
        about = {k: v for k, v in body.items() if k not in _KEPT}
        about |= {"schema": {"fields": fields}, "creationTime": now, "lastModifiedTime": now, "type": "TABLE"}
        own.execute(f"INSERT INTO {_OURS}.tables VALUES (?, ?, ?)", [dataset, name, json.dumps(about)])

    def _is_there(self, own: Connection, dataset: str, name: str) -> bool:
        """By the eyes of this transaction, which may have dropped it."""
        self.dataset(dataset)
        query = f"SELECT 1 FROM {_OURS}.tables WHERE dataset = ? AND name = ?"
        return own.execute(query, [dataset, name]).fetchone() is not None

    def drop(self, own: Connection, dataset: str, name: str) -> None:
        own.execute(f"DROP TABLE {place(dataset, name)}")
        own.execute(f"DELETE FROM {_OURS}.tables WHERE dataset = ? AND name = ?", [dataset, name])

    def describe_anew(self, own: Connection, dataset: str, name: str, body: Json) -> None:
        """What is said of the table from now on."""
        about = {**{k: v for k, v in body.items() if k not in _KEPT}, "lastModifiedTime": _now()}
        own.execute(
            f"UPDATE {_OURS}.tables SET body = ? WHERE dataset = ? AND name = ?",
            [json.dumps(about), dataset, name],
        )

    # ----------------------------------------------------------------------- jobs

    def remember_job(self, id_: str, body: Json) -> None:
        self.connect().execute(f"INSERT INTO {_OURS}.jobs VALUES (?, ?)", [id_, json.dumps(body)])

    def jobs(self) -> dict[str, Json]:
        rows = self.connect().execute(f"SELECT id, body FROM {_OURS}.jobs").fetchall()
        return {id_: json.loads(body) for id_, body in rows}


def place(dataset: str, name: str) -> str:
    return f"{quoted(dataset)}.{quoted(name)}"


def describe(own: Connection, query: str) -> list[Json]:
    """The columns of a query."""
    found = own.execute(f"SELECT * FROM ({query}) LIMIT 0").description or []
    return [field_of(column[0], column[1]) for column in found]


@contextmanager
def transaction(own: Connection) -> Iterator[Connection]:
    """All or nothing; an error of DuckDB is one of the request."""
    own.execute("BEGIN")
    try:
        yield own
        own.execute("COMMIT")
    except duckdb.Error as error:
        _roll_back(own)
        raise translated(error) from None
    except BaseException:
        _roll_back(own)
        raise


def _roll_back(own: Connection) -> None:
    try:
        own.execute("ROLLBACK")
    except duckdb.Error:
        return  # DuckDB did it already


def translated(error: duckdb.Error) -> Refused:
    message = str(error).split("\n", maxsplit=1)[0]
    if isinstance(error, duckdb.TransactionException):
        return Refused(400, "invalidQuery", f"Transaction is aborted due to concurrent update: {message}")
    if isinstance(error, duckdb.CatalogException) and "Table with name" in message:
        return not_found("Table", message)
    return invalid_query(message)


def _now() -> str:
    return str(time.time_ns() // 1_000_000)


def _load_icu(own: Any) -> None:
    """Time zones: DuckDB's wheels carry them no more, another wheel does."""
    found = importlib.util.find_spec("duckdb_extension_icu")
    if found is None or found.origin is None:
        own.execute("LOAD icu")
        return
    file = Path(found.origin).parent / "extensions" / f"v{duckdb.__version__}" / "icu.duckdb_extension"
    own.execute(f"INSTALL '{file}'")
    own.execute("LOAD icu")
