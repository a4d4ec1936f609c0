"""Python values become Arrow's without a change, or are refused by the column's name."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

from dpone.arrow import record_batch
from dpone.errors import DataError
from dpone.schema import (
    BOOL,
    DATE,
    FLOAT32,
    FLOAT64,
    INT64,
    STRING,
    Field,
    Kind,
    Type,
    decimal,
    timestamp,
    timestamptz,
)
from dpone.schema import time as time_of

NOON = datetime(2024, 5, 6, 12)  # noqa: DTZ001 - a clock without zone


def list_of(of: Type) -> Type:
    return Type(Kind.LIST, items=(Field("item", of),))


PART = Type(Kind.STRUCT, items=(Field("a", INT64),))
MAP = Type(Kind.MAP, items=(Field("key", STRING, nullable=False), Field("value", INT64)))
UINT8 = Type(Kind.UINT, 8)


@pytest.mark.parametrize(
    "value, of",
    [
        (Decimal("1.5"), INT64),
        (1.5, INT64),
        (Decimal("NaN"), INT64),
        (float("inf"), INT64),
        (True, INT64),
        ("1", INT64),
        (256, UINT8),
        (-1, UINT8),
        (Decimal("0.5"), UINT8),
        (1, BOOL),
        (Decimal("1.234"), decimal(5, 2)),
        (Decimal("1234.5"), decimal(5, 2)),
        (1.5, decimal(5, 2)),
        (Decimal("1.5"), FLOAT64),
        (2**53 + 1, FLOAT64),
        (1e300, FLOAT32),
        (NOON, DATE),
        (datetime(2024, 5, 6, tzinfo=UTC), DATE),
        (5, DATE),
        (Decimal("1.5"), DATE),
        (5, timestamp(6)),
        (5, timestamptz(6)),
        (NOON.replace(tzinfo=UTC), timestamp(6)),
        (time(1, tzinfo=UTC), time_of(6)),
        (5, time_of(6)),
        (0, STRING),
        (Decimal("1.5"), STRING),
        ([Decimal("1.5")], list_of(INT64)),
        ([None, [1.5]], list_of(list_of(INT64))),
        ({"a": 1.5}, PART),
        ({"a": 1, "b": 2}, PART),
        ({"k": 1.5}, MAP),
        ([("k", Decimal("1.5"))], MAP),
    ],
)
def test_what_would_change_is_refused(value: Any, of: Type) -> None:
    for values in ([value], [None, value]):
        with pytest.raises(DataError) as refused:
            record_batch({"c": values}, [Field("c", of)])
        assert refused.value.code == "source.value_unfit"
        assert "column c" in refused.value.message


@pytest.mark.parametrize(
    "value, of, found",
    [
        (Decimal(7), INT64, 7),
        (Decimal("1E+2"), INT64, 100),
        (7.0, INT64, 7),
        (2**63 - 1, INT64, 2**63 - 1),
        (Decimal("1.230"), decimal(5, 2), Decimal("1.23")),
        (3, decimal(5, 2), Decimal("3.00")),
        (float("-inf"), FLOAT32, float("-inf")),
        (0.5, FLOAT32, 0.5),
        (1e300, FLOAT64, 1e300),
        (date(1, 1, 1), DATE, date(1, 1, 1)),
        (datetime(2024, 5, 6), DATE, date(2024, 5, 6)),  # noqa: DTZ001 - midnight, and no other time
        (NOON, timestamp(6), NOON),
        (NOON.replace(tzinfo=UTC), timestamptz(6), NOON.replace(tzinfo=UTC)),
        (time(1, 2, 3, 4), time_of(6), time(1, 2, 3, 4)),
        ([1, None, Decimal(2)], list_of(INT64), [1, None, 2]),
        ({"a": 2.0}, PART, {"a": 2}),
        ({}, PART, {"a": None}),
        ({"k": 1}, MAP, [("k", 1)]),
    ],
)
def test_what_keeps_its_value_is_taken(value: Any, of: Type, found: Any) -> None:
    batch = record_batch({"c": [value, None]}, [Field("c", of)])
    assert batch.column(0).to_pylist() == [found, None]
