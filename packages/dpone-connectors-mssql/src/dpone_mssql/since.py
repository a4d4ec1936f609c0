"""Reading by a cursor column: the window, and why no row that arrives late is lost.

OVERLAP reads [stored - lag, greatest]. HOLD_BACK reads [stored, hi), where hi is the clock less the lag, bounded by the
start of the oldest transaction that may still add rows. A rowversion is bounded by MIN_ACTIVE_ROWVERSION in either
case: below it no transaction can add one. Who is writing is asked before the snapshot is taken.
"""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct

from dpone.connector import Cursor, Late, Position, ReadRequest
from dpone.cursors import (
    CLOCKS,
    NUMBERS,
    TIMES,
    cursor_of,
    not_held_back,
    null_cursor,
    position_at,
    stored_value,
    unordered,
    wait_for_writers,
    window,
    without_zone,
)
from dpone.schema import Field, Kind
from dpone_mssql.dialect import MSSQL
from dpone_mssql.selecting import Subject
from dpone_mssql.session import Connection
from dpone_mssql.typemap import ENGINE, parse

_WRITERS = (
    "sys.dm_tran_database_transactions AS w JOIN sys.dm_tran_active_transactions AS a "
    "ON a.transaction_id = w.transaction_id WHERE w.database_id = DB_ID() "
    "AND w.database_transaction_begin_time IS NOT NULL"
)


class Window(Struct, frozen=True):
    """What was fixed before the snapshot: an exclusive upper bound, None when there was nothing to read."""

    cursor: Cursor
    field: Field
    hi: str | None

    def conditions(self, connection: Connection, request: ReadRequest, subject: Subject) -> tuple[list[str], Position]:
        """The conditions of the window in this snapshot, and the position after it."""
        column = f"t.{MSSQL.quote(self.cursor.column)}"
        self._refuse_nulls(connection, request, subject, column)
        terms, value = window(
            self.cursor,
            column,
            stored_value(request),
            self.hi,
            literal=self._literal,
            less=self._less,
            is_less=lambda one, other: self._is_less(connection, one, other),
            greatest=lambda: _greatest(connection, request, subject, self.cursor, self.field),
        )
        return terms, position_at(self.cursor.column, self.native, value)

    @property
    def native(self) -> str:
        return native_of(self.field)

    def _literal(self, text: str) -> str:
        return cursor_literal(text, self.native)

    def _less(self, text: str, lag: timedelta | int) -> str:
        literal = self._literal(text)
        return less(literal, lag, self.native) if isinstance(lag, timedelta) else f"({literal} - {lag})"

    def _is_less(self, connection: Connection, left: str, right: str) -> bool:
        comparison = f"{self._literal(left)} < {self._literal(right)}"
        return bool(connection.one(f"SELECT CASE WHEN {comparison} THEN 1 ELSE 0 END AS found")[0])

    def _refuse_nulls(self, connection: Connection, request: ReadRequest, subject: Subject, column: str) -> None:
        if self.cursor.skip_nulls or not self.field.nullable:
            return
        where = MSSQL.where(request.where, "t", subject.schema.fields)
        if connection.row(f"SELECT TOP (1) 1 AS found FROM {subject.source} WHERE {column} IS NULL AND {where}"):
            raise null_cursor(self.cursor.column)


def native_of(field: Field) -> str:
    return (field.native_of(ENGINE) or MSSQL.spell(field)).partition(" ")[0]


def is_version(field: Field) -> bool:
    return parse(native_of(field)).name in {"rowversion", "timestamp"}


def cursor_literal(text: str, native: str) -> str:
    """The value that `cursor_text` printed."""
    if parse(native).name in {"rowversion", "timestamp"}:
        return text if text.startswith("0x") else "0x0000000000000000"
    if parse(native).name == "datetime":  # whose own text has three digits of thirds of a millisecond
        return f"CAST({MSSQL.text(text)} AS datetime)"
    return f"CAST({MSSQL.text(text)} AS {native})"


def cursor_text(expression: str, field: Field) -> str:
    """The value as text that says all of it."""
    if is_version(field):
        return f"CONVERT(nvarchar(50), {expression}, 1)"
    if field.type.kind in TIMES:
        return f"CONVERT(nvarchar(50), {expression}, 121)"
    return f"CAST({expression} AS nvarchar(50))"


def less(expression: str, lag: timedelta, native: str) -> str:
    """A moment before another one; days and the rest apart, since DATEADD takes an int."""
    if native == "date":
        return f"DATEADD(day, {-lag.days}, {expression})"
    whole, rest = divmod(lag, timedelta(seconds=1))
    found = f"DATEADD(second, {-whole}, {expression})"
    return f"DATEADD(microsecond, {-rest.microseconds}, {found})" if rest else found


def window_of(connection: Connection, request: ReadRequest, subject: Subject) -> Window:
    """The window of a request; its upper bound is fixed here, before any snapshot, where it depends on writers."""
    cursor, field = cursor_of(request, subject.schema)
    if is_version(field):
        (bound,) = connection.one("SELECT CONVERT(nvarchar(50), MIN_ACTIVE_ROWVERSION(), 1) AS v")
        return Window(cursor, field, str(bound))
    if field.type.kind not in NUMBERS | TIMES:
        raise unordered(field.name, field.type)
    if cursor.late is Late.OVERLAP:
        return Window(cursor, field, None)
    if field.type.kind in CLOCKS:
        return Window(cursor, field, _clock_bound(connection, request, cursor, field))
    if field.type.kind in NUMBERS:
        return Window(cursor, field, _number_bound(connection, request, subject, cursor, field))
    raise not_held_back(cursor.column)


def _clock_bound(connection: Connection, request: ReadRequest, cursor: Cursor, field: Field) -> str:
    lag = cursor.lag if isinstance(cursor.lag, timedelta) else timedelta(0)
    if field.type.kind is Kind.TIMESTAMP and request.dataset.options.get("timezone") != "UTC":
        raise without_zone(cursor.column)
    age = "MAX(DATEDIFF_BIG(second, a.transaction_begin_time, GETDATE()))"
    (seconds,) = connection.one(f"SELECT {age} AS seconds FROM {_WRITERS}")
    bound = less("SYSUTCDATETIME()", lag, "datetime2(7)")
    if seconds is not None:  # two more, since begins and clocks are known to the second
        other = less("SYSUTCDATETIME()", timedelta(seconds=seconds + 2), "datetime2(7)")
        bound = f"CASE WHEN {bound} < {other} THEN {bound} ELSE {other} END"
    native = native_of(field)
    (moment,) = connection.one(f"SELECT CONVERT(nvarchar(50), CAST({bound} AS {native}), 121) AS moment")
    return str(moment)


def _number_bound(
    connection: Connection, request: ReadRequest, subject: Subject, cursor: Cursor, field: Field
) -> str | None:
    """One beyond the greatest number less the lag, once those who were writing then are done."""
    greatest = _greatest(connection, request, subject, cursor, field)
    writing = f"SELECT DISTINCT a.transaction_id FROM {_WRITERS}"
    wait_for_writers(lambda: (number for (number,) in connection.rows(writing)), request.timeout)
    if greatest is None:
        return None
    number = f"CAST({MSSQL.text(greatest)} AS decimal(38,9))"
    lag = cursor.lag if isinstance(cursor.lag, int) else 0
    (bound,) = connection.one(f"SELECT CAST(CAST(FLOOR({number}) + 1 - {lag} AS decimal(38,0)) AS nvarchar(50)) AS b")
    return str(bound)


def _greatest(
    connection: Connection, request: ReadRequest, subject: Subject, cursor: Cursor, field: Field
) -> str | None:
    column = f"t.{MSSQL.quote(cursor.column)}"
    where = MSSQL.where(request.where, "t", subject.schema.fields)
    found = connection.row(
        f"SELECT TOP (1) {cursor_text(column, field)} AS v FROM {subject.source} "
        f"WHERE {column} IS NOT NULL AND {where} ORDER BY {column} DESC"
    )
    return None if found is None else str(found[0])
