"""The table that is copied: thirteen columns of the types that most tables are made of."""

from __future__ import annotations

from dpone.schema import (
    BOOL,
    DATE,
    FLOAT64,
    INT16,
    INT32,
    INT64,
    JSON,
    STRING,
    UUID,
    Field,
    Schema,
    decimal,
    string,
    timestamp,
    timestamptz,
)
from dpone.testing.testkit import SeedTable

KEY = "id"
CURSOR = "updated_at"

MIXED = Schema(
    (
        Field(KEY, INT64, nullable=False),
        Field("quantity", INT32, nullable=False),
        Field("priority", INT16),
        Field("note", STRING),
        Field("customer", string(40)),
        Field("amount", decimal(12, 2)),
        Field(CURSOR, timestamptz(6), nullable=False),
        Field("placed_at", timestamp(6)),
        Field("due_on", DATE),
        Field("details", JSON),
        Field("token", UUID),
        Field("is_paid", BOOL),
        Field("weight", FLOAT64),
    ),
    key=(KEY,),
)


def table_of(rows: int) -> SeedTable:
    return SeedTable(f"dpone_bench_{rows}", MIXED)


NARROW = Schema(
    (
        Field(KEY, INT64, nullable=False),
        Field("name", string(8)),
        Field("count", INT32),
        Field("price", decimal(8, 2)),
        Field("at", timestamptz(0)),
        Field("day", DATE),
        Field("paid", BOOL),
        Field("rank", INT16),
    ),
    key=(KEY,),
)
MESSAGE_BYTES = 120  # about what a row of NARROW is as JSON
