"""The parameters by which an API is asked for a part of its records; what it gives is looked at again in any case."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from dpone.connector import ReadRequest
from dpone.schema import Kind, Schema
from dpone.where import Compare
from dpone_rest.faults import unseen_nulls
from dpone_rest.options import RestSource, SincePlace
from dpone_rest.windows import Course, Mark, Scale, scale_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def narrowing(
    request: ReadRequest, options: RestSource, schema: Schema, course: Course | None, hi: Mark | None
) -> Mapping[str, str]:
    """The parameters for what this request reads; those whose value is not known are left out."""
    place = options.since
    if place is None:
        return {}
    column = place.column or (course.scale.field.name if course is not None else None)
    if column is None or column not in schema:
        return {}
    scale = scale_of(schema[column])
    known: dict[str, Mark | None] = {"since": None, "until": None}
    if course is not None and course.scale.field.name == column:
        if course.scale.field.nullable and not course.cursor.skip_nulls:
            raise unseen_nulls(column)
        known = {"since": course.lo, "until": hi}
    for condition in request.where:
        if condition.column != column or condition.value is None:
            continue
        if condition.op is Compare.GE:
            found = _mark(scale, condition.value)
            known["since"] = found if known["since"] is None else max(known["since"], found)
        elif condition.op is Compare.LT:
            found = _mark(scale, condition.value)
            known["until"] = found if known["until"] is None else min(known["until"], found)
    return _filled(place, scale, known)


def _mark(scale: Scale, value: object) -> Mark:
    """A literal of the manifest on the scale of its column."""
    if isinstance(value, datetime):
        return scale.at(value if value.tzinfo is not None else value.replace(tzinfo=UTC), "UTC")
    if isinstance(value, date):
        return (value - date(1970, 1, 1)).days
    assert isinstance(value, int | Decimal)  # the plan has values of the column's own type
    return value


def _filled(place: SincePlace, scale: Scale, known: Mapping[str, Mark | None]) -> dict[str, str]:
    texts: dict[str, str] = {}
    since, until = known["since"], known["until"]
    if since is not None:
        texts["since"] = _written(scale, place, since, up=False)
    if until is not None:
        texts["until"] = _written(scale, place, until, up=True)
    filled: dict[str, str] = {}
    for name, template in place.params.items():
        if all("{" + slot + "}" not in template or slot in texts for slot in ("since", "until")):
            for slot, text in texts.items():
                template = template.replace("{" + slot + "}", text)  # noqa: PLW2901 - one slot after the other
            filled[name] = template
    return filled


def _written(scale: Scale, place: SincePlace, mark: Mark, *, up: bool) -> str:
    """The value as the API wants it; rounded so that more is asked for, and never less."""
    less = 1 if place.exclusive and not up else 0
    if not scale.is_clock or place.format == "plain":
        return scale.text(mark - (less if isinstance(mark, int) else _least(scale) * less))
    if place.format == "iso":
        return _iso(scale, mark - less)
    seconds, steps = scale.as_time(mark)
    parts, unit = (1000, scale.per_second // 1000) if place.format == "unix_ms" else (1, scale.per_second)
    whole, rest = divmod(steps, unit)
    return str(seconds * parts + whole + (1 if up and rest else 0) - (less if not rest else 0))


def _least(scale: Scale) -> Decimal:
    """The smallest difference between two decimals of the column."""
    return Decimal(1).scaleb(-(scale.field.type.scale or 0))


def _iso(scale: Scale, mark: Mark) -> str:
    seconds, steps = scale.as_time(mark)
    if scale.field.type.kind is Kind.DATE:
        return (_EPOCH + timedelta(seconds=seconds)).date().isoformat()
    text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    if len(text) < 19:  # noqa: PLR2004 - years before 1000, which strftime does not fill up
        text = text.rjust(19, "0")
    if steps:
        digits = len(str(scale.per_second)) - 1
        text += "." + str(steps).rjust(digits, "0")
    return text + ("Z" if scale.field.type.kind is Kind.TIMESTAMPTZ else "")
