"""The rows of a source before and after its change: on both sides of every bound, with every value that is easily lost.

A row is made of its id and its version alone, so that any process makes the same one. The column `wide` stands for all
sparse columns together; what it holds is the caller's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from dpone.schema import DATE, INT64, STRING, Field, decimal, timestamptz
from dpone_certify.certification.document import Volume

Row = dict[str, object]
Wide = Callable[[int, int], object]  # what stands for the sparse columns of a row: by its id and its version

KEY, NAME, AMOUNT, DAY, SEQ, MOMENT = "id", "name", "amount", "day", "seq", "updated_at"
WIDE = "wide"
CORE = (
    Field(KEY, INT64, nullable=False),
    Field(NAME, STRING),
    Field(AMOUNT, decimal(18, 4)),
    Field(DAY, DATE, nullable=False),
    Field(SEQ, INT64, nullable=False),
    Field(MOMENT, timestamptz(6), nullable=False),
)
LAG = timedelta(minutes=5)

_NAMES: tuple[str | None, ...] = (
    None,
    "",
    " ",
    "a",
    "A",
    "a ",
    "it's",
    'q"q"',
    "größe Ω 表 😀",
    "back\\slash",
    "\\N",
    "NULL",
    "tab\tline\nreturn\r",
    "%_{}[]",
    "e\u0301 is not \u00e9",
)
_AMOUNTS: tuple[Decimal | None, ...] = (
    None,
    Decimal(0),
    Decimal("0.0001"),
    Decimal("-0.0001"),
    Decimal("1.5"),
    Decimal("99999999999999.9999"),
    Decimal("-99999999999999.9999"),
)
_START = datetime(2024, 1, 1, microsecond=654_321, tzinfo=UTC)
_ALIKE = 4  # rows in a row that share a moment
_FIRST_MONTH = 1990 * 12
_TIMES = 3  # how changed rows lie about the bound: late, on it, after it


def before(volume: Volume, wide: Wide) -> list[Row]:
    """The source as the first load finds it."""
    return [row_of(volume, n, 0, wide) for n in range(1, volume.row_count + 1)]


def after(volume: Volume, wide: Wide) -> list[Row]:
    """The source as the second load finds it."""
    changed = {n: row_of(volume, n, 1, wide) for n in _updated(volume)}
    kept = range(volume.deleted + 1, volume.row_count + 1)
    return [*(changed.get(n) or row_of(volume, n, 0, wide) for n in kept), *inserted(volume, wide)]


def deleted_ids(volume: Volume) -> range:
    return range(1, volume.deleted + 1)


def _updated(volume: Volume) -> range:
    return range(volume.deleted + 1, volume.deleted + volume.updated + 1)


def updated(volume: Volume, wide: Wide) -> Iterator[Row]:
    """The changed rows as they are from then on."""
    return (row_of(volume, n, 1, wide) for n in _updated(volume))


def inserted(volume: Volume, wide: Wide) -> list[Row]:
    return [row_of(volume, volume.row_count + n, 1, wide) for n in range(1, volume.inserted + 1)]


def touched(volume: Volume) -> frozenset[int]:
    """Ids whose rows were written or deleted between the two loads."""
    new = range(volume.row_count + 1, volume.row_count + volume.inserted + 1)
    return frozenset((*deleted_ids(volume), *_updated(volume), *new))


def row_of(volume: Volume, number: int, version: int, wide: Wide) -> Row:
    """One row. Empty and missing values change places with each version."""
    return {
        KEY: number,
        NAME: _NAMES[(number + version) % len(_NAMES)],
        AMOUNT: _AMOUNTS[(number // 2 + version) % len(_AMOUNTS)],
        DAY: _day(volume, number, version),
        SEQ: _seq(volume, number, version),
        MOMENT: _moment(volume, number, version),
        WIDE: wide(number, version),
    }


def slice_size(volume: Volume) -> int:
    """Rows that share a month: the deleted ones are whole months, which no row of the source is left in."""
    return max(1, volume.deleted // 2)


def _day(volume: Volume, number: int, version: int) -> date:
    """The first, the last or the middle of a month; one changed row in a hundred moves to the next month."""
    moved = version == 1 and number <= volume.row_count and number % 100 == 0
    month = _FIRST_MONTH + (number - 1) // slice_size(volume) + moved
    first = date(month // 12, month % 12 + 1, 1)
    following = date((month + 1) // 12, (month + 1) % 12 + 1, 1)
    return (first, following - timedelta(days=1), first + timedelta(days=14))[number % 3]


def _seq(volume: Volume, number: int, version: int) -> int:
    """A number that grows with each change: the first change is the very next number."""
    if version == 0:
        return number
    return number - volume.deleted + volume.row_count if number <= volume.row_count else number + volume.updated


def greatest_seq(volume: Volume) -> int:
    """The greatest number before the change."""
    return volume.row_count


def _moment(volume: Volume, number: int, version: int) -> datetime:
    """When the row was written. A few rows share each moment; changes come late, on the bound, or after it."""
    if version == 0:
        return _START + timedelta(minutes=number // _ALIKE)
    last = greatest_moment(volume)
    if is_too_late(volume, number):
        return last - LAG - timedelta(microseconds=1)
    match number % _TIMES:
        case 0:
            return last - LAG
        case 1:
            return last
        case _:
            return last + timedelta(microseconds=number)


def greatest_moment(volume: Volume) -> datetime:
    """The latest moment before the change."""
    return _START + timedelta(minutes=volume.row_count // _ALIKE)


def is_too_late(volume: Volume, number: int) -> bool:
    """A change that was written beyond the lag: reading by the moment does not see it, and must not."""
    return number == volume.deleted + volume.updated and volume.updated > 1
