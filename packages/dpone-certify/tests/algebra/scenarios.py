"""Random scenarios: a target, a source, what is asked for, a few loads and what happens between them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any, Literal, TypeVar

from hypothesis import strategies as st
from msgspec import Struct

from algebra.rows import (
    CUR,
    CURS,
    DAY,
    DAYS,
    DELETED_AT,
    FLAG,
    FLOAT,
    FLOATS,
    ID,
    LOAD_ID,
    MOMENT,
    MOMENTS,
    MONEY,
    MONEYS,
    NAMES,
    START,
    SUB,
    TEXT,
    TEXTS,
    VALID_FROM,
    VALID_TO,
    WALL,
    Kinds,
    Row,
    pools_of,
)
from algebra.source import FAULTY, ORDINARY, Edit, EditKind, key_of
from dpone.ops import Absent, Grain, Guard
from dpone.stage import Duplicates, OnTruncate
from dpone.where import Compare, Condition, Where

T = TypeVar("T")

KEYLESS = frozenset({"full_refresh", "incremental_append", "replace", "partition_replace", "backfill"})
SLICED = frozenset({"partition_replace", "backfill"})
DELETING = frozenset({"incremental_merge", "snapshot_diff", "xmin", "cdc"})
FILTERED = frozenset(
    {"replace", "snapshot_diff", "xmin", "incremental_merge", "scd2", "partition_replace", "backfill", "full_refresh"}
)


class Step(Struct, frozen=True):
    """One load, and what happened at the source before it."""

    edits: tuple[Edit, ...]
    days: int  # from the time of the load before; not always forward
    same_id: bool
    since: object
    upto: object
    bounds: tuple[object, object]
    leak: bool  # rows outside the filter or the bounds are staged all the same
    seed: int


class Scenario(Struct, frozen=True):
    """Everything that a sequence of loads of one strategy depends on."""

    strategy: str
    key: tuple[str, ...]
    source: tuple[Row, ...]
    target: tuple[Row, ...]
    unique: bool
    first: bool
    where: Where
    newer: str | None
    deletes: Literal["hard", "flag", "ignore"]
    guard: Guard
    slice_column: str
    grain: Grain
    compare: tuple[str, ...]
    absent: Absent
    duplicates: Duplicates
    order: tuple[str, ...]
    on_truncate: OnTruncate
    reconcile: bool
    tagged_changes: bool  # a reading with present keys says that it is one of changes
    names_deletes: bool
    steps: tuple[Step, ...]

    @property
    def logged(self) -> bool:
        """The source records its changes."""
        return self.strategy == "cdc" or self.names_deletes


_GRAINS: dict[str, tuple[Grain, ...]] = {
    DAY: (Grain.VALUE, Grain.DAY, Grain.MONTH, Grain.YEAR),
    MOMENT: tuple(Grain),
    WALL: tuple(Grain),
    CUR: (Grain.VALUE,),
    MONEY: (Grain.VALUE,),
    FLOAT: (Grain.VALUE,),
    TEXT: (Grain.VALUE,),
}
_LIMITS: dict[str, Sequence[object]] = {DAY: DAYS, MOMENT: MOMENTS, CUR: CURS, MONEY: MONEYS, FLOAT: FLOATS}

_CONDITIONS: tuple[Condition, ...] = (
    Condition(CUR, Compare.GE, 2),
    Condition(CUR, Compare.LT, 4),
    Condition(CUR, Compare.LE, 3),
    Condition(CUR, Compare.NE, 3),
    Condition(CUR, Compare.IN, (1, 2, None, 5)),
    Condition(CUR, Compare.NOT_IN, (0, None)),
    Condition(CUR, Compare.NOT_IN, ()),
    Condition(CUR, Compare.IS_NULL),
    Condition(CUR, Compare.NOT_NULL),
    Condition(DAY, Compare.GT, DAYS[1]),
    Condition(DAY, Compare.LE, DAYS[3]),
    Condition(MOMENT, Compare.LT, MOMENTS[4]),
    Condition(TEXT, Compare.EQ, "it's"),
    Condition(TEXT, Compare.NE, "a "),
    Condition(TEXT, Compare.IN, (*TEXTS[:3], "naïve ☂ 😀")),
    Condition(FLAG, Compare.EQ, True),
    Condition(FLOAT, Compare.NE, 1.5),
    Condition(FLOAT, Compare.GE, -2.25),
    Condition(FLOAT, Compare.GT, 0.0),
    Condition(FLOAT, Compare.LT, 1.5),
    Condition(FLOAT, Compare.LE, float("inf")),
    Condition(FLOAT, Compare.NOT_IN, (0.1, None)),
    Condition(MONEY, Compare.LT, MONEYS[1]),
    Condition(MONEY, Compare.EQ, MONEYS[1]),
    Condition(MONEY, Compare.GE, MONEYS[2]),
    Condition(ID, Compare.GE, 3),
)


class Dice:
    """Every random decision of a scenario is one pick out of a sequence, whoever makes it."""

    def __init__(self, pick: Callable[[Sequence[Any]], Any]) -> None:
        self.pick = pick

    def rarely(self, times: int) -> bool:
        return bool(self.pick(range(times + 1)) == times)

    def either(self) -> bool:
        return bool(self.pick((False, True)))

    def row(self, pools: Mapping[str, Sequence[object]]) -> Row:
        return {name: self.pick(pool) for name, pool in pools.items()}

    def rows(self, pools: Mapping[str, Sequence[object]], *sizes: int) -> list[Row]:
        return [self.row(pools) for _ in range(self.pick(sizes))]

    def some(self, options: Sequence[T], *sizes: int) -> tuple[T, ...]:
        """Distinct options, at most as many as one of the sizes says."""
        return tuple(dict.fromkeys(self.pick(options) for _ in range(self.pick(sizes))))


@st.composite
def drawn_scenarios(draw: st.DrawFn, strategy: str, *, nan: bool = False) -> Scenario:
    """Scenarios in which hypothesis makes every decision, and so shrinks a failing one to its core."""
    return scenario(strategy, Dice(lambda options: draw(st.sampled_from(options))), nan=nan)


def seeded_scenarios(strategy: str, *, nan: bool = False) -> st.SearchStrategy[Scenario]:
    """Scenarios of which hypothesis chooses the seed alone: these do not resemble each other, and cost a fifth."""
    return st.integers(0, 2**48).map(lambda seed: scenario(strategy, Dice(random.Random(seed).choice), nan=nan))


def scenario(strategy: str, dice: Dice, *, nan: bool = False) -> Scenario:
    pick = dice.pick
    key = pick([(ID,), (ID,), (ID, SUB)] + ([(), ()] if strategy in KEYLESS else []))
    names_deletes = strategy == "incremental_merge" and dice.either()
    logged = strategy == "cdc" or names_deletes
    unique = logged or not dice.rarely(3)
    ordered = [DAY, MOMENT, CUR, MONEY, FLOAT]
    slice_column = pick(ordered if strategy == "backfill" else [DAY, MOMENT, MOMENT, WALL, CUR, TEXT, FLOAT, MONEY])
    kinds = Kinds(null_keys=dice.rarely(9), null_slices=strategy not in SLICED or dice.rarely(7), nan=nan)
    pools = pools_of(kinds, key, slice_column)
    source = dice.rows(pools, 4, 5, 3, 6, 7, 0)
    if unique and key:
        source = list({key_of(row, key): row for row in source}.values())
    where: Where = ()
    if strategy in FILTERED and not logged and dice.either():
        where = dice.some(_CONDITIONS, 1, 2)
    lax = Guard(1.0, allow_empty=True)
    return Scenario(
        strategy=strategy,
        key=key,
        source=tuple(source),
        target=_target(dice, strategy, key, source, pools_of(Kinds(dice.rarely(6), True, nan), key, slice_column)),
        unique=unique,
        first=dice.either(),
        where=where,
        newer=pick([None, None, *ordered]),
        deletes=pick(["hard", "flag", "flag", "ignore"]),
        guard=Guard(pick([0.0, 0.3, 0.5, 0.75]), allow_empty=dice.either()) if dice.rarely(3) else lax,
        slice_column=slice_column,
        grain=pick(_GRAINS[slice_column]),
        compare=pick([(), (), (TEXT, CUR), (FLOAT,)]),
        absent=pick(list(Absent)),
        duplicates=pick(list(Duplicates)),
        order=pick([(CUR,), (CUR, DAY), (), (MONEY,), (FLOAT, CUR)]),
        on_truncate=OnTruncate.STOP if dice.rarely(9) else OnTruncate.APPLY,
        reconcile=dice.either(),
        tagged_changes=dice.either(),
        names_deletes=names_deletes,
        steps=tuple(
            _step(dice, pools, slice_column, is_faulty=logged and dice.rarely(6)) for _ in range(pick([2, 3, 4, 1]))
        ),
    )


def _step(dice: Dice, pools: Mapping[str, Sequence[object]], slice_column: str, *, is_faulty: bool) -> Step:
    pick = dice.pick
    kinds: list[EditKind] = [*ORDINARY, *ORDINARY, *ORDINARY, "truncate", *(FAULTY if is_faulty else ())]
    return Step(
        edits=tuple(
            Edit(pick(kinds), dice.row(pools), pick(range(6)), dice.some(NAMES, 1, 2, 3))
            for _ in range(pick([3, 4, 2, 5, 6, 0]))
        ),
        days=pick([1, 1, 1, 1, 1, 2, 0, -1]),
        same_id=dice.rarely(3),
        since=pick([None, None, None, 1, 2, 3]),
        upto=pick([None, None, None, 3, 4]),
        bounds=pick(_pairs(_LIMITS.get(slice_column, CURS))),
        leak=dice.rarely(9),
        seed=pick(range(100)),
    )


def _pairs(limits: Sequence[Any]) -> list[tuple[object, object]]:
    """Every range between two limits; one that is empty and one that is inverted among them."""
    ranges: list[tuple[Any, Any]] = list(combinations(sorted(limits), 2))
    return [*ranges, (limits[0], limits[0]), (limits[-1], limits[0])]


def _target(
    dice: Dice, strategy: str, key: tuple[str, ...], source: Sequence[Row], pools: Mapping[str, Sequence[object]]
) -> tuple[Row, ...]:
    """A target that mirrors the source, or one that something else filled."""
    rows = dice.rows(pools, 5, 3, 7, 0) if dice.rarely(2) else list(source)
    if strategy == "scd2":
        return tuple(_history(dice, rows, key))
    moments = [None, None, START - timedelta(days=9)] if strategy in DELETING else [None]
    return tuple(_landed(row, dice.pick(moments)) for row in rows)


def _history(dice: Dice, rows: Sequence[Row], key: tuple[str, ...]) -> list[Row]:
    """Versions of each key one after another, the last one mostly open; now and then a history that cannot be."""
    kind = dice.pick(["sound"] * 9 + ["two_open", "future", "unknown_start"])
    start = START - timedelta(days=20)
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(key_of(row, key), []).append(row)
    result = []
    for group in groups.values():
        for n, row in enumerate(group):
            is_last = n == len(group) - 1
            end = None if kind == "two_open" or (is_last and not dice.rarely(2)) else n + 1
            opened: datetime | None = start + timedelta(days=n)
            if n == 0 and kind == "unknown_start":
                opened = None
            if is_last and kind == "future":
                opened, end = START + timedelta(days=40), None
            result.append(
                _landed(row) | {VALID_FROM: opened, VALID_TO: None if end is None else start + timedelta(days=end)}
            )
    return result


def _landed(row: Row, deleted: datetime | None = None) -> Row:
    return {**row, LOAD_ID: "earlier", DELETED_AT: deleted, VALID_FROM: None, VALID_TO: None}
