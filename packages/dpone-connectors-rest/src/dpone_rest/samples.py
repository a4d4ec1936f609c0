"""The corpus of types: values at the edges of what a record can hold, and what must be refused of them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from dpone.testing.memory.samples import SAMPLES as CORE
from dpone.testing.testkit import Native, Sample

UNFIT = "source.value_unfit"


def _refused(native: str, *texts: str) -> tuple[Sample, ...]:
    """Each of these texts of JSON does not fit the type."""
    return tuple(Sample(native, (Native(text, None),), refused=UNFIT) for text in texts)


SAMPLES: tuple[Sample, ...] = (
    *(sample for sample in CORE if sample.native != "json"),  # whose null is no NULL; in a record it is one
    Sample("json", ('{"a":[1,2.5,"x",null],"b":{}}', "123456789012345678901234567890.5", '"text"', "[]", "true")),
    Sample("boolean", (True, False)),
    Sample("integer", (-(2**63), 2**63 - 1, 0, Native("1.0", 1), Native("1e3", 1000), Native('"-12"', -12))),
    Sample("number", (0.0, -1.5, 0.1, 5e-324, 1.7976931348623157e308, Native('"NaN"', float("nan")), Native("7", 7.0))),
    Sample("string", ("", "größe 表 😀", '"\\\n\t', Native('"\\ud83d\\ude00"', "😀"))),
    Sample(
        "array",
        (
            Native("[]", "[]"),
            Native('[1,{"a":2.50},"x",null]', '[1,{"a":2.50},"x",null]'),
            Native("[[1],[2]]", "[[1],[2]]"),
        ),
    ),
    Sample(
        "object", (Native("{}", "{}"), Native('{"b":1,"a":1e400}', '{"b":1,"a":1e400}'), Native('"text"', '"text"'))
    ),
    Sample(
        "decimal(18,4)",
        (Native("1", Decimal(1)), Native("1.2500", Decimal("1.25")), Native('"-0.0001"', Decimal("-0.0001"))),
    ),
    Sample(
        "timestamptz(3)",
        (Native('"2026-03-01T12:00:00.123+02:00"', datetime(2026, 3, 1, 10, 0, 0, 123_000, tzinfo=UTC)),),
    ),
    *_refused("integer", "1.5", "9223372036854775808", "true", '"x"', "[1]"),
    *_refused("number", "0.12345678901234567890", "1e999", "true", '"1.5"'),
    *_refused("boolean", "1", '"true"'),
    *_refused("string", "1", "true", "{}", '"\\ud800"'),
    *_refused("string(20)", '"' + "x" * 21 + '"'),
    *_refused("decimal(18,4)", "1.23456", "1e15", '"NaN"', "true"),
    *_refused("date", '"2026-02-30"', '"2026-01-01T00:00:00"', "20260101"),
    *_refused("time(6)", '"24:00:00"', '"12:00:00.1234567"'),
    *_refused("timestamp(6)", '"2026-01-01T12:00:00Z"', '"2026-01-01T12:00:00.1234567"'),
    *_refused("timestamptz(6)", '"2026-01-01T12:00:00"', '"soon"', "1767225600"),
    *_refused("timestamptz(3)", '"2026-01-01T12:00:00.1234Z"'),
    *_refused("timestamptz(9)", '"1600-01-01T00:00:00Z"'),
    *_refused("uuid", '"not one"'),
    *_refused("binary", '"?"'),
    *_refused("list<string>", "[1]", '"a"'),
    *_refused("struct<a:int64,b:string>", '{"a":"x"}', "[]"),
)
