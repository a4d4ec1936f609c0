"""Promises about the staged rows, asked as probes before the target is touched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from msgspec import Struct

from dpone.errors import DataError
from dpone.probes import Duplicates, Greatest, Measure, Measurement, Nulls, Outside, Probe, Rows, Total


class RowCount(Struct, frozen=True):
    """The number of rows lies within [least, most]."""

    least: int | None = None
    most: int | None = None


class NotNull(Struct, frozen=True):
    columns: tuple[str, ...]


class Unique(Struct, frozen=True):
    columns: tuple[str, ...]


class AcceptedValues(Struct, frozen=True):
    column: str
    values: tuple[object, ...]


class Freshness(Struct, frozen=True):
    """The newest value of an instant column is at most this old."""

    column: str
    max_age: timedelta


class Checksum(Struct, frozen=True):
    """The exact sums of these columns in the stage are those that the source gives for what was read."""

    columns: tuple[str, ...]


Check = RowCount | NotNull | Unique | AcceptedValues | Freshness | Checksum


def probe_of(check: Check) -> Probe:
    """What a stage must be asked."""
    measures: tuple[Measure, ...]
    match check:
        case RowCount():
            measures = (Rows(),)
        case NotNull(columns=columns):
            measures = tuple(Nulls(c) for c in columns)
        case Unique(columns=columns):
            measures = (Duplicates(columns),)
        case AcceptedValues(column=column, values=values):
            measures = (Outside(column, values),)
        case Freshness(column=column):
            measures = (Greatest(column),)
        case Checksum(columns=columns):
            measures = (Rows(), *(Total(c) for c in columns))
    return measures


def name_of(check: Check) -> str:
    match check:
        case RowCount():
            return "row_count"
        case NotNull(columns=columns):
            return f"not_null({', '.join(columns)})"
        case Unique(columns=columns):
            return f"unique({', '.join(columns)})"
        case AcceptedValues(column=column):
            return f"accepted_values({column})"
        case Freshness(column=column):
            return f"freshness({column})"
        case Checksum(columns=columns):
            return f"checksum({', '.join(columns)})"


def run_checks(
    checks: Sequence[Check],
    measure: Callable[[Probe], Measurement],
    at_source: Callable[[Probe], Measurement],
    now: datetime,
) -> list[tuple[str, str]]:
    """Name and finding of each check; the first one that fails is an error."""
    if not checks:
        return []
    asked = tuple(dict.fromkeys(m for check in checks for m in probe_of(check)))
    found = measure(asked)
    passed: list[tuple[str, str]] = []
    for check in checks:
        says, ok = _judge(check, found, at_source, now)
        if not ok:
            raise DataError(
                f"check {name_of(check)} failed: {says}",
                code=f"check.{name_of(check).partition('(')[0]}",
                hint="nothing was published; correct the source or the check",
                check=name_of(check),
            )
        passed.append((name_of(check), says))
    return passed


def _judge(
    check: Check, found: Measurement, at_source: Callable[[Probe], Measurement], now: datetime
) -> tuple[str, bool]:
    match check:
        case RowCount(least=least, most=most):
            rows = _count(found, Rows())
            bounds = f"{'any' if least is None else least}..{'any' if most is None else most}"
            ok = (least is None or rows >= least) and (most is None or rows <= most)
            return f"{rows} rows, expected {bounds}", ok
        case NotNull(columns=columns):
            nulls = {c: _count(found, Nulls(c)) for c in columns}
            return ", ".join(f"{c}: {n} NULL" for c, n in nulls.items()), not any(nulls.values())
        case Unique(columns=columns):
            rows = _count(found, Duplicates(columns))
            return f"{rows} duplicates", rows == 0
        case AcceptedValues(column=column, values=values):
            rows = _count(found, Outside(column, values))
            return f"{rows} rows hold another value", rows == 0
        case Freshness(column=column, max_age=max_age):
            return _judge_age(found[Greatest(column)], max_age, now)
        case Checksum():
            return _judge_sums(probe_of(check), found, at_source)


def _judge_age(newest: object, max_age: timedelta, now: datetime) -> tuple[str, bool]:
    if not isinstance(newest, datetime):
        return "no row has a value", False
    aware = newest if newest.tzinfo else newest.replace(tzinfo=UTC)
    return f"the newest value is {aware.isoformat()}, allowed age {max_age}", now - aware <= max_age


def _judge_sums(probe: Probe, found: Measurement, at_source: Callable[[Probe], Measurement]) -> tuple[str, bool]:
    source = at_source(probe)
    differ = [m for m in probe if _number(found[m]) != _number(source[m])]
    if not differ:
        return "the sums agree", True
    names = ", ".join(m.column if isinstance(m, Total) else "rows" for m in differ)
    return f"stage and source differ in {names}", False


def _count(found: Measurement, measure: Measure) -> int:
    value = found[measure]
    assert isinstance(value, int)
    return value


def _number(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))
