"""Values of a manifest in the type of the column that they meet, and ranges cut into chunks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from math import isnan
from typing import Any

from dpone.errors import UsageError
from dpone.schema import Kind, Type


def literal_of(value: object, of: Type, where: str) -> object:
    """The Python value that `value` means for a column of this type; `where` names the place in the manifest."""
    try:
        found = _READERS.get(of.kind, _text)(value)
    except (ValueError, TypeError, InvalidOperation):
        found = None
    if found is None:
        raise UsageError(
            f"{where}: {value!r} is not a value of {of}",
            code="manifest.invalid_value",
            hint=_EXAMPLES.get(of.kind, "compare with a value of the column's own type"),
        )
    return found


def _bool(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _int(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _float(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or isnan(value):
        return None
    return float(value)


def _decimal(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    number = Decimal(str(value))
    return None if number.is_nan() else number  # nothing is compared with it


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _bytes(value: object) -> bytes | None:
    return bytes.fromhex(value) if isinstance(value, str) else None


def _date(value: object) -> date | None:
    return date.fromisoformat(value) if isinstance(value, str) else None


def _time(value: object) -> time | None:
    return time.fromisoformat(value) if isinstance(value, str) else None


def _wall_clock(value: object) -> datetime | None:
    at = datetime.fromisoformat(value) if isinstance(value, str) else None
    return at if at is not None and at.tzinfo is None else None


def _instant(value: object) -> datetime | None:
    at = datetime.fromisoformat(value) if isinstance(value, str) else None
    return at.astimezone(UTC) if at is not None and at.tzinfo is not None else None


_READERS: dict[Kind, Callable[[object], object]] = {
    Kind.BOOL: _bool,
    Kind.INT: _int,
    Kind.UINT: _int,
    Kind.FLOAT: _float,
    Kind.DECIMAL: _decimal,
    Kind.BINARY: _bytes,
    Kind.DATE: _date,
    Kind.TIME: _time,
    Kind.TIMESTAMP: _wall_clock,
    Kind.TIMESTAMPTZ: _instant,
}
_EXAMPLES = {
    Kind.BOOL: "write true or false",
    Kind.INT: "write a whole number",
    Kind.UINT: "write a whole number",
    Kind.FLOAT: "write a number",
    Kind.DECIMAL: 'write a number, in quotes where digits matter: "12.50"',
    Kind.BINARY: "write hexadecimal digits in quotes",
    Kind.DATE: "write a date: 2026-01-31",
    Kind.TIME: "write a time: 13:45:00",
    Kind.TIMESTAMP: "write a time without zone: 2026-01-31T13:45:00",
    Kind.TIMESTAMPTZ: "write a time with its zone: 2026-01-31T13:45:00Z",
}

Range = tuple[object, object]
_HOURS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}
_MAX_CHUNKS = 10_000


def cut(bounds: Range, count: int, unit: str) -> tuple[Range, ...]:
    """The range [lo, hi) as consecutive ranges of `count` units; the last one may be shorter."""
    lo, hi = bounds
    chunks: list[Range] = []
    at: Any = lo
    while at < hi:
        following: Any = _after(lo, (len(chunks) + 1) * count, unit)  # from `lo`: a month's 31st stays one
        chunks.append((at, min(following, hi)))
        at = following
        if len(chunks) > _MAX_CHUNKS:
            raise UsageError(
                f"the range would be cut into more than {_MAX_CHUNKS} chunks",
                code="manifest.too_many_chunks",
                hint="choose a larger `chunk`",
            )
    return tuple(chunks)


def _after(start: object, steps: int, unit: str) -> object:
    if unit in _HOURS and isinstance(start, date):
        return start + _HOURS[unit] * steps
    if unit in {"month", "year"} and isinstance(start, date):
        months = start.year * 12 + start.month - 1 + steps * (12 if unit == "year" else 1)
        year, month = divmod(months, 12)
        day = min(start.day, _days_in(year, month + 1))
        return start.replace(year=year, month=month + 1, day=day)
    assert isinstance(start, int | float | Decimal)  # the manifest's model matches `chunk` with its range
    return start + steps


def _days_in(year: int, month: int) -> int:
    following = date(year + month // 12, month % 12 + 1, 1)
    return (following - timedelta(days=1)).day
