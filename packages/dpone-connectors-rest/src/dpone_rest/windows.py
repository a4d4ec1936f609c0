"""How far a reading by a cursor goes: what is stored, what it begins at, where it ends, and how a request says so."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct
from msgspec.structs import replace

from dpone.arrow import arrow_type
from dpone.connector import Cursor, Late, Position, ReadRequest
from dpone.cursors import TIMES, cursor_of, position_at, stored_value, unordered, without_zone
from dpone.schema import Field, Kind, Schema
from dpone_rest import faults

Mark = int | Decimal  # a value of a cursor as a number: days, micro- or nanoseconds, or itself
_MICROSECONDS, _ARROW_BITS, _DECIMAL256 = 6, 64, 76
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


class Scale(Struct, frozen=True):
    """The values of one column as numbers, and back."""

    field: Field

    @property
    def is_clock(self) -> bool:
        return self.field.type.kind in TIMES

    @property
    def per_second(self) -> int:
        """Steps in a second, of a time."""
        return 10**6 if (self.field.type.size or 0) <= _MICROSECONDS else 10**9

    def numbers(self, column: pa.Array[Any]) -> pa.Array[Any]:
        if self.field.type.kind is Kind.DATE:
            return column.cast(pa.int32())
        return column.cast(pa.int64()) if self.is_clock else column

    def text(self, mark: Mark) -> str:
        """The value as text that `mark` reads back, and a person too."""
        if not self.is_clock:
            return str(mark)
        integers = pa.int32() if self.field.type.kind is Kind.DATE else pa.int64()
        said = pa.scalar(int(mark), integers).cast(arrow_type(self.field.type)).cast(pa.string()).as_py()
        return str(said)

    def mark(self, text: str) -> Mark:
        # an array and not a scalar: Python, through which a scalar would pass, has no nanoseconds
        value: Mark = self.numbers(pa.array([text]).cast(arrow_type(self.field.type)))[0].as_py()
        return value

    def steps(self, lag: timedelta | int) -> Mark:
        """A lag in steps of this scale; a part of a day is a day for dates."""
        if not lag:
            return 0
        if not isinstance(lag, timedelta):
            return lag
        if self.field.type.kind is Kind.DATE:
            return -(-lag // _DAY)
        return lag // timedelta(microseconds=1) * (self.per_second // 10**6)

    def at(self, moment: datetime, zone: str | None) -> Mark:
        """A moment on this scale."""
        kind = self.field.type.kind
        if kind is not Kind.TIMESTAMPTZ:
            if zone is None and kind is Kind.TIMESTAMP:
                raise without_zone(self.field.name)
            moment = moment.astimezone(ZoneInfo(zone or "UTC")).replace(tzinfo=UTC)
        if kind is Kind.DATE:
            return (moment.date() - date(1970, 1, 1)).days
        return (moment - _EPOCH) // timedelta(microseconds=1) * (self.per_second // 10**6)

    def as_time(self, mark: Mark) -> tuple[int, int]:
        """Whole seconds since 1970 and the steps beyond them."""
        if self.field.type.kind is Kind.DATE:
            return int(mark) * 86_400, 0
        return divmod(int(mark), self.per_second)


def scale_of(field: Field) -> Scale:
    of, size = field.type, field.type.size or 0
    is_number = (of.kind in {Kind.INT, Kind.UINT} and size <= _ARROW_BITS) or (
        of.kind is Kind.DECIMAL and 0 < size <= _DECIMAL256
    )
    if is_number or of.kind in TIMES:
        return Scale(field)
    raise unordered(field.name, of)


class Window(Struct, frozen=True):
    """Records with lo <= cursor < hi, or <= hi where `closed`; None is without a bound."""

    lo: Mark | None = None
    hi: Mark | None = None
    closed: bool = False


class Course(Struct, frozen=True):
    """A reading by a cursor, before it is known how far it comes."""

    cursor: Cursor
    scale: Scale
    stored: Mark | None
    lag: Mark

    @property
    def holds_back(self) -> bool:
        return self.cursor.late is Late.HOLD_BACK

    @property
    def lo(self) -> Mark | None:
        """Where it begins."""
        if self.stored is None or self.holds_back:
            return self.stored
        return self.stored - self.lag

    def by_clock(self, now: datetime, zone: str | None) -> Mark | None:
        """What is held back at this moment and later; None where no clock is needed, or there is none."""
        if not self.holds_back or not self.scale.is_clock:
            return None
        return self.scale.at(now, zone) - self.lag

    def when(self, moment: datetime, zone: str | None) -> Mark | None:
        """The moment as a value of the cursor; None where the cursor is no clock, or one of an unknown zone."""
        is_known = self.scale.is_clock and (zone is not None or self.scale.field.type.kind is not Kind.TIMESTAMP)
        return self.scale.at(moment, zone) if is_known else None

    def end(self, greatest: Mark | None, clock: Mark | None) -> Window:
        """The whole window, once the greatest value is known."""
        if not self.holds_back:
            known = [mark for mark in (greatest, self.stored) if mark is not None]
            return Window(self.lo, max(known, default=None), closed=True)
        bound = clock
        if bound is None and greatest is not None:
            bound = greatest + 1 - self.lag  # numbers have no clock: what lies within the lag may still come
        known = [mark for mark in (bound, self.stored) if mark is not None]
        return Window(self.lo, max(known, default=None))

    def no_later(self, window: Window, begun: Mark) -> Window:
        """The window as far as all of it was there at a moment: what changed since then is the next reading's."""
        if window.hi is None or window.hi <= begun:
            return window
        return replace(window, hi=max(mark for mark in (begun, self.stored) if mark is not None))

    def position(self, window: Window) -> Position:
        value = None if window.hi is None else self.scale.text(window.hi)
        return position_at(self.scale.field.name, str(self.scale.field.type), value)


def course_of(request: ReadRequest, schema: Schema) -> Course:
    """The course of a request from its stored position on."""
    cursor, field = cursor_of(request, schema)
    scale = scale_of(field)
    lag = scale.steps(cursor.lag)
    text = stored_value(request)
    try:
        stored = None if text is None else scale.mark(text)
    except pa.ArrowInvalid:
        raise faults.other_position(field.name, str(field.type)) from None
    return Course(cursor, scale, stored, lag)


def within(column: pa.Array[Any], window: Window) -> pa.Array[Any]:
    """True for each number of a column inside of a window; a NULL is outside."""
    keep: Any = pc.is_valid(column)
    if window.lo is not None and (lo := _fitting(window.lo, column.type)) is not None:
        above: Any = pc.greater_equal(column, lo)
        keep = pc.and_(keep, pc.fill_null(above, pa.scalar(False)))
    if window.hi is not None and (hi := _fitting(window.hi, column.type)) is not None:
        below: Any = pc.less_equal(column, hi) if window.closed else pc.less(column, hi)
        keep = pc.and_(keep, pc.fill_null(below, pa.scalar(False)))
    found: pa.Array[Any] = keep
    return found


def _fitting(mark: Mark, of: pa.DataType) -> pa.Scalar[Any] | None:
    """The bound in the column's type; None for one beyond all of its values, which bounds nothing."""
    try:
        bound: pa.Scalar[Any] = pa.scalar(mark, of)
    except (OverflowError, pa.ArrowInvalid):
        return None
    return bound
