"""The corpus of types: values at the edges of what ClickHouse holds, and what dpone must read of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal

from dpone.testing.testkit import Native, Sample


def _said(native: str, *texts: str) -> tuple[Native, ...]:
    """Literals that are read as the very text that the server prints for them."""
    return tuple(Native(f"CAST('{text}', '{native}')", text) for text in texts)


def _edges(bits: int) -> tuple[int, ...]:
    return (-(2 ** (bits - 1)), -1, 0, 2 ** (bits - 1) - 1)


_FLOATS = (0.0, -1.5, float("nan"), float("inf"), float("-inf"))
_TEXTS = ("", " ", "NULL", "\\N", "\\.", "a\tb\r\nc\\d\"e'f,g\0h\bi\x0bj", "größe 表 😀", "x" * 70_000)
_LAST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
_NOON = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)

SAMPLES: tuple[Sample, ...] = (
    Sample("Bool", (True, False)),
    *(Sample(f"Int{bits}", _edges(bits)) for bits in (8, 16, 32, 64, 128, 256)),
    *(Sample(f"UInt{bits}", (0, 1, 2**bits - 1)) for bits in (8, 16, 32, 64, 128, 256)),
    Sample("Float32", (*_FLOATS, 3.4e38)),
    Sample("Float64", (*_FLOATS, 5e-324, 1.7e308, 0.1)),
    Sample("BFloat16", (0.0, -1.5, 0.25)),
    Sample("Decimal(9, 2)", (Decimal("-9999999.99"), Decimal("0.01"), Decimal(0))),
    Sample("Decimal(18, 18)", (Decimal("0.999999999999999999"),)),
    Sample("Decimal(38, 9)", (Decimal("99999999999999999999999999999.999999999"),)),
    Sample("Decimal(76, 38)", (Decimal("-" + "9" * 38 + "." + "9" * 38),)),
    Sample("String", _TEXTS),
    Sample("LowCardinality(String)", ("", "a", "größe")),
    Sample("LowCardinality(Nullable(String))", ("", "a", None)),
    Sample("FixedString(3)", (Native("toFixedString('ab', 3)", b"ab\0"), Native("unhex('ff00ff')", b"\xff\0\xff"))),
    Sample("Enum8('it\\'s' = -128, 'größe' = 127)", ("it's", "größe")),
    Sample("Enum16('a' = -32768, '' = 1)", ("a", "")),
    Sample("UUID", ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-4fff-bfff-fffffffffffe")),
    Sample("IPv4", _said("IPv4", "0.0.0.1", "255.255.255.255")),
    Sample("IPv6", _said("IPv6", "::", "2001:db8::ff", "::ffff:1.2.3.4")),
    Sample("Date", (date(1970, 1, 1), date(2149, 6, 6))),
    Sample("Date32", (date(1900, 1, 1), date(2299, 12, 31), date(1, 1, 1), date(9999, 12, 31))),
    Sample("DateTime", (datetime(1970, 1, 1, tzinfo=UTC), datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC))),
    # the hour that a summer time repeats: an instant, whatever the clock there showed
    Sample(
        "DateTime('Europe/Berlin')",
        (datetime(2024, 10, 27, 0, 30, tzinfo=UTC), datetime(2024, 10, 27, 1, 30, tzinfo=UTC)),
    ),
    Sample("DateTime64(0, 'UTC')", (_NOON,)),
    Sample("DateTime64(3, 'Asia/Kolkata')", (_NOON.replace(microsecond=123_000),)),
    Sample("DateTime64(6, 'UTC')", (datetime(1900, 1, 1, tzinfo=UTC), _NOON.replace(microsecond=1), _LAST)),
    Sample(
        "DateTime64(9, 'UTC')",
        (
            Native("toDateTime64('2262-04-11 23:47:16.854775807', 9, 'UTC')", 2**63 - 1),
            Native("toDateTime64('1969-12-31 23:59:59.999999999', 9, 'UTC')", -1),
        ),
    ),
    Sample("Time", (time(0, 0), time(23, 59, 59))),
    Sample("Time64(6)", (time(0, 0, 0, 1), time(23, 59, 59, 999_999))),
    Sample("Time64(6)", (Native("CAST('-00:00:01', 'Time64(6)')", None),), refused="source.value_unfit"),
    Sample("IntervalDay", (Native("toIntervalDay(-3)", "-3"), Native("toIntervalDay(400)", "400")), nullable=False),
    Sample("JSON", ('{"a":1,"b":{"c":"x"}}', "{}"), nullable=False),
    Sample("Dynamic", _said("Dynamic", "text"), nullable=False),
    Sample("Variant(Int8, String)", (Native("CAST(toInt8(1), 'Variant(Int8, String)')", "1"), None)),
    Sample("Array(Nullable(Int8))", ([], [1, None, -128]), nullable=False),
    Sample("Array(Array(String))", ([], [[], ["a", "it's"]]), nullable=False),
    Sample("Array(Decimal(9, 2))", ([Decimal("1.50")],), nullable=False),
    Sample("Array(DateTime64(6, 'UTC'))", ([_NOON],), nullable=False),
    Sample("Array(UUID)", (["ffffffff-ffff-4fff-bfff-fffffffffffe"],), nullable=False),
    Sample("Map(String, UInt64)", ({}, {"a": 2**64 - 1, "größe": 0}), nullable=False),
    Sample("Tuple(a Int8, `b c` Nullable(String))", ({"a": 1, "b c": None}, {"a": -1, "b c": "x"}), nullable=False),
    Sample("Tuple(Int8, String)", ({"1": 1, "2": "x"},), nullable=False),
    Sample("Nested(a Int8, b String)", ([{"a": 1, "b": "x"}], []), nullable=False),
    Sample("Point", (Native("(1.5, -2)", {"1": 1.5, "2": -2.0}),), nullable=False),
    Sample("SimpleAggregateFunction(sum, UInt64)", (0, 2**64 - 1), nullable=False),
)
