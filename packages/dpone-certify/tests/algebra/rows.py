"""The columns and values of random tables: few keys, so that they meet, hostile names, every awkward value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

from msgspec import Struct

from dpone.schema import BOOL, DATE, FLOAT64, INT64, STRING, Field, decimal, timestamp, timestamptz

Row = dict[str, object]

ID, SUB, DAY, MOMENT, WALL, CUR, TEXT, FLOAT, MONEY, FLAG = (
    "id",
    'sub "key"',
    "day",
    "mo ment",
    "select",
    "cur",
    "naïve ☂",
    "f",
    "d;--",
    "b'",
)
COLUMNS = (
    Field(ID, INT64),
    Field(SUB, STRING),
    Field(DAY, DATE),
    Field(MOMENT, timestamptz(6)),
    Field(WALL, timestamp(6)),
    Field(CUR, INT64),
    Field(TEXT, STRING),
    Field(FLOAT, FLOAT64),
    Field(MONEY, decimal(30, 4)),
    Field(FLAG, BOOL),
)
NAMES = tuple(f.name for f in COLUMNS)

LOAD_ID, DELETED_AT, VALID_FROM, VALID_TO = "_load", "deleted at", "valid_from", 'valid"to'
INSTANT = timestamptz(6)
SYSTEM = (
    Field(LOAD_ID, STRING),
    Field(DELETED_AT, INSTANT),
    Field(VALID_FROM, INSTANT),
    Field(VALID_TO, INSTANT),
)
ALL_NAMES = (*NAMES, *(f.name for f in SYSTEM))

START = datetime(2024, 3, 1, 12, tzinfo=UTC)  # of the first load; every value of MOMENT is before it
_EAST, _WEST = timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=8))

IDS = (1, 2, 3, 4, 5, 6, 7, -1, 2**53 + 1)
SUBS = ("", "a", "A", "it's")
DAYS = (date(2023, 12, 31), date(2024, 1, 1), date(2024, 1, 31), date(2024, 2, 1), date(2024, 2, 29), date(2025, 2, 1))
MOMENTS = (
    datetime(2023, 12, 31, 23, 30, tzinfo=UTC),
    datetime(2023, 12, 31, 23, 30, tzinfo=UTC).astimezone(_EAST),  # the same instant, another day there
    datetime(2024, 1, 1, 0, 0, tzinfo=UTC),
    datetime(2024, 1, 1, 0, 59, 59, 999999, tzinfo=UTC),
    datetime(2024, 1, 31, 23, 0, tzinfo=_WEST),
    datetime(2024, 2, 1, 7, 0, 0, 1, tzinfo=UTC),
)
WALLS = tuple(m.astimezone(UTC).replace(tzinfo=None) for m in MOMENTS)
CURS = (0, 1, 2, 3, 4, 5)
TEXTS = ("", "a", "A", "a ", "it's", 'q"q', "naïve ☂ 😀", "back\\slash", "%_", "NULL", "1")
FLOATS = (0.0, -0.0, 1.5, -2.25, 0.1, 1e300, 5e-324, float("inf"), float("-inf"))
MONEYS = (Decimal(0), Decimal("1.50"), Decimal("1.5"), Decimal("-0.0001"), Decimal("12345678901234567890.1234"))
POOLS: Mapping[str, tuple[object, ...]] = {
    ID: IDS,
    SUB: SUBS,
    DAY: DAYS,
    MOMENT: MOMENTS,
    WALL: WALLS,
    CUR: CURS,
    TEXT: TEXTS,
    FLOAT: FLOATS,
    MONEY: MONEYS,
    FLAG: (True, False),
}


class Kinds(Struct, frozen=True):
    """Which awkward rows a table may hold."""

    null_keys: bool = False
    null_slices: bool = True
    nan: bool = False


def pools_of(kinds: Kinds, key: tuple[str, ...], slice_column: str) -> Mapping[str, Sequence[object]]:
    """For each column the values to pick from; NULL is among them where it may be."""

    def pool(name: str) -> Sequence[object]:
        values: tuple[object, ...] = POOLS[name]
        if name == FLOAT and kinds.nan:
            values = (*values, float("nan"), float("nan"))
        if name == MONEY and kinds.nan:
            values = (*values, Decimal("NaN"))
        is_nullable = kinds.null_keys if name in key else kinds.null_slices or name != slice_column
        return (*values, None) if is_nullable else values

    return {name: pool(name) for name in NAMES}
