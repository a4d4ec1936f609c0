"""Reading by a cursor column: the window, and why no row that arrives late is lost.

OVERLAP reads [stored - lag, greatest]. HOLD_BACK reads [stored, hi), where hi is the clock less the lag, bounded by the
start of the oldest transaction that may still add rows. Who is writing is asked before the snapshot is taken: whoever
began later has a later clock, and whoever ended before is in the snapshot.
"""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct

from dpone.connector import Cursor, Late, Position, ReadRequest
from dpone.cursors import (
    CLOCKS,
    NUMBERS,
    cursor_of,
    endless_cursor,
    not_held_back,
    null_cursor,
    position_at,
    stored_value,
    wait_for_writers,
    window,
    without_zone,
)
from dpone.schema import Field, Kind
from dpone_postgres.dialect import POSTGRES
from dpone_postgres.selecting import Subject
from dpone_postgres.session import Connection
from dpone_postgres.writers import oldest_start, writing

_ENDLESS = frozenset({"infinity", "-infinity", "NaN", "Infinity", "-Infinity"})


class Window(Struct, frozen=True):
    """What was fixed before the snapshot: HOLD_BACK's exclusive upper bound, None when there was nothing to read."""

    cursor: Cursor
    field: Field
    hi: str | None

    def conditions(self, connection: Connection, request: ReadRequest, subject: Subject) -> tuple[list[str], Position]:
        """The conditions of the window in this snapshot, and the position after it."""
        column = f"t.{POSTGRES.quote(self.cursor.column)}"
        self._refuse_nulls(connection, request, subject, column)
        terms, value = window(
            self.cursor,
            column,
            stored_value(request),
            self.hi,
            literal=self._literal,
            less=self._less,
            is_less=lambda one, other: self._is_less(connection, one, other),
            greatest=lambda: _greatest(connection, request, subject, self.cursor),
        )
        return terms, position_at(self.cursor.column, self._native, value)

    @property
    def _native(self) -> str:
        return POSTGRES.spell(self.field)

    def _literal(self, text: str) -> str:
        return f"{POSTGRES.text(text)}::{self._native}"

    def _less(self, text: str, lag: timedelta | int) -> str:
        return f"({self._literal(text)} - {_interval(lag) if isinstance(lag, timedelta) else lag})"

    def _is_less(self, connection: Connection, left: str, right: str) -> bool:
        row = connection.execute(f"SELECT {self._literal(left)} < {self._literal(right)}".encode()).fetchone()
        return bool(row and row[0])

    def _refuse_nulls(self, connection: Connection, request: ReadRequest, subject: Subject, column: str) -> None:
        if self.cursor.skip_nulls or not self.field.nullable:
            return
        where = POSTGRES.where(request.where, "t", subject.schema.fields)
        query = f"SELECT EXISTS (SELECT 1 FROM {subject.source} WHERE {column} IS NULL AND {where})"
        row = connection.execute(query.encode()).fetchone()
        if row is not None and row[0]:
            raise null_cursor(self.cursor.column)


def window_of(connection: Connection, request: ReadRequest, subject: Subject) -> Window:
    """The window of a request; for HOLD_BACK its upper bound is fixed here, before any snapshot."""
    cursor, field = cursor_of(request, subject.schema)
    if cursor.late is Late.OVERLAP:
        return Window(cursor, field, None)
    if field.type.kind in CLOCKS:
        return Window(cursor, field, _clock_bound(connection, request, subject, cursor, field))
    if field.type.kind in NUMBERS:
        return Window(cursor, field, _number_bound(connection, request, subject, cursor))
    raise not_held_back(cursor.column)


def _clock_bound(connection: Connection, request: ReadRequest, subject: Subject, cursor: Cursor, field: Field) -> str:
    lag = cursor.lag if isinstance(cursor.lag, timedelta) else timedelta(0)
    zone = request.dataset.options.get("timezone")
    if field.type.kind is Kind.TIMESTAMP and zone is None:
        raise without_zone(cursor.column)
    moment = f"LEAST(pg_catalog.clock_timestamp() - {_interval(lag)}, {oldest_start(connection, subject)})"
    if field.type.kind is Kind.TIMESTAMP:
        moment = f"({moment}) AT TIME ZONE {POSTGRES.text(str(zone))}"
    row = connection.execute(f"SELECT ({moment})::text".encode()).fetchone()
    assert row is not None
    return str(row[0])


def _number_bound(connection: Connection, request: ReadRequest, subject: Subject, cursor: Cursor) -> str | None:
    """One beyond the greatest number less the lag, once those who were writing then are done."""
    greatest = _greatest(connection, request, subject, cursor)
    wait_for_writers(lambda: writing(connection, subject), request.timeout)
    if greatest is None:
        return None
    row = connection.execute("SELECT (floor(%s::numeric) + 1 - %s)::text", (greatest, cursor.lag or 0)).fetchone()
    assert row is not None
    return str(row[0])


def _greatest(connection: Connection, request: ReadRequest, subject: Subject, cursor: Cursor) -> str | None:
    """The text of the greatest value; one behind which nothing would ever be read is refused."""
    column = f"t.{POSTGRES.quote(cursor.column)}"
    where = POSTGRES.where(request.where, "t", subject.schema.fields)
    query = (
        f"SELECT {column}::text FROM {subject.source} WHERE {column} IS NOT NULL AND {where} "
        f"ORDER BY {column} DESC LIMIT 1"
    )
    row = connection.execute(query.encode()).fetchone()
    if row is not None and row[0] in _ENDLESS:
        raise endless_cursor(cursor.column, row[0])
    return None if row is None else str(row[0])


def _interval(lag: timedelta) -> str:
    return f"INTERVAL '{lag // timedelta(microseconds=1)} microseconds'"
