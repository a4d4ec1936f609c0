"""The small values of a manifest: names, durations, sizes, steps, types, literals; each with its JSON Schema."""

from __future__ import annotations

import re
from collections.abc import Hashable
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar

from msgspec import Struct
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StrictInt,
    StrictStr,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from dpone.errors import UsageError
from dpone.schema import parse_type


class Model(BaseModel):
    """A part of a manifest: unknown keys are refused, and it never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def refused(message: str, hint: str = "", *, at: str = "") -> PydanticCustomError:
    """A finding whose sentence is ours, braces and all; `at` is the key of the model that it is about."""
    return PydanticCustomError("refused", "{sentence}", {"sentence": message, "hint": hint, "at": at})


T = TypeVar("T", bound=Hashable)


def _distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    if twice := [v for v in dict.fromkeys(values) if values.count(v) > 1]:
        raise refused(f"{', '.join(map(str, twice))} is in the list twice")
    return values


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
NAME_PATTERN = r"^[^\u0000-\u001f\u007f]+$"


_LONGEST = 255


def is_name(text: str) -> bool:
    """Whether a column of this name can be named in a manifest."""
    return 0 < len(text) <= _LONGEST and not _CONTROL.search(text)


def _printable(text: str) -> str:
    if _CONTROL.search(text):
        raise refused("a name holds no control characters")
    return text


# Column names: anything that an engine allows, a newline and the like excepted.
Name = Annotated[
    StrictStr,
    Field(min_length=1, max_length=_LONGEST, json_schema_extra={"pattern": NAME_PATTERN}),
    AfterValidator(_printable),
]
Names = Annotated[
    tuple[Name, ...], Field(min_length=1, json_schema_extra={"uniqueItems": True}), AfterValidator(_distinct)
]

PIPELINE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"


def _pipeline_name(text: str) -> str:
    if not re.match(PIPELINE_PATTERN, text) or text.endswith("\n"):
        raise refused("letters, digits, `_`, `-` and `.`, at most 100 of them, a letter or digit first")
    return text


# The name of a pipeline becomes a key of state tables and part of file names.
PipelineName = Annotated[
    StrictStr, AfterValidator(_pipeline_name), Field(json_schema_extra={"pattern": PIPELINE_PATTERN})
]

# ------------------------------------------------------------------- durations

_UNITS = {
    "s": ("s", "sec", "second", "seconds"),
    "m": ("m", "min", "minute", "minutes"),
    "h": ("h", "hour", "hours"),
    "d": ("d", "day", "days"),
    "w": ("w", "week", "weeks"),
}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_UNIT_OF = {word: unit for unit, words in _UNITS.items() for word in words}
DURATION_PATTERN = rf"^[0-9]{{1,6}} ?({'|'.join(_UNIT_OF)})$"
_DURATION = re.compile(rf"([0-9]{{1,6}}) ?({'|'.join(_UNIT_OF)})")


def duration_of(value: object) -> timedelta:
    """The duration that a text like `5m` or `2 days` says."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise refused('expected a duration like "30s", "5m", "2 hours", "7 days"')
    return timedelta(seconds=int(found[1]) * _SECONDS[_UNIT_OF[found[2]]])


def print_duration(value: timedelta) -> str:
    """The shortest spelling that `duration_of` reads back, for whole seconds."""
    seconds = int(value.total_seconds())
    unit = next(u for u in ("w", "d", "h", "m", "s") if seconds % _SECONDS[u] == 0)
    return f"{seconds // _SECONDS[unit]}{unit}" if seconds else "0s"


def _positive(value: timedelta) -> timedelta:
    if not value:
        raise refused("expected a duration above zero")
    return value


Duration = Annotated[
    timedelta,
    PlainValidator(lambda v: v if isinstance(v, timedelta) else duration_of(v)),
    AfterValidator(_positive),
    PlainSerializer(print_duration),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN.replace("^", "^(?!0+ ?[a-z])")}),
]


def _lag(value: object) -> timedelta | int:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise refused("a lag is not negative")
        return value
    return duration_of(value)


# How far behind the greatest cursor reading begins: a time for time cursors, a number for numeric ones.
Lag = Annotated[
    timedelta | int,
    PlainValidator(_lag),
    PlainSerializer(lambda v: print_duration(v) if isinstance(v, timedelta) else v),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": DURATION_PATTERN}, {"type": "integer", "minimum": 0}]}),
]

# ----------------------------------------------------------------------- sizes

_BYTES = {"B": 1} | {
    f"{letter}{suffix}": base**power
    for power, letter in enumerate("KMGT", start=1)
    for suffix, base in (("B", 1000), ("iB", 1024))
}
SIZE_PATTERN = rf"^[1-9][0-9]{{0,8}} ?({'|'.join(_BYTES)})$"
_SIZE = re.compile(rf"([1-9][0-9]{{0,8}}) ?({'|'.join(_BYTES)})")


def size_of(value: object) -> int:
    """The bytes that a text like `512MiB` says."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise refused('expected a size like "512MiB" or "2 GB"')
    size: int = int(found[1]) * _BYTES[found[2]]
    return size


Size = Annotated[
    int,
    PlainValidator(size_of),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": SIZE_PATTERN}, {"type": "integer", "minimum": 1}]}),
]

# ----------------------------------------------------------------------- steps

StepUnit = Literal["value", "hour", "day", "week", "month", "year"]
_STEP_UNITS: tuple[StepUnit, ...] = ("hour", "day", "week", "month", "year")
STEP_PATTERN = rf"^([1-9][0-9]{{0,5}} )?({'|'.join(f'{u}s?' for u in _STEP_UNITS)})$"
_STEP = re.compile(rf"(?:([1-9][0-9]{{0,5}}) )?({'|'.join(_STEP_UNITS)})s?")


class Step(Struct, frozen=True):
    """How much of a range one chunk holds: `count` calendar units, or `count` of a numeric column."""

    count: int
    unit: StepUnit

    def __str__(self) -> str:
        if self.unit == "value":
            return str(self.count)
        return self.unit if self.count == 1 else f"{self.count} {self.unit}s"


def step_of(value: object) -> Step:
    """The step that `month`, `7 days` or `100000` says."""
    if isinstance(value, Step):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return Step(value, "value")
    found = _STEP.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise refused('expected a step like "month", "7 days" or 100000')
    unit = next(u for u in _STEP_UNITS if u == found[2])
    return Step(int(found[1] or 1), unit)


StepField = Annotated[
    Step,
    PlainValidator(step_of),
    PlainSerializer(lambda s: s.count if s.unit == "value" else str(s)),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": STEP_PATTERN}, {"type": "integer", "minimum": 1}]}),
]

# ----------------------------------------------------------------------- types

_FLAT = (
    r"(?:u?int(?:8|16|32|64|128|256)|float(?:16|32|64)|decimal(?:\( *[0-9]+ *(?:, *-?[0-9]+ *)?\))?"
    r"|(?:time|timestamp|timestamptz|string|binary)(?:\( *[0-9]+ *\))?|bool|date|uuid|json|interval|opaque)"
)
TYPE_PATTERN = rf"^ *(?:{_FLAT}|(?:list|map|struct) *<.+>) *$"


def _type_text(value: str) -> str:
    try:
        return str(parse_type(value))
    except UsageError as error:
        raise refused(error.message, error.hint or "") from None


# A type as text, in its canonical spelling.
TypeText = Annotated[
    StrictStr, Field(max_length=500, json_schema_extra={"pattern": TYPE_PATTERN}), AfterValidator(_type_text)
]

# -------------------------------------------------------------------- literals

Plain = str | int | float | bool


def _literal(value: object) -> Plain:
    if not isinstance(value, str | int | float | bool):
        raise refused("expected a single value: text, a number, true or false")
    return value


# A value as YAML has it; what it means for a column is known when the column's type is.
Scalar = Annotated[Any, PlainValidator(_literal), WithJsonSchema({"type": ["string", "number", "boolean"]})]

_INSTANT_PATTERN = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?$"
)


def moment_of(text: str) -> datetime | None:
    """The date or instant that an ISO text says, or None."""
    if not re.match(_INSTANT_PATTERN, text) or text.endswith("\n"):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _bound(value: object) -> str | int | float:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise refused("expected a number, a date or an instant")
    if isinstance(value, str) and moment_of(value) is None:
        raise refused('expected a number, a date like "2026-01-31", or an instant like "2026-01-31T12:00:00Z"')
    return value


# One end of a range: a number, a date or an instant.
Bound = Annotated[
    str | int | float,
    PlainValidator(_bound),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": _INSTANT_PATTERN}]}),
]

PositiveInt = Annotated[StrictInt, Field(ge=1, le=2**63 - 1)]
Count = Annotated[StrictInt, Field(ge=0, le=2**63 - 1)]
