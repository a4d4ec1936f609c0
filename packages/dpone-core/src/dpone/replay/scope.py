"""What is to be landed again: the whole table, partitions, a range, or keys; and the filters that stand for it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

from msgspec import Struct

from dpone.errors import UsageError
from dpone.literals import cut, literal_of
from dpone.manifest.problems import did_you_mean
from dpone.ops import Grain
from dpone.plan import Plan, plain
from dpone.schema import Kind, Type
from dpone.where import Compare, Condition, Where

KEYS_AT_ONCE = 1000  # in one load; a statement of many more values is slow to plan everywhere


class Whole(Struct, frozen=True):
    """Every row that the manifest loads."""


class Partition(Struct, frozen=True):
    """The slices of a column that hold these values; the grain is the manifest's own where it has one, else `value`."""

    column: str
    values: tuple[object, ...]
    grain: Grain | None = None


class Range(Struct, frozen=True):
    """Rows with lo <= column < hi."""

    column: str
    lo: object
    hi: object


class Keys(Struct, frozen=True):
    """Rows with these keys, each as long as the key of the strategy."""

    keys: tuple[tuple[object, ...], ...]


Scope = Whole | Partition | Range | Keys


def describe(scope: Scope) -> str:
    """The scope as a person says it."""
    match scope:
        case Whole():
            return "the whole table"
        case Partition(column=column, values=values, grain=grain):
            unit = "" if grain is None or grain is Grain.VALUE else f" by {grain.value}"
            return f"{column}{unit} = {', '.join(map(_spelled, values))}"
        case Range(column=column, lo=lo, hi=hi):
            return f"{_spelled(lo)} <= {column} < {_spelled(hi)}"
        case Keys(keys=keys):
            return f"{len(keys)} key{'' if len(keys) == 1 else 's'}"


def options_of(scope: Scope) -> tuple[str, ...]:
    """The options of `dpone resync` that name this scope."""
    match scope:
        case Whole():
            return ("--all",)
        case Partition(column=column, values=values, grain=grain):
            named = [word for value in values for word in ("--partition", f"{column}={_spelled(value)}")]
            return (*named, *(() if grain is None else ("--grain", grain.value)))
        case Range(column=column, lo=lo, hi=hi):
            return ("--range", column, _spelled(lo), _spelled(hi))
        case Keys(keys=keys):
            return tuple(word for key in keys for word in ("--key", spell_key(key)))


def spell_key(key: tuple[object, ...]) -> str:
    """The spelling that `read_key` reads back, in one line."""
    text = _spelled(key[0])
    if len(key) == 1 and text == text.strip() and text and not text.startswith("[") and text.isprintable():
        return text
    return json.dumps(plain(key), ensure_ascii=False)


def _spelled(value: object) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(plain(value))


def parts(plan: Plan, scope: Scope) -> tuple[Where, ...]:
    """The filters of the loads that together land the scope again; no two of them share a row."""
    match scope:
        case Whole():
            return tuple(_whole(plan))
        case Partition():
            return tuple(_partition(plan, scope))
        case Range(column=column, lo=lo, hi=hi):
            of = _type(plan, column)
            low, high = _value(lo, of, column), _value(hi, of, column)
            return ((Condition(column, Compare.GE, low), Condition(column, Compare.LT, high)),)
        case Keys(keys=keys):
            return tuple(_keys(plan, keys))


def _whole(plan: Plan) -> Iterator[Where]:
    """One load, or a backfill's own chunks."""
    column = plan.load.slice_column
    bounds = plan.chunks or ((plan.load.bounds,) if plan.load.bounds is not None else ())
    if column is None or not bounds:
        yield ()
        return
    for lo, hi in bounds:
        yield (Condition(column, Compare.GE, lo), Condition(column, Compare.LT, hi))


def _partition(plan: Plan, scope: Partition) -> Iterator[Where]:
    column, of = scope.column, _type(plan, scope.column)
    grain = scope.grain or (plan.load.grain if column == plan.load.slice_column else Grain.VALUE)
    if not scope.values:
        raise no_scope("no partition was named")
    if grain is not Grain.VALUE:
        starts = sorted({_start(v, of, column, grain) for v in scope.values})
        for start in starts:
            ((lo, hi),) = cut((start, _following(start, grain)), 1, grain.value)
            yield (Condition(column, Compare.GE, lo), Condition(column, Compare.LT, hi))
        return
    values = tuple(dict.fromkeys(_value(v, of, column) for v in scope.values if v is not None))
    if None in scope.values:
        yield (Condition(column, Compare.IS_NULL),)
    for some in _batched(values):
        yield (_one_of(column, some),)


def _start(value: object, of: Type, column: str, grain: Grain) -> Any:
    """Where the slice begins that holds the value; `2026-01` and `2026` are values of months and years."""
    if of.kind not in {Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ}:
        raise UsageError(
            f"{column} is {of}, which has no {grain.value}s",
            code="replay.wrong_scope",
            hint="name its values themselves, without a grain",
        )
    if isinstance(value, str):
        value += {len("2026"): "-01-01", len("2026-01"): "-01"}.get(len(value), "")
        if len(value) == len("2026-01-01") and of.kind is not Kind.DATE:
            value += "T00:00:00" + ("Z" if of.kind is Kind.TIMESTAMPTZ else "")
    at = _value(value, of, column)
    assert isinstance(at, date)  # by its kind
    if isinstance(at, datetime):
        at = at.replace(minute=0, second=0, microsecond=0)
        at = at if grain is Grain.HOUR else at.replace(hour=0)
    match grain:
        case Grain.MONTH:
            return at.replace(day=1)
        case Grain.YEAR:
            return at.replace(month=1, day=1)
        case _:
            return at


def _following(start: Any, grain: Grain) -> object:
    match grain:
        case Grain.HOUR:
            return start + timedelta(hours=1)
        case Grain.DAY:
            return start + timedelta(days=1)
        case Grain.MONTH:
            return (start.replace(day=28) + timedelta(days=4)).replace(day=1)
        case _:
            return start.replace(year=start.year + 1)


def _keys(plan: Plan, keys: Sequence[tuple[object, ...]]) -> Iterator[Where]:
    """Loads of up to a thousand keys; of a key of several columns, those that share all but the last."""
    columns = plan.load.key
    if not columns:
        raise UsageError(
            f"{plan.strategy} of {plan.pipeline} has no key",
            code="replay.no_key",
            hint="say `key:` in the manifest, or name a partition or a range",
        )
    if not keys:
        raise no_scope("no key was named")
    types = [_type(plan, c) for c in columns]
    found = [_key(key, columns, types) for key in keys]
    *leading, last = columns
    for head, group in groupby(sorted(dict.fromkeys(found), key=_sortable), key=lambda key: key[:-1]):
        fixed = tuple(Condition(c, Compare.EQ, v) for c, v in zip(leading, head, strict=True))
        for some in _batched([key[-1] for key in group]):
            yield (*fixed, _one_of(last, some))


def _key(key: Sequence[object], columns: Sequence[str], types: Sequence[Type]) -> tuple[object, ...]:
    if len(key) != len(columns):
        raise UsageError(
            f"a key has {len(columns)} values ({', '.join(columns)}), and {len(key)} were given",
            code="replay.wrong_key",
            hint='write a key of several columns as a list: [17, "eu"]',
        )
    return tuple(_value(v, of, c) for v, of, c in zip(key, types, columns, strict=True))


def _sortable(key: tuple[object, ...]) -> tuple[str, ...]:
    return tuple(f"{type(v).__name__}:{v}" for v in key)


def _batched(values: Sequence[object]) -> Iterator[tuple[object, ...]]:
    for start in range(0, len(values), KEYS_AT_ONCE):
        yield tuple(values[start : start + KEYS_AT_ONCE])


def _one_of(column: str, values: tuple[object, ...]) -> Condition:
    if len(values) == 1:
        return Condition(column, Compare.EQ, values[0])
    return Condition(column, Compare.IN, tuple(values))


def _type(plan: Plan, column: str) -> Type:
    types: Mapping[str, Type] = {c.field.name: c.field.type for c in plan.columns}
    if column not in types:
        raise UsageError(
            f"{plan.pipeline} loads no column {column}{did_you_mean(column, tuple(types))}",
            code="replay.unknown_column",
            hint=f"its columns, by their names in the target: {', '.join(types)}",
        )
    return types[column]


_WRITTEN_AS_JSON = frozenset({Kind.BOOL, Kind.INT, Kind.UINT, Kind.FLOAT})


def _value(value: object, of: Type, column: str) -> object:
    """The value in the type of its column: as a person wrote it, or as a program has it."""
    if isinstance(value, str) and of.kind in _WRITTEN_AS_JSON:
        with suppress(ValueError):  # refused below, by its column
            value = json.loads(value)
    if value is None or isinstance(value, bool | int | float | str):
        return literal_of(value, of, column)
    return str(value) if of.kind is Kind.UUID else value


def no_scope(what: str) -> UsageError:
    return UsageError(
        what,
        code="replay.no_scope",
        hint="say one of --all, --partition COLUMN=VALUE, --range COLUMN FROM TO, --key KEY",
    )


def read_keys(lines: Iterable[str]) -> tuple[tuple[object, ...], ...]:
    """Keys as people write them, one a line: a value, or a JSON list of the values of a key of several columns."""
    return tuple(read_key(line.strip()) for line in lines if line.strip())


def read_key(text: str) -> tuple[object, ...]:
    """`17` is a key of one column, `[17, "eu"]` one of two."""
    if text.startswith("["):
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if isinstance(found, list) and found:
            return tuple(found)
    return (text,)
