"""Reading since a cursor: what every source asks of it before it reads, and the refusals that all of them share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from time import monotonic, sleep

from dpone.connector import Cursor, Late, Position, ReadRequest
from dpone.errors import DataError, PlanError, RemoteError, UsageError
from dpone.schema import Field, Kind, Schema, Type
from dpone.strategies import Read

NUMBERS = frozenset({Kind.INT, Kind.UINT, Kind.DECIMAL})
CLOCKS = frozenset({Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
TIMES = CLOCKS | {Kind.DATE}
_NOTHING = "1 = 0"
_WAIT = timedelta(seconds=60)
_PAUSE = 0.05


def cursor_of(request: ReadRequest, schema: Schema) -> tuple[Cursor, Field]:
    """The request's cursor and its column, to which the lag fits and the stored position belongs."""
    cursor = request.cursor
    if cursor is None or cursor.column not in schema:
        raise cursor_missing(schema.names)
    field = schema[cursor.column]
    refuse_lag(cursor.lag, field.name, field.type)
    stored = cursor.column if request.since is None else request.since.token.get("column", cursor.column)
    if stored != cursor.column:
        raise PlanError(
            f"the stored position is of the cursor {stored}, the manifest now says {cursor.column}",
            code="source.cursor_changed",
            hint="run `dpone state reset` and let the next run read everything",
        )
    return cursor, field


def stored_value(request: ReadRequest) -> str | None:
    """How far the last reading came, as text that the source itself printed."""
    value: str | None = None if request.since is None else request.since.token.get("value")
    return value


def position_at(column: str, native: str, value: str | None) -> Position:
    """The position that `stored_value` reads; `native` is the type in which the value is read back."""
    return Position(Read.SINCE, {"column": column, "type": native, "value": value})


def window(
    cursor: Cursor,
    column: str,
    stored: str | None,
    hi: str | None,
    *,
    literal: Callable[[str], str],
    less: Callable[[str, timedelta | int], str],
    is_less: Callable[[str, str], bool],
    greatest: Callable[[], str | None],
) -> tuple[list[str], str | None]:
    """The conditions of a reading in SQL, and the value that it comes to.

    [stored, hi) where there is a bound, which a cursor that holds back must have; else [stored less the lag, greatest].
    How values are spelled, counted back, compared and found is the engine's to say.
    """
    if hi is None and cursor.late is Late.HOLD_BACK:
        return [_NOTHING], stored
    if hi is not None and stored is not None and not is_less(stored, hi):
        return [_NOTHING], stored  # the clock less the lag has not passed the last window yet
    above = []
    if stored is not None:
        counted_back = cursor.lag and cursor.late is Late.OVERLAP
        above = [f"{column} >= {less(stored, cursor.lag) if counted_back else literal(stored)}"]
    if hi is not None:
        return [*above, f"{column} < {literal(hi)}"], hi
    found = greatest()
    if found is None:
        return [_NOTHING], stored
    upper = stored if stored is not None and is_less(found, stored) else found
    return [*above, f"{column} <= {literal(found)}"], upper


def refuse_lag(lag: timedelta | int, column: str, of: Type) -> None:
    """Raises when the cursor's values cannot be counted back by the lag."""
    if not lag or (of.kind in TIMES if isinstance(lag, timedelta) else of.kind in NUMBERS):
        return
    raise PlanError(
        f"the lag {lag} does not fit the cursor {column}, which is {of}",
        code="plan.wrong_lag",
        hint="dates and timestamps take a duration like 5m, whole numbers and decimals take a number, others take none",
    )


def cursor_missing(names: Sequence[str]) -> UsageError:
    return UsageError(
        "incremental reading needs a cursor column that the source has",
        code="plan.cursor_missing",
        hint=f"set `cursor: {{column: ...}}` to one that grows with every change, of {', '.join(names)}",
    )


def cursor_unsupported(source: str) -> UsageError:
    return UsageError(
        f"{source} goes by positions of its own, and takes no cursor",
        code="plan.cursor_unsupported",
        hint="leave `cursor` out",
    )


def unordered(column: str, of: Type) -> PlanError:
    return PlanError(
        f"the cursor {column} is {of}, by which rows cannot be ordered",
        code="source.unordered_cursor",
        hint="choose a whole number, a decimal, a date or a time",
    )


def not_held_back(column: str) -> PlanError:
    return PlanError(
        f"rows cannot be held back by {column}, which is neither a timestamp nor a number",
        code="source.unordered_cursor",
        hint="choose such a cursor, or give the load a key, so that rows may be read twice",
    )


def without_zone(column: str) -> PlanError:
    return PlanError(
        f"the cursor {column} has no time zone, so the clock cannot be compared with it",
        code="source.cursor_without_zone",
        hint="say in which zone it is written: `source: {timezone: UTC}`, or give the load a key",
    )


def null_cursor(column: str, rows: int | None = None) -> DataError:
    """`rows` where the source has counted them."""
    found = "rows" if rows is None else f"{rows} rows"
    return DataError(
        f"{found} hold NULL in the cursor {column}, and would never be read",
        code="source.null_cursor",
        hint="fill the column, choose another cursor, or declare `cursor: {nulls: ignore}`",
    )


def endless_cursor(column: str, value: str) -> DataError:
    return DataError(
        f"the greatest value of the cursor {column} is {value}, after which nothing would ever be read",
        code="source.endless_cursor",
        hint="leave such rows out by `where`, or choose another cursor",
    )


def wait_for_writers(writing: Callable[[], Iterable[object]], timeout: timedelta | None) -> None:
    """Those who are writing now have ended; who began later is not waited for."""
    waiting = set(writing())
    until = monotonic() + (timeout or _WAIT).total_seconds()
    while waiting:
        if monotonic() > until:
            raise RemoteError(
                f"{len(waiting)} writers that may add rows with earlier cursors are still at work",
                code="source.running_writers",
                hint="run again when they are done, or give the load a key, so that rows may be read twice",
                retryable=True,
            )
        sleep(_PAUSE)
        waiting &= set(writing())
