"""Reading by a cursor column: the window, and why no row that arrives late is lost.

OVERLAP reads [stored - lag, greatest]. HOLD_BACK reads [stored, hi), where hi is the server's clock less the lag, and
not later than the start of the oldest INSERT that is running: ClickHouse has no transactions, so a row is seen when
its INSERT ends, and none of one that begins later is older than now (unless its writer's clock is behind: the lag is
for that). An INSERT of another user is seen only with the right to see system.processes.
"""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct

from dpone.connector import Cursor, Late, Position, ReadRequest
from dpone.cursors import (
    NUMBERS,
    cursor_of,
    endless_cursor,
    not_held_back,
    null_cursor,
    position_at,
    stored_value,
    wait_for_writers,
    window,
)
from dpone.schema import Field, Kind
from dpone_clickhouse.dialect import CLICKHOUSE
from dpone_clickhouse.native import parse_native
from dpone_clickhouse.selecting import Subject
from dpone_clickhouse.session import Session

_WHOLE_DAY = timedelta(days=1)
_INSERTS = "query_kind IN ('Insert', 'AsyncInsertFlush')"


def window_of(session: Session, request: ReadRequest, subject: Subject) -> tuple[list[str], Position]:
    """The conditions of a request's window and the position behind it, fixed now."""
    cursor, field = cursor_of(request, subject.schema)
    reader = _Reader(session, request, subject, cursor, field)
    reader.refuse_nulls()
    terms, value = window(
        cursor,
        reader.column,
        stored_value(request),
        reader.bound() if cursor.late is Late.HOLD_BACK else None,
        literal=reader.literal,
        less=reader.less,
        is_less=reader.is_less,
        greatest=reader.greatest,
    )
    return terms, position_at(cursor.column, reader.native, value)


class _Reader(Struct, frozen=True):
    session: Session
    request: ReadRequest
    subject: Subject
    cursor: Cursor
    field: Field

    @property
    def column(self) -> str:
        return f"t.{CLICKHOUSE.quote(self.cursor.column)}"

    @property
    def native(self) -> str:
        """The type in which the cursor's text is read back: an instant in UTC, whatever zone its column shows."""
        of = parse_native(self.field.native_of(CLICKHOUSE.name) or "String")
        while of.family in {"Nullable", "LowCardinality"} and of.types:
            of = of.types[0]
        if of.family == "DateTime64":
            return f"DateTime64({of.number(0, 3)}, 'UTC')"
        return "DateTime('UTC')" if of.family == "DateTime" else str(of)

    def literal(self, text: str) -> str:
        return f"CAST({CLICKHOUSE.text(text)}, {CLICKHOUSE.text(self.native)})"

    def refuse_nulls(self) -> None:
        if self.cursor.skip_nulls or not self.field.nullable:
            return
        found = f"SELECT count() FROM {self.subject.source} WHERE {self.column} IS NULL AND {self.where}"
        if rows := self.session.value(found):
            raise null_cursor(self.cursor.column, rows)

    @property
    def where(self) -> str:
        return CLICKHOUSE.where(self.request.where, "t", self.subject.schema.fields)

    def greatest(self) -> str | None:
        shown = self.spelled(f"max({self.column})")
        text = self.session.value(
            f"SELECT {shown} FROM {self.subject.source} WHERE {self.column} IS NOT NULL AND {self.where}"
        )
        if text in {"nan", "inf", "-inf"}:
            raise endless_cursor(self.cursor.column, text)
        return None if text is None else str(text)

    def spelled(self, expression: str) -> str:
        """The text of the cursor's value, with all of its digits."""
        if self.field.type.kind is Kind.TIMESTAMPTZ:
            return f"toString(toTimeZone({expression}, 'UTC'))"
        return f"toString({expression})"

    def less(self, text: str, lag: timedelta | int) -> str:
        if not isinstance(lag, timedelta):
            return f"{self.literal(text)} - {lag}"
        if self.field.type.kind is Kind.DATE:
            return f"toDate32({CLICKHOUSE.text(text)}) - toIntervalDay({-(-lag // _WHOLE_DAY)})"
        digits = max(6, self.field.type.size or 0)
        return f"toDateTime64({CLICKHOUSE.text(text)}, {digits}, 'UTC') - {_interval(lag)}"

    def is_less(self, left: str, right: str) -> bool:
        return bool(self.session.value(f"SELECT {self.literal(left)} < {self.literal(right)}"))

    def bound(self) -> str | None:
        """HOLD_BACK's upper bound, itself left out."""
        kind, lag = self.field.type.kind, self.cursor.lag
        if kind is Kind.TIMESTAMPTZ:
            given = lag if isinstance(lag, timedelta) else timedelta(0)
            running = f"(SELECT min(now64(6, 'UTC') - toIntervalMillisecond(ceil(elapsed * 1000) + 1)) FROM system.processes WHERE {_INSERTS})"  # noqa: E501 - one expression
            clock = f"now64(6, 'UTC') - {_interval(given)}"
            moment = f"least({clock}, ifNull({running}, {clock}))"
            # rounded down to the digits of the column, since the bound itself is left out
            return str(self.session.value(f"SELECT toString(CAST({moment}, {CLICKHOUSE.text(self.native)}))"))
        if kind in NUMBERS and not isinstance(lag, timedelta):
            return self._number_bound(int(lag))
        raise not_held_back(self.cursor.column)

    def _number_bound(self, lag: int) -> str | None:
        """One beyond the greatest number less the lag, once those who were writing then are done."""
        greatest = self.greatest()
        wait_for_writers(self._writing, self.request.timeout)
        if greatest is None:
            return None
        whole = int(greatest.partition(".")[0])
        below = greatest.startswith("-") and "." in greatest
        return str(whole - (1 if below else 0) + 1 - lag)

    def _writing(self) -> list[str]:
        return [q for (q,) in self.session.ask(f"SELECT query_id FROM system.processes WHERE {_INSERTS}")]


def _interval(lag: timedelta) -> str:
    return f"toIntervalMicrosecond({lag // timedelta(microseconds=1)})"
