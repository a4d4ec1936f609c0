"""Arrow on its way into bulk copy: every value fits its column, or is refused by the column's name."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from dpone.errors import DataError
from dpone.schema import Field, decimal, parse_type, timestamp
from dpone_mssql.arrow_write import fitted


def test_fractions_that_the_column_cuts_are_refused() -> None:
    given = pa.array([datetime(2020, 1, 1, microsecond=123456)], pa.timestamp("us"))  # noqa: DTZ001 - a column without zone
    with pytest.raises(DataError, match="at"):
        fitted(given, Field("at", timestamp(6)), "datetime2(3)")
    assert fitted(given, Field("at", timestamp(6)), "datetime2(6)") == given


def test_the_seventh_digit_is_kept_and_an_eighth_refused() -> None:
    seven, eight = (pa.array([n], pa.int64()).cast(pa.timestamp("ns")) for n in (1_577_836_800_123_456_700, 1))
    assert fitted(seven, Field("at", timestamp(7)), "datetime2(7)") == seven
    with pytest.raises(DataError):
        fitted(eight, Field("at", timestamp(9)), "datetime2(7)")


def test_a_number_that_the_column_cannot_hold_is_refused() -> None:
    with pytest.raises(DataError):
        fitted(pa.array([256]), Field("n", parse_type("int64")), "tinyint")
    with pytest.raises(DataError):
        fitted(pa.array([Decimal("1.25")]), Field("n", decimal(3, 2)), "decimal(3,1)")


def test_memory_that_bulk_copy_could_not_read_is_copied() -> None:
    whole = pa.allocate_buffer(33)
    odd = pa.Array.from_buffers(pa.decimal128(10, 2), 2, [None, whole.slice(1, 32)])
    made = fitted(odd, Field("n", decimal(10, 2)), "decimal(10,2)")
    assert all(buffer is None or buffer.address % 16 == 0 for buffer in made.buffers())
