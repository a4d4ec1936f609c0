"""Connections to a file, the SQL that SQLite is given, its tables as core's schemas, and its errors as dpone's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from dpone.errors import DponeError, RemoteError, UsageError
from dpone.names import print_name
from dpone.schema import Field, Kind, Schema, Type
from dpone.sql.sqlite import SqliteDialect, prepare
from dpone_sqlite.config import SqliteConfig
from dpone_sqlite.typemap import land, read

Connection = sqlite3.Connection


class FileDialect(SqliteDialect):
    """Core's dialect, with the type names by which this connector's tables are read back, and with NaN."""

    max_identifier: ClassVar[int] = 1_000  # SQLite sets no limit; a page of output does
    orders_nan: ClassVar[bool] = True  # it is stored as text, which comes after all numbers

    def special(self, spelled: str, as_type: Type) -> str:
        return "'NaN'" if spelled == "NaN" else super().special(spelled, as_type)

    def is_nan(self, expression: str, of: Type | None) -> str | None:
        return f"TYPEOF({expression}) = 'text'" if of is not None and of.kind is Kind.FLOAT else None

    def spell(self, field: Field) -> str:
        of = field.type
        collated = " COLLATE DPONE_DECIMAL" if of.kind is Kind.DECIMAL or _is_wide(field) else ""
        return land(field).native + collated


def _is_wide(field: Field) -> bool:
    return land(field).native.startswith("DECIMAL_TEXT")


SQLITE = FileDialect()


@contextmanager
def connected(config: SqliteConfig, *, makes: bool = False) -> Iterator[Connection]:
    """A connection that orders and sums decimals; a statement is committed by itself unless BEGIN was said."""
    path = config.path.absolute()
    mode = "rwc" if makes else "rw"
    with translated(config.label):
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?mode={mode}",
            uri=True,
            timeout=config.timeout,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            prepare(connection)
            connection.execute("PRAGMA journal_mode = WAL")  # readers see whole loads, and block nobody
            connection.execute("PRAGMA synchronous = FULL")
            yield connection
        finally:
            connection.close()


@contextmanager
def translated(label: str) -> Iterator[None]:
    """SQLite's errors by their codes."""
    try:
        yield
    except sqlite3.Error as error:
        raise _failure(error, label) from None


def _failure(error: sqlite3.Error, label: str) -> DponeError:
    code: int = getattr(error, "sqlite_errorcode", 0)
    match code & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return RemoteError(
                f"{label} is being written by another process",
                code="sqlite.busy",
                hint="run again, or raise `timeout` of the connection",
                retryable=True,
            )
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_PERM | sqlite3.SQLITE_READONLY:
            return RemoteError(
                f"{label} cannot be opened: {error}",
                code="sqlite.unreachable",
                hint="is the path right, and may this user read and write it?",
            )
        case sqlite3.SQLITE_CONSTRAINT:
            return RemoteError(
                f"{label} refused a row: {error}",
                code="sink.rejected_rows",
                hint="correct the rows at the source, or make the column nullable",
            )
        case _:
            return RemoteError(f"{label}: {error}", code="sqlite.failed", hint="see what SQLite says")


def table_schema(connection: Connection, name: tuple[str, ...]) -> Schema | None:
    """The table's columns and primary key; None when there is no such table."""
    if len(name) != 1:
        raise UsageError(
            f"{print_name(name)} has {len(name)} parts",
            code="sqlite.table_name",
            hint="a file has no schemas: write the table's name alone, quoted where it has a dot",
        )
    rows: list[tuple[Any, ...]] = connection.execute(
        'SELECT name, type, "notnull", pk FROM pragma_table_info(?) WHERE EXISTS '
        "(SELECT 1 FROM sqlite_master WHERE type IN ('table', 'view') AND name = ?)",
        (name[0], name[0]),
    ).fetchall()
    if not rows:
        return None
    fields = tuple(
        Field(column, read(declared), nullable=not (required or place), native=f"sqlite:{declared}")
        for column, declared, required, place in rows
    )
    key = tuple(column for column, _, _, place in sorted(rows, key=lambda row: row[3]) if place)
    return Schema(fields, key)


def remove_database(path: Path) -> None:
    """The file and what SQLite keeps beside it are gone."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
