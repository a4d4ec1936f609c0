"""What pyodbc's values become: its converters, held to the structures of Microsoft's own header."""

from __future__ import annotations

import ctypes
from datetime import datetime, timedelta, timezone

import pyarrow as pa
import pytest

from dpone.schema import Field, Kind, Type
from dpone_mssql.arrow_read import conformed
from dpone_mssql.drivers import _moment, _time


class Time2(ctypes.Structure):
    """SQL_SS_TIME2_STRUCT."""

    _fields_ = (
        ("hour", ctypes.c_uint16),
        ("minute", ctypes.c_uint16),
        ("second", ctypes.c_uint16),
        ("fraction", ctypes.c_uint32),
    )


class Offset(ctypes.Structure):
    """SQL_SS_TIMESTAMPOFFSET_STRUCT."""

    _fields_ = (
        ("year", ctypes.c_int16),
        ("month", ctypes.c_uint16),
        ("day", ctypes.c_uint16),
        ("hour", ctypes.c_uint16),
        ("minute", ctypes.c_uint16),
        ("second", ctypes.c_uint16),
        ("fraction", ctypes.c_uint32),
        ("hours", ctypes.c_int16),
        ("minutes", ctypes.c_int16),
    )


@pytest.mark.parametrize("fraction", [0, 999_999_900, 100])
def test_a_time_keeps_its_seventh_digit(fraction: int) -> None:
    assert _time(bytes(Time2(23, 59, 59, fraction))) == 86_399 * 10**9 + fraction


def test_a_moment_keeps_its_offset() -> None:
    zone = timezone(-timedelta(hours=3, minutes=30))
    found = _moment(bytes(Offset(2024, 1, 2, 3, 4, 5, 123_456_000, -3, -30)))
    assert found == datetime(2024, 1, 2, 3, 4, 5, 123_456, zone)
    assert found.utcoffset() == zone.utcoffset(None)


@pytest.mark.parametrize("digits", [0, 3, 6, 9])
def test_a_time_that_came_as_nanoseconds_is_one(digits: int) -> None:
    field = Field("t", Type(Kind.TIME, digits))
    batch = pa.RecordBatch.from_arrays([pa.array([86_399 * 10**9, None])], names=["c0"])
    (found,) = conformed(iter([batch]), [field], "arrow")  # type: ignore[arg-type]  # a Format is a name
    assert [str(v) for v in found.column(0).to_pylist()][1] == "None"
    assert found.column(0).cast(pa.time64("ns")).cast(pa.int64()).to_pylist() == [86_399 * 10**9, None]
