"""The types of core with the edges of what they hold: the corpus of a store in memory, and of every sink."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal

from dpone.testing.testkit import Sample

_NANOSECONDS = 1_700_000_000_123_456_789

SAMPLES: tuple[Sample, ...] = (
    Sample("bool", (True, False)),
    Sample("int8", (-128, 127, 0)),
    Sample("int16", (-(2**15), 2**15 - 1)),
    Sample("int32", (-(2**31), 2**31 - 1)),
    Sample("int64", (-(2**63), 2**63 - 1)),
    Sample("int128", (-(2**127), 2**127 - 1)),
    Sample("int256", (-(2**255), 2**255 - 1)),
    Sample("uint8", (0, 255)),
    Sample("uint64", (0, 2**64 - 1)),
    Sample("uint256", (0, 2**256 - 1)),
    Sample("float32", (0.0, -1.5, float("nan"), float("inf"), float("-inf"))),
    Sample("float64", (0.0, 1e308, 5e-324, 0.1, float("nan"), float("inf"), float("-inf"))),
    Sample("decimal(18,4)", (Decimal("0.0001"), Decimal("-99999999999999.9999"))),
    Sample("decimal(38,9)", (Decimal("99999999999999999999999999999.999999999"),)),
    Sample("decimal(76,20)", (Decimal("9" * 56 + "." + "9" * 20),)),
    Sample("decimal", (Decimal("NaN"), Decimal("Infinity"), Decimal("1e-400"), Decimal("9" * 200))),
    Sample("string", ("", " ", "\u0000", "a\tb\nc\\N", "größe 表 😀", "x" * 70_000)),
    Sample("string(20)", ("", "x" * 20)),
    Sample("binary", (b"", b"\x00\xff\\x", bytes(range(256)))),
    Sample("date", (date(1, 1, 1), date(1970, 1, 1), date(9999, 12, 31))),
    Sample("time(6)", (time(0, 0), time(23, 59, 59, 999_999))),
    Sample("time(9)", (0, 86_399_999_999_999)),
    Sample("timestamp(6)", (datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999))),  # noqa: DTZ001 - a wall clock
    Sample("timestamp(9)", (0, _NANOSECONDS, -_NANOSECONDS)),
    Sample("timestamptz(6)", (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))),
    Sample("timestamptz(9)", (0, _NANOSECONDS)),
    Sample("interval", ("P1Y2M3DT4H5M6.000007S",)),
    Sample("uuid", ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-4fff-bfff-ffffffffffff")),
    Sample("json", ("null", '{"a":[1,2.5,"x"],"b":{}}', "123456789012345678901234567890.5")),
    Sample("opaque", ("(1,2]", "")),
    Sample("list<int64>", ([], [1, None, -1])),
    Sample("map<string,int64>", ({}, {"a": 1, "b": None})),
    Sample("struct<a:int64,b:string>", ({"a": 1, "b": None}, {"a": None, "b": ""})),
)
