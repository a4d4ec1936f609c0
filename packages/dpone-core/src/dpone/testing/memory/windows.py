"""Which rows a reading of a table gives, and how far it comes: fixed when it opens, as plain JSON for its splits."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from msgspec import Struct

from dpone.connector import Cursor, Json, Late, Position, ReadRequest
from dpone.cursors import TIMES, cursor_of, null_cursor
from dpone.errors import StateError
from dpone.names import print_name
from dpone.readings import other_system
from dpone.schema import Kind, Type
from dpone.stage import Change, ChangeKind
from dpone.strategies import Read
from dpone.testing.memory.cell import Cell, Table
from dpone.testing.memory.encoding import decode, encode
from dpone.where import matches

_MICROSECONDS = 6


class Window(Struct, frozen=True):
    """`lo` is where rows begin; `hi` where they end, itself left out, or None for the end of the snapshot."""

    upto: Position | None
    lo: object = None
    hi: object = None

    def payload(self) -> Json:
        return {"lo": encode(self.lo), "hi": encode(self.hi)}


def window_of(request: ReadRequest, table: Table, cell: Cell, system: str) -> Window:
    """The window of this request over a snapshot."""
    since = request.since
    match request.read:
        case Read.SCAN:
            return Window(None)
        case Read.SINCE:
            return _since(request, table)
        case Read.XMIN:
            upto = Position(Read.XMIN, {"system": system, "xmin": cell.xid})
            return Window(upto, None if since is None else _own(since, system)["xmin"])
        case Read.CHANGES:
            upto = Position(Read.CHANGES, {"system": system, "lsn": cell.lsn})
            return Window(upto, None if since is None else _unbroken(_own(since, system)["lsn"], request, cell))


def _own(since: Position, system: str) -> Json:
    """The token, when it is one of this store."""
    if since.token["system"] != system:
        raise other_system("another store")
    return since.token


def _unbroken(lsn: int, request: ReadRequest, cell: Cell) -> int:
    confirmed = cell.slots.get(request.pipeline)
    if confirmed is None or confirmed > lsn:
        raise StateError(
            f"the change log of {print_name(cell.name)} is no longer kept for this pipeline from its position on",
            code="source.slot_lost",
            hint="`dpone resync` lands the table anew; nothing is read again silently",
        )
    return lsn


# ------------------------------------------------------------------------ cursors


def _since(request: ReadRequest, table: Table) -> Window:
    cursor, field = cursor_of(request, table.schema)
    of = field.type
    read = [row for row in table.content if matches(row, request.where)]
    values: list[Any] = [row[cursor.column] for row in read if row[cursor.column] is not None]
    if len(values) < len(read) and not cursor.skip_nulls:
        raise null_cursor(cursor.column, len(read) - len(values))
    stored: Any = None if request.since is None else decode(request.since.token["cursor"])
    if cursor.late is Late.HOLD_BACK:
        hi = _clock(values, of, cursor)
        reached = hi if stored is None or (hi is not None and hi > stored) else stored
        return Window(_reached(reached, cursor), stored, reached)
    reached = max([*values, *([] if stored is None else [stored])], default=None)
    return Window(_reached(reached, cursor), None if stored is None else stored - _lag(cursor, of))


def _reached(value: object, cursor: Cursor) -> Position | None:
    if value is None:
        return None
    return Position(Read.SINCE, {"column": cursor.column, "cursor": encode(value)})


def _lag(cursor: Cursor, of: Type) -> Any:
    if isinstance(cursor.lag, timedelta):
        nanoseconds = (of.size or 0) > _MICROSECONDS
        return cursor.lag // timedelta(microseconds=1) * 1_000 if nanoseconds else cursor.lag
    return timedelta(seconds=cursor.lag) if of.kind in TIMES else cursor.lag


def _clock(values: list[Any], of: Type, cursor: Cursor) -> Any:
    """What no later row may lie below: the clock less the lag; for numbers, which have no clock, the next one less
    the lag.
    """
    now = datetime.now(UTC)
    match of.kind:
        case Kind.TIMESTAMP | Kind.TIMESTAMPTZ if (of.size or 0) > _MICROSECONDS:
            return int(now.timestamp() * 1_000_000) * 1_000 - _lag(cursor, of)
        case Kind.TIMESTAMPTZ:
            return now - _lag(cursor, of)
        case Kind.TIMESTAMP:
            return now.replace(tzinfo=None) - _lag(cursor, of)
        case Kind.DATE:
            return date.fromordinal((now - _lag(cursor, of)).toordinal())
        case _:
            return max(values) + 1 - _lag(cursor, of) if values else None


# --------------------------------------------------------------------------- rows


def entries(request: ReadRequest, table: Table, lo: object, hi: object) -> list[Change]:
    """What the window gives, as changes in the source's own columns."""
    rows = [(xid, row) for xid, row in table.rows if matches(row, request.where)]
    match request.read:
        case Read.CHANGES if lo is not None:
            return list(_logged(request, table, lo))
        case Read.SINCE:
            assert request.cursor is not None  # refused when it opened
            column = request.cursor.column
            return [Change(row) for _, row in rows if _inside(row[column], lo, hi)]
        case Read.XMIN if lo is not None:
            found = [Change(row) for xid, row in rows if xid >= lo]  # type: ignore[operator] # two numbers
        case _:
            found = [Change(row) for _, row in rows]
    return [*found, *(Change(row, ChangeKind.PRESENT) for _, row in rows)] if request.present else found


def _inside(value: Any, lo: Any, hi: Any) -> bool:
    return value is not None and (lo is None or lo <= value) and (hi is None or value < hi)


def _logged(request: ReadRequest, table: Table, lo: Any) -> Iterable[Change]:
    for change in table.log:
        if change.seq <= lo:
            continue
        if change.kind is ChangeKind.UPSERT and not matches(change.row, request.where):
            yield Change(change.row, ChangeKind.DELETE, change.seq)  # it may have matched before
        else:
            yield change


def values_of(change: Change, request: ReadRequest) -> tuple[Any, ...]:
    """The requested values of a change; a key alone where only the key is known or asked."""
    whole = change.kind is ChangeKind.UPSERT

    def value(source: str) -> object:
        if change.kind is ChangeKind.TRUNCATE or source in change.kept:
            return None
        return change.row[source] if whole or source in request.key else None

    return tuple(value(c.source) for c in request.columns)


def marks_of(change: Change, request: ReadRequest) -> tuple[int, str, str | None]:
    """The change fields behind the values."""
    kept = "".join("1" if c.source in change.kept else "0" for c in request.columns) if change.kept else None
    return change.seq, change.kind.value, kept


def hold(payload: Json) -> tuple[object, object]:
    """The bounds that a split's payload names."""
    return decode(payload["lo"]), decode(payload["hi"])
