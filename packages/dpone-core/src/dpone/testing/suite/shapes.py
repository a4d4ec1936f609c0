"""The schemas and rows that tests of operations use: every kind of value on which engines are known to differ."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import isfinite
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from dpone.ops import Flag, Guard, Hard, Ignore
from dpone.schema import DATE, FLOAT64, INT64, STRING, Field, Schema, decimal, timestamptz
from dpone.stage import Change, ChangeKind
from dpone.testing.suite.jobs import next_instant
from dpone.testing.testkit import HoldsFiniteFloats
from dpone.where import Compare, Condition, Row, Where

FREE = Guard(max_removed_share=1.0, allow_empty=True)
NORTH: Where = (Condition("region", Compare.EQ, "north"),)
POLICIES: list[Any] = [  # made anew for each load, since a flag holds the load's time
    pytest.param(Hard, id="hard"),
    pytest.param(lambda: Flag("deleted_at", next_instant()), id="flag"),
    pytest.param(Ignore, id="ignore"),
]

MIXED = Schema(
    (
        Field("id", INT64, nullable=False),
        Field("region", STRING),
        Field("amount", decimal(18, 4)),
        Field("score", FLOAT64),
        Field("day", DATE),
        Field("seen_at", timestamptz(6)),
    ),
    key=("id",),
)

COMPOSITE = Schema(
    (
        Field("country", STRING, nullable=False),
        Field("number", INT64, nullable=False),
        Field("note", STRING),
    ),
    key=("country", "number"),
)

DAY_ZERO = date(2024, 2, 27)
NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)


def row(number: int, **values: object) -> dict[str, object]:
    """A row of MIXED; columns that are not given are made of the number."""
    made = {
        "id": number,
        "region": "north",
        "amount": Decimal(number) / 8,
        "score": number / 4,
        "day": DAY_ZERO + timedelta(days=number % 5),
        "seen_at": NOON + timedelta(hours=number, microseconds=number),
    }
    return {**made, **values}


def rows(*numbers: int, **values: object) -> list[dict[str, object]]:
    return [row(n, **values) for n in numbers]


def random_rows(random: Random, least: int = 0, most: int = 12) -> list[Row]:
    """Rows of distinct keys out of few, so that loads meet one another."""
    numbers = random.sample(range(16), random.randint(least, most))
    return [random_row(random, n) for n in numbers]


def random_row(random: Random, number: int) -> Row:
    return row(
        number,
        region=random.choice(["north", "south", "", "größe", None]),
        amount=random.choice([Decimal("0.0000"), Decimal("-1.5000"), Decimal("12345678901234.5678"), None]),
        score=random.choice([0.0, 0.5, float("nan"), float("inf"), -1e300, None]),
        day=random.choice([DAY_ZERO + timedelta(days=random.randint(0, 40)), None]),
        seen_at=random.choice([NOON + timedelta(minutes=random.randint(0, 300), microseconds=1), None]),
    )


def holdable(kit: object, entries: Sequence[Any]) -> list[Any]:
    """The entries with finite floats, where the engine holds no others."""
    if not (isinstance(kit, HoldsFiniteFloats) and kit.finite_floats):
        return list(entries)
    return [replace(e, row=_finite(e.row)) if isinstance(e, Change) else _finite(e) for e in entries]


def nan_of(kit: object) -> float:
    """NaN, for a test that is about it; skipped where the engine has none and must refuse it."""
    if isinstance(kit, HoldsFiniteFloats) and kit.finite_floats:
        pytest.skip("the engine holds finite floats alone; that it refuses others by name is a test of its own")
    return float("nan")


def _finite(of: Row) -> Row:
    return {n: 0.25 if isinstance(v, float) and not isfinite(v) else v for n, v in of.items()}


def random_changes(random: Random, known: Sequence[object], most: int = 14) -> list[Change]:
    """A window of changes: upserts, partial ones of known keys, deletes and now and then a TRUNCATE."""
    changes: list[Change] = []
    held = set(known)
    for seq in range(1, random.randint(0, most) + 1):
        number = random.randrange(16)
        kind = random.choices(["whole", "partial", "gone", "truncated"], [55, 20, 22, 3])[0]
        match kind:
            case "partial" if number in held:
                changes.append(Change(random_row(random, number), seq=seq, kept=frozenset({"region", "score"})))
            case "gone":
                changes.append(gone(number, seq))
                held.discard(number)
            case "truncated":
                changes.append(truncated(seq))
                held.clear()
            case _:
                changes.append(Change(random_row(random, number), seq=seq))
                held.add(number)
    return changes


def gone(number: int, seq: int) -> Change:
    return Change({**dict.fromkeys(MIXED.names), "id": number}, ChangeKind.DELETE, seq)


def changed(number: int, seq: int, *, kept: Sequence[str] = (), **values: object) -> Change:
    return Change(row(number, **values), seq=seq, kept=frozenset(kept))


def truncated(seq: int) -> Change:
    return Change(dict.fromkeys(MIXED.names), ChangeKind.TRUNCATE, seq)


def there(number: int) -> Change:
    """The key of a row that the source still has."""
    return Change({**dict.fromkeys(MIXED.names), "id": number}, ChangeKind.PRESENT)
