"""Reading by a cursor column: the window, and why no row that arrives late is lost.

OVERLAP reads [stored - lag, greatest]. HOLD_BACK reads [stored, hi), where hi is the clock less the lag, bounded by the
start of the oldest transaction that may still add rows. Who is writing is asked before the snapshot is taken: whoever
began later has a later clock, and whoever ended before is in the snapshot.
"""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from dpone.connector import Cursor, Late, Position, ReadRequest
from dpone.cursors import (
    CLOCKS,
    NUMBERS,
    cursor_of,
    endless_cursor,
    not_held_back,
    null_cursor,
    wait_for_writers,
    without_zone,
)
from dpone.schema import Field, Kind
from dpone.strategies import Read
from dpone_postgres.dialect import POSTGRES
from dpone_postgres.selecting import Subject
from dpone_postgres.session import Connection
from dpone_postgres.writers import oldest_start, writing

_ENDLESS = frozenset({"infinity", "-infinity", "NaN", "Infinity", "-Infinity"})


@dataclass(frozen=True, slots=True)
class Window:
    """What was fixed before the snapshot: HOLD_BACK's exclusive upper bound, None when there was nothing to read."""

    cursor: Cursor
    field: Field
    hi: str | None

    def conditions(
        self, connection: Connection, request: ReadRequest, subject: Subject
    ) -> tuple[list[str], Position | None]:
        """The conditions of the window in this snapshot, and the position after it."""
        column = f"t.{POSTGRES.quote(self.cursor.column)}"
        self._refuse_nulls(connection, request, subject, column)
        stored = None if request.since is None else request.since.token.get("value")
        terms = []
        if stored is not None:
            terms.append(f"{column} >= {self._lower(stored)}")
        if self.hi is not None:
            if stored is not None and not _is_less(connection, stored, self.hi, self._native):
                return ["1 = 0"], self._at(stored)  # the clock less the lag has not passed the last window yet
            return [*terms, f"{column} < {self._literal(self.hi)}"], self._at(self.hi)
        greatest = _greatest(connection, request, subject, column)
        if greatest is None or self.cursor.late is Late.HOLD_BACK:
            return ["1 = 0"], self._at(stored)
        if greatest in _ENDLESS:
            raise endless_cursor(self.cursor.column, greatest)
        upper = stored if stored is not None and _is_less(connection, greatest, stored, self._native) else greatest
        return [*terms, f"{column} <= {self._literal(greatest)}"], self._at(upper)

    @property
    def _native(self) -> str:
        return POSTGRES.spell(self.field)

    def _literal(self, text: str) -> str:
        return f"{POSTGRES.text(text)}::{self._native}"

    def _lower(self, stored: str) -> str:
        lag = self.cursor.lag
        if self.cursor.late is Late.HOLD_BACK or not lag:
            return self._literal(stored)
        if isinstance(lag, timedelta):
            return f"({self._literal(stored)} - {_interval(lag)})"
        return f"({self._literal(stored)} - {int(lag)})"

    def _at(self, value: str | None) -> Position:
        return Position(Read.SINCE, {"column": self.cursor.column, "type": self._native, "value": value})

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
    column = f"t.{POSTGRES.quote(cursor.column)}"
    greatest = _greatest(connection, request, subject, column)
    if greatest in _ENDLESS:
        raise endless_cursor(cursor.column, str(greatest))
    wait_for_writers(lambda: writing(connection, subject), request.timeout)
    if greatest is None:
        return None
    row = connection.execute("SELECT (floor(%s::numeric) + 1 - %s)::text", (greatest, cursor.lag or 0)).fetchone()
    assert row is not None
    return str(row[0])


def _greatest(connection: Connection, request: ReadRequest, subject: Subject, column: str) -> str | None:
    where = POSTGRES.where(request.where, "t", subject.schema.fields)
    query = (
        f"SELECT {column}::text FROM {subject.source} WHERE {column} IS NOT NULL AND {where} "
        f"ORDER BY {column} DESC LIMIT 1"
    )
    row = connection.execute(query.encode()).fetchone()
    return None if row is None else str(row[0])


def _is_less(connection: Connection, left: str, right: str, native: str) -> bool:
    query = f"SELECT {POSTGRES.text(left)}::{native} < {POSTGRES.text(right)}::{native}"
    row = connection.execute(query.encode()).fetchone()
    return bool(row and row[0])


def _interval(lag: timedelta) -> str:
    return f"INTERVAL '{lag // timedelta(microseconds=1)} microseconds'"
