"""The shop: its orders, and what becomes of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from dpone.schema import INT64, STRING, Field, Schema, decimal, timestamptz
from dpone.strategies import Read
from dpone.testing.testkit import Delete, Insert, Mutation, SeedTable, Update

ORDERS = 25_000
RECORDS = 2_000  # of the shop's API
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SCHEMA = Schema(
    (
        Field("id", INT64, nullable=False),
        Field("customer", STRING, nullable=False),
        Field("amount", decimal(12, 2), nullable=False),
        Field("note", STRING),
        Field("updated_at", timestamptz(6), nullable=False),
    ),
    ("id",),
)


def order(number: int, at: datetime, note: str | None = None) -> dict[str, Any]:
    cents = Decimal(number * 37 % 100_000) / 100
    return {"id": number, "customer": f"customer {number % 997}", "amount": cents, "note": note, "updated_at": at}


def orders() -> SeedTable:
    rows = tuple(order(n, NOON + timedelta(seconds=n % 3600)) for n in range(1, ORDERS + 1))
    return SeedTable("orders", SCHEMA, rows, frozenset(Read))


def changes() -> list[Mutation]:
    """Two hundred orders change, fifty are deleted, fifty are new, and ten of these carry a time in the past."""
    later = NOON + timedelta(hours=2)
    found: list[Mutation] = [Update({"id": n}, {"note": "it's paid", "updated_at": later}) for n in range(1, 201)]
    found += [Delete({"id": n}) for n in range(301, 351)]
    found += [Insert(order(ORDERS + n, later)) for n in range(1, 41)]
    found += [Insert(order(ORDERS + n, NOON + timedelta(minutes=30), "late")) for n in range(41, 51)]
    return found


def more_changes() -> list[Mutation]:
    """A hundred orders are sent."""
    return [Update({"id": n}, {"note": "sent", "updated_at": NOON + timedelta(hours=3)}) for n in range(401, 501)]
