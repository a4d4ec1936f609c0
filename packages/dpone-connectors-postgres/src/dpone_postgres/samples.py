"""The corpus of types: values at the edges of what PostgreSQL holds, and what Arrow must refuse of them.

Not in it: xml, which the embedded server is built without.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal

from dpone.testing.testkit import Native, Sample

UNFIT = "source.value_unfit"

# what the corpus needs beside the server's own types
PREPARATION = (
    "CREATE EXTENSION IF NOT EXISTS hstore SCHEMA public",
    "CREATE TYPE public.mood AS ENUM ('sad', 'it''s ok', 'größe')",
    "CREATE DOMAIN public.age AS integer CHECK (value >= 0)",
    "CREATE TYPE public.spot AS (x integer, label text, m public.mood)",
)


def _said(native: str, *texts: str) -> tuple[Native, ...]:
    """Literals that are read as the very text that the server prints for them."""
    return tuple(Native(f"'{text}'::{native}", text.replace("''", "'")) for text in texts)


_BIG = "9" * 131_072
SAMPLES: tuple[Sample, ...] = (
    Sample("boolean", (True, False)),
    Sample("smallint", (-(2**15), 2**15 - 1)),
    Sample("integer", (-(2**31), 2**31 - 1)),
    Sample("bigint", (-(2**63), 2**63 - 1)),
    Sample("oid", (0, 2**32 - 1)),
    Sample("real", (0.0, -1.5, 3.4e38, float("nan"), float("inf"), float("-inf"))),
    Sample("double precision", (5e-324, 1.7e308, 0.1, float("nan"), float("inf"), float("-inf"))),
    Sample("numeric(10,2)", (Decimal("-99999999.99"), Decimal("0.01"), Decimal(0))),
    Sample("numeric(38,9)", (Decimal("99999999999999999999999999999.999999999"),)),
    Sample("numeric(76,20)", (Decimal("9" * 56 + "." + "9" * 20),)),
    Sample("numeric(3,5)", (Decimal("0.00999"), Decimal("-0.00001"))),
    Sample("numeric(5,-2)", (Decimal(9999900), Decimal(-100))),
    Sample(
        "numeric",
        (
            *(Native(f"'{text}'::numeric", Decimal(text)) for text in ("NaN", "Infinity", "-Infinity")),
            Decimal("1.50"),
            Native(f"{_BIG}::numeric", Decimal(_BIG)),
            Native(f"'0.{'0' * 400}1'::numeric", Decimal(f"0.{'0' * 400}1")),
        ),
    ),
    Sample("numeric(6,2)", _said("numeric", "NaN"), refused=UNFIT),
    Sample("money", _said("money", "-$92,233,720,368,547,758.08", "$0.01")),
    Sample("text", ("", " ", "NULL", "\\N", "\\.", "a\tb\r\nc\\d\"e'f,g", "größe 表 😀", "x" * 70_000)),
    Sample("character varying(20)", ("", "x" * 20, "é" * 20)),
    Sample("character varying", ("", "any length")),
    Sample("character(5)", (Native("'ab'::character(5)", "ab   "), "12345")),
    Sample("bpchar", ("", "as it is")),
    Sample("name", ("a name",)),
    Sample('"char"', _said('"char"', "x", "\\377")),
    Sample("bytea", (b"", bytes(range(256)), b"\\x41\x00", b"\xff" * 5000)),
    Sample("uuid", ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-4fff-bfff-ffffffffffff")),
    Sample("json", _said("json", '{"b":1, "a" : 1.50,"b":2}', "null", "123456789012345678901234567890.5", '"\\u0000"')),
    Sample("jsonb", _said("jsonb", '{"a": [1, 2.50, "x"], "b": {}}', "null", "123456789012345678901234567890.5")),
    Sample("jsonpath", _said("jsonpath", '$."a"[*]?(@ > 3)')),
    Sample("date", (date(1, 1, 1), date(1970, 1, 1), date(9999, 12, 31))),
    Sample("date", _said("date", "infinity", "-infinity"), refused=UNFIT),
    Sample("time without time zone", (time(0, 0), time(23, 59, 59, 999_999))),
    Sample("time(3) without time zone", (time(1, 2, 3, 123_000),)),
    Sample("time without time zone", _said("time", "24:00:00"), refused=UNFIT),
    Sample("time with time zone", _said("timetz", "00:00:00+15:59", "23:59:59.999999-15:59", "24:00:00+00")),
    Sample("timestamp without time zone", (datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999))),  # noqa: DTZ001 - a wall clock
    Sample("timestamp(3) without time zone", (datetime(2024, 2, 29, 1, 2, 3, 4_000),)),  # noqa: DTZ001 - a wall clock
    Sample("timestamp without time zone", _said("timestamp", "infinity", "-infinity"), refused=UNFIT),
    Sample(
        "timestamp with time zone",
        (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    ),
    Sample("timestamp(0) with time zone", (datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),)),
    Sample("timestamp with time zone", _said("timestamptz", "infinity", "-infinity"), refused=UNFIT),
    Sample(
        "interval",
        _said(
            "interval",
            "-178000000 years",
            "1 year 2 mons -3 days +04:05:06.789",
            "00:00:00",
            "1 mon",
            "30 days",
            "178000000 years 10 mons 12 days 12:00:00.000001",
        ),
    ),
    Sample("interval day to second(3)", _said("interval", "3 days 04:05:06.123")),
    Sample("inet", _said("inet", "192.168.0.1", "10.1.2.3/8", "::1", "2001:db8::/32")),
    Sample("cidr", _said("cidr", "192.168.0.0/16", "::/0")),
    Sample("macaddr", _said("macaddr", "08:00:2b:01:02:03")),
    Sample("macaddr8", _said("macaddr8", "08:00:2b:01:02:03:04:05")),
    Sample("bit(8)", _said("bit(8)", "10101010")),
    Sample("bit varying(10)", _said("varbit", "", "101")),
    Sample("tsvector", _said("tsvector", "''a'':1A ''cat'':2,3B")),
    Sample("tsquery", _said("tsquery", "''fat'' & ( ''rat'' | !''cat'':*A )")),
    Sample("pg_lsn", _said("pg_lsn", "16/B374D848")),
    Sample("xid8", _said("xid8", "18446744073709551615")),
    Sample("pg_snapshot", _said("pg_snapshot", "10:20:10,14,15")),
    Sample("point", _said("point", "(1.5,-2e-300)", "(NaN,Infinity)")),
    Sample("line", _said("line", "{1,-1,0}")),
    Sample("lseg", _said("lseg", "[(0,0),(1,1)]")),
    Sample("box", _said("box", "(2,2),(0,0)")),
    Sample("path", _said("path", "((0,0),(1,1))", "[(0,0),(1,1)]")),
    Sample("polygon", _said("polygon", "((0,0),(1,0),(1,1))")),
    Sample("circle", _said("circle", "<(0,0),1.5>")),
    Sample("int4range", _said("int4range", "[1,10)", "empty", "(,)")),
    Sample("numrange", _said("numrange", "[1.10,2.20]", "(,5)")),
    Sample("tstzrange", _said("tstzrange", '["2024-01-01 00:00:00+00",infinity)')),
    Sample("daterange", _said("daterange", "[2024-01-01,2024-02-01)")),
    Sample("int4multirange", _said("int4multirange", "{[1,3),[5,8)}", "{}")),
    Sample("datemultirange", _said("datemultirange", "{[2024-01-01,2024-02-01)}")),
    Sample("integer[]", ([], [1, None, -1])),
    Sample("text[]", ([], ["", "NULL", None, 'a"b\\c', "{x,y}", " sp "])),
    Sample("boolean[]", ([True, None, False],)),
    Sample("bytea[]", ([b"", b"\x00\xff"],)),
    Sample("numeric(10,2)[]", ([Decimal("1.10"), None],)),
    Sample("uuid[]", (["ffffffff-ffff-4fff-bfff-ffffffffffff"],)),
    Sample("date[]", ([date(2024, 2, 29), None],)),
    Sample("timestamp with time zone[]", ([datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=UTC)],)),
    Sample("jsonb[]", (Native("""ARRAY['{"a": 1}', NULL]::jsonb[]""", ['{"a": 1}', None]),)),
    Sample("integer[]", _said("integer[]", "{{1,2},{3,4}}"), refused=UNFIT),
    Sample("integer[]", _said("integer[]", "[0:1]={1,2}"), refused=UNFIT),
    Sample("text[]", _said("text[]", "{{a,b},{c,d}}"), refused=UNFIT),
    Sample("box[]", _said("box[]", "{(1,1),(0,0);(3,3),(2,2)}")),
    Sample("regclass", _said("regclass", "pg_class")),
    Sample("public.mood", _said("public.mood", "sad", "it''s ok", "größe")),
    Sample("public.mood[]", _said("public.mood[]", "{sad,\"it''s ok\",NULL}")),
    Sample("public.age", (Native("7::public.age", 7), Native("2147483647::public.age", 2**31 - 1))),
    Sample("public.spot", (Native("ROW(1, 'a,\"b', 'sad')::public.spot", '(1,"a,""b",sad)'),)),
    Sample("public.hstore", (Native("""'a=>1, "b c"=>NULL'::public.hstore""", '"a"=>"1", "b c"=>NULL'),)),
)
