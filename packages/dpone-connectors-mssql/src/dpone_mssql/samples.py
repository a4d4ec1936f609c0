"""The corpus of types: values at the edges of what SQL Server holds, and what must be refused of them."""
# ruff: noqa: DTZ001 - columns without a zone hold moments without one

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

from dpone.testing.testkit import Native, Sample

UNFIT = "source.value_unfit"
_AHEAD = timezone(timedelta(hours=14))


def _moment(text: str, native: str, value: object) -> Native:
    return Native(f"CAST(N'{text}' AS {native})", value)


def _nanoseconds(*parts: int, ticks: int) -> int:
    """Since 1970; the last seven digits are `ticks` of 100 ns."""
    seconds = int(datetime(*parts, tzinfo=UTC).timestamp())  # type: ignore[arg-type, misc]  # parts of a date
    return seconds * 10**9 + ticks * 100


# a point as the server serialises it: the SRID, a version, what it is, and two numbers
_POINT = "E6100000010C0000000000000040000000000000F03F"
_FLAT = "00000000010C000000000000F03F0000000000000040"

SAMPLES: tuple[Sample, ...] = (
    Sample("bit", (True, False)),
    Sample("tinyint", (0, 255)),
    Sample("smallint", (-(2**15), 2**15 - 1)),
    Sample("int", (-(2**31), 2**31 - 1)),
    Sample("bigint", (-(2**63), 2**63 - 1)),
    Sample("decimal(38,10)", (Decimal("-" + "9" * 28 + "." + "9" * 10), Decimal("0.0000000001"))),
    Sample("decimal(38,0)", (Decimal("9" * 38), Decimal("-" + "9" * 38))),
    Sample("decimal(38,38)", (Decimal("0." + "9" * 38),)),
    Sample("numeric(5,2)", (Decimal("-999.99"), Decimal("0.01"))),
    Sample("money", (Decimal("922337203685477.5807"), Decimal("-922337203685477.5808"), Decimal("0.0001"))),
    Sample("smallmoney", (Decimal("214748.3647"), Decimal("-214748.3648"))),
    Sample("real", (0.0, -1.5, 3.4e38, 1.1754943508222875e-38)),
    Sample("float(24)", (0.1,)),
    Sample("float(53)", (2.2250738585072014e-308, 1.7976931348623157e308, 0.1, -0.0)),
    Sample("date", (date(1, 1, 1), date(9999, 12, 31), date(1582, 10, 10))),
    Sample("time(0)", (time(0, 0), time(23, 59, 59))),
    Sample("time(3)", (time(23, 59, 59, 999000),)),
    Sample(
        "time(7)",
        (_moment("23:59:59.9999999", "time(7)", 86399_999_999_900), _moment("00:00:00.0000001", "time(7)", 100)),
    ),
    Sample("smalldatetime", (datetime(1900, 1, 1), datetime(2079, 6, 6, 23, 59))),
    Sample(
        "datetime",
        (datetime(1753, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 997000), datetime(2020, 2, 29, 1, 2, 3, 3000)),
    ),
    Sample("datetime2(0)", (datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59))),
    Sample("datetime2(3)", (datetime(2020, 1, 1, 0, 0, 0, 123000),)),
    Sample("datetime2(6)", (datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999))),
    Sample(
        "datetime2(7)",
        (
            _moment("2020-01-01 00:00:00.1234567", "datetime2(7)", _nanoseconds(2020, 1, 1, ticks=1234567)),
            _moment("1678-01-01 00:00:00.0000001", "datetime2(7)", _nanoseconds(1678, 1, 1, ticks=1)),
        ),
    ),
    Sample("datetime2(7)", (_moment("9999-12-31 23:59:59.9999999", "datetime2(7)", None),), refused=UNFIT),
    Sample("datetimeoffset(0)", (datetime(2020, 1, 1, tzinfo=_AHEAD), datetime(1, 1, 1, tzinfo=UTC))),
    Sample("datetimeoffset(6)", (datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),)),
    Sample(
        "datetimeoffset(7)",
        (_moment("2020-01-01 05:30:00.1234567 +05:30", "datetimeoffset(7)", _nanoseconds(2020, 1, 1, ticks=1234567)),),
    ),
    Sample("char(10)", (Native("'ab'", "ab        "), "0123456789")),
    Sample("varchar(50)", ("", " trailing ", "café €")),
    Sample("varchar(50) collate Cyrillic_General_CI_AS", ("жук", "abc")),
    Sample("varchar(max)", ("x" * 9000, "")),
    Sample("nchar(10)", (Native("N'я'", "я         "),)),
    Sample("nvarchar(50)", ("", "größe 表 😀", "it's", "tail  ", "back\\slash")),
    Sample("nvarchar(50)", ("zero\0inside",)),
    Sample("nvarchar(max)", ("x" * 70_000, "", "line\nbreak\ttab")),
    Sample("sysname", ("a name",)),
    Sample("text", ("plain", "")),
    Sample("ntext", ("größe 表",)),
    Sample("binary(16)", (bytes(range(16)), Native("0x01", b"\x01" + bytes(15)))),
    Sample("varbinary(8000)", (b"", b"\0", b"a\0", bytes(range(256)))),
    Sample("varbinary(max)", (b"x" * 9000,)),
    Sample("image", (b"\x89PNG\0",)),
    Sample(
        "uniqueidentifier",
        (
            "00112233-4455-6677-8899-aabbccddeeff",
            Native(
                "CAST(0x00112233445566778899AABBCCDDEEFF AS uniqueidentifier)", "33221100-5544-7766-8899-aabbccddeeff"
            ),
        ),
    ),
    Sample("xml", (Native("N'<a b=\"1\">text</a>'", '<a b="1">text</a>'),)),
    Sample("json", ('{"a": [1, 2.5, null]}',)),
    Sample("hierarchyid", (Native("CAST(N'/1/2/' AS hierarchyid)", "/1/2/"),)),
    Sample(
        "sql_variant",
        (Native("CAST(N'größe' AS sql_variant)", "größe"), Native("CAST(CAST(12 AS int) AS sql_variant)", "12")),
    ),
    Sample("geography", (Native(f"CAST(0x{_POINT} AS geography)", bytes.fromhex(_POINT)),)),
    Sample("geometry", (Native(f"CAST(0x{_FLAT} AS geometry)", bytes.fromhex(_FLAT)),)),
)
