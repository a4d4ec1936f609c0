"""Tables and queries of a file, whole or since a cursor; each reading is one SELECT, and so sees one moment."""
# ruff: noqa: S608 -- all text here is made of quoted identifiers and encoded literals, by the dialect

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from dpone.batch import Batch
from dpone.connector import CHANGE_COLUMNS, Cursor, Dataset, Finding, Late, Position, ReadRequest, Split
from dpone.cursors import TIMES, cursor_of, null_cursor
from dpone.errors import UsageError
from dpone.readings import OpenReading, requested, table_missing
from dpone.schema import Field, Kind, Schema, Type
from dpone.sql.sqlite import decode, encode
from dpone.strategies import Read
from dpone_sqlite.config import SqliteConfig
from dpone_sqlite.database import SQLITE, Connection, connected, table_schema, translated
from dpone_sqlite.values import packed

_ROW_BYTES = 100  # a guess that turns a batch's bytes into rows


@contextmanager
def connect(config: SqliteConfig) -> Iterator[FileSource]:
    with connected(config) as connection:
        connection.execute("PRAGMA query_only = ON")
        yield FileSource(config, connection)


class FileSource:
    def __init__(self, config: SqliteConfig, connection: Connection) -> None:
        self._config, self._connection = config, connection

    def describe(self, dataset: Dataset) -> Schema:
        if dataset.query is not None:
            raise UsageError(
                "the columns of a query have no types in SQLite",
                code="source.no_queries",
                hint="make a view with CAST ... and name it as the table",
            )
        found = table_schema(self._connection, dataset.name)
        if found is None:
            raise table_missing(dataset.name)
        return found

    @contextmanager
    def open(self, request: ReadRequest) -> Iterator[OpenReading]:
        """The window is fixed now; what is written later lies beyond it, or is read again by the next run."""
        schema = self.describe(request.dataset)
        upto, lo, hi = None, None, None
        if request.read is Read.SINCE:
            upto, lo, hi = self._window(request, schema)
        payload = {"lo": encode(lo), "hi": encode(hi)}
        yield OpenReading(requested(schema, request.columns), upto, [Split("0", payload)], request.present)

    def read(self, request: ReadRequest, split: Split) -> Iterator[Batch]:
        schema = self.describe(request.dataset)
        fields = requested(schema, request.columns).fields
        rows = self._select(request, schema, [c.source for c in request.columns], split)
        tags = CHANGE_COLUMNS if request.present else ()
        select = f"{rows[0]}, 0, 'U', NULL {rows[1]}" if tags else " ".join(rows)
        yield from self._batches(request, select, (*fields, *tags))
        if request.present:
            key = [SQLITE.quote(c.source) if c.source in request.key else "NULL" for c in request.columns]
            everything = SQLITE.where(request.where, "t", tuple(schema))
            table = SQLITE.table(request.dataset.name)
            keys = f"SELECT {', '.join(key)}, 0, 'P', NULL FROM {table} AS t WHERE {everything}"
            yield from self._batches(request, keys, (*fields, *tags))

    def settle(self, request: ReadRequest, position: Position) -> None:
        """A file keeps no log that would have to be let go."""

    def discover(self, pattern: tuple[str, ...]) -> Sequence[Dataset]:
        names = self._connection.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE '\\_dpone%' ESCAPE '\\' "
            "AND name NOT LIKE 'sqlite%' ORDER BY name"
        ).fetchall()
        return [Dataset((name,)) for (name,) in names if len(pattern) == 1 and fnmatchcase(name, pattern[0])]

    def diagnose(self) -> Sequence[Finding]:
        (found,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        return [Finding("file", ok=found == "ok", found=str(found), action="" if found == "ok" else "restore it")]

    # ------------------------------------------------------------------ statements

    def _select(self, request: ReadRequest, schema: Schema, columns: Sequence[str], split: Split) -> tuple[str, str]:
        """The SELECT without and with its FROM, so that more columns fit between."""
        conditions = [SQLITE.where(request.where, "t", tuple(schema))]
        if request.cursor is not None and request.read is Read.SINCE:
            of = schema[request.cursor.column].type
            column = f"t.{SQLITE.quote(request.cursor.column)}"
            conditions.append(f"{column} IS NOT NULL")
            for bound, sign in ((split.payload["lo"], ">="), (split.payload["hi"], "<")):
                if bound is not None:
                    conditions.append(f"{column} {sign} {SQLITE.literal(decode(bound, of), of)}")
        names = ", ".join(f"t.{SQLITE.quote(name)}" for name in columns)
        table = SQLITE.table(request.dataset.name)
        return f"SELECT {names}", f"FROM {table} AS t WHERE {' AND '.join(conditions)}"

    def _batches(self, request: ReadRequest, select: str, fields: Sequence[Field]) -> Iterator[Batch]:
        step = max(1, request.batch_bytes // _ROW_BYTES)
        with translated(self._config.label):
            cursor = self._connection.execute(select)
            while rows := cursor.fetchmany(step):
                yield packed(rows, fields)

    # ---------------------------------------------------------------------- window

    def _window(self, request: ReadRequest, schema: Schema) -> tuple[Position | None, Any, Any]:
        """How far this reading comes, and the bounds of its rows: `lo <= cursor < hi`, as far as there are any."""
        cursor, field = cursor_of(request, schema)
        column = f"t.{SQLITE.quote(cursor.column)}"
        where = SQLITE.where(request.where, "t", tuple(schema))
        table = SQLITE.table(request.dataset.name)
        with translated(self._config.label):
            nulls, greatest = self._connection.execute(
                f"SELECT COUNT(*) - COUNT({column}), MAX({column}) FROM {table} AS t WHERE {where}"
            ).fetchone()
        if nulls and not cursor.skip_nulls:
            raise null_cursor(cursor.column, nulls)
        of = field.type
        stored: Any = None if request.since is None else decode(request.since.token["cursor"], of)
        newest: Any = decode(greatest, of)
        if cursor.late is Late.HOLD_BACK:
            hi = _held_back(newest, of, cursor)
            reached = stored if hi is None or (stored is not None and stored > hi) else hi
            return _position(reached, cursor), stored, reached
        known = [value for value in (stored, newest) if value is not None]
        lo = None if stored is None else stored - _lag(cursor, of)
        return _position(max(known, default=None), cursor), lo, None


def _position(value: object, cursor: Cursor) -> Position | None:
    return None if value is None else Position(Read.SINCE, {"column": cursor.column, "cursor": encode(value)})


def _lag(cursor: Cursor, of: Type) -> Any:
    if isinstance(cursor.lag, timedelta):
        return cursor.lag
    return timedelta(seconds=cursor.lag) if of.kind in TIMES else cursor.lag


def _held_back(newest: Any, of: Type, cursor: Cursor) -> Any:
    """What no later row may lie below: the clock, or for numbers the next one, less the lag."""
    now = datetime.now(UTC)
    match of.kind:
        case Kind.TIMESTAMPTZ:
            return now - _lag(cursor, of)
        case Kind.TIMESTAMP:
            return now.replace(tzinfo=None) - _lag(cursor, of)
        case Kind.DATE:
            return date.fromordinal((now - _lag(cursor, of)).toordinal())
        case _:
            return None if newest is None else newest + 1 - _lag(cursor, of)
