"""Rows of the plain schema that every source can hold, with the values on which readers differ."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from dpone.where import Row

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

ROWS: list[Row] = [
    {"id": 1, "name": "a", "amount": Decimal("1.2500"), "updated_at": NOON},
    {"id": 2, "name": None, "amount": None, "updated_at": NOON + timedelta(microseconds=1)},
    {"id": 3, "name": "", "amount": Decimal("0.0000"), "updated_at": None},
    {
        "id": 4,
        "name": "größe 表 😀",
        "amount": Decimal("-99999999999999.9999"),
        "updated_at": NOON - timedelta(days=9_000),
    },
    {"id": -(2**63), "name": 'it\'s "quoted"; --', "amount": Decimal("0.0001"), "updated_at": NOON},
    {"id": 2**63 - 1, "name": "line\nbreak\ttab\\", "amount": Decimal("99999999999999.9999"), "updated_at": NOON},
]


def many(count: int) -> list[Row]:
    return [
        {"id": n, "name": f"name {n}" if n % 7 else None, "amount": Decimal(n) / 16, "updated_at": NOON + timedelta(n)}
        for n in range(count)
    ]
