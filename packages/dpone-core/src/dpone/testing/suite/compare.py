"""Rows of any engine against rows as they were seeded: equal when every value is, whatever type the engine gave it.

A widened type is not a difference (an int8 that lands as int64), a changed value always is.
"""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

from dpone.schema import Field, Kind, Type
from dpone.stage import canonical
from dpone.testing.suite.intervals import interval
from dpone.where import Row

if TYPE_CHECKING:
    import pyarrow as pa

Plain = tuple[Any, ...]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXACT = Context(prec=10_000)  # Python's own rounds to 28 digits
_FLOAT32 = 32
_SHOWN = 5


def normal(value: Any, of: Type) -> Any:
    """A value under dpone's equality, as a value of this type; hashable."""
    if value is None:
        return None
    return _nested(value, of) if of.items else _scalar(value, of)


def _nested(value: Any, of: Type) -> Any:
    if isinstance(value, str):
        value = json.loads(value, parse_float=Decimal)  # in an engine without such types
    match of.kind:
        case Kind.LIST:
            return tuple(normal(v, of.items[0].type) for v in value)
        case Kind.MAP:
            pairs = value.items() if isinstance(value, Mapping) else value
            return frozenset((normal(k, of.items[0].type), normal(v, of.items[1].type)) for k, v in pairs)
        case _:
            return tuple(normal(value.get(f.name), f.type) for f in of.items)


def _scalar(value: Any, of: Type) -> Any:
    match of.kind:
        case Kind.BOOL:
            return bool(value)
        case Kind.INT | Kind.UINT:
            return int(value)
        case Kind.DECIMAL:
            number = Decimal(str(value))
            return "NaN" if number.is_nan() else number
        case Kind.FLOAT:
            return _float(float(value), of)
        case Kind.STRING:
            return value.decode() if isinstance(value, bytes) else str(value)
        case Kind.BINARY:
            return bytes(value)
        case Kind.TIME:
            return _nanoseconds_of_day(value)
        case Kind.TIMESTAMP | Kind.TIMESTAMPTZ:
            return _nanoseconds(value)
        case Kind.DATE:
            return value.date() if isinstance(value, datetime) else value
        case Kind.UUID:
            return str(value).lower()
        case Kind.JSON:
            return _json(value)
        case Kind.INTERVAL:
            return interval(str(value))
        case _:
            return str(value)


def _float(value: float, of: Type) -> Any:
    if value != value:  # noqa: PLR0124 -- NaN is the one value unequal to itself
        return "NaN"
    if of.size == _FLOAT32 and abs(value) != float("inf"):
        value = struct.unpack("f", struct.pack("f", value))[0]
    return value + 0.0


def _nanoseconds(value: Any) -> int:
    if isinstance(value, int):
        return value
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    elapsed: timedelta = (value if value.tzinfo else value.replace(tzinfo=UTC)) - _EPOCH
    return elapsed // timedelta(microseconds=1) * 1_000


def _nanoseconds_of_day(value: Any) -> int:
    if isinstance(value, int):
        return value
    assert isinstance(value, time)
    seconds = value.hour * 3_600 + value.minute * 60 + value.second
    return (seconds * 1_000_000 + value.microsecond) * 1_000


def _json(value: Any) -> str:
    found = json.loads(value, parse_float=Decimal, parse_int=Decimal) if isinstance(value, str | bytes) else value
    return json.dumps(found, sort_keys=True, default=lambda d: f"{d.normalize(_EXACT):f}")


def plain_rows(rows: Iterable[Row], fields: Sequence[Field]) -> Counter[Plain]:
    """Rows as a multiset of normal values in the order of the fields."""
    return Counter(tuple(normal(row.get(f.name), f.type) for f in fields) for row in rows)


def plain_table(table: pa.Table, fields: Sequence[Field]) -> Counter[Plain]:
    """The rows of an Arrow table likewise; a column that is missing or one too many is a failure."""
    names = [f.name for f in fields]
    assert sorted(table.column_names) == sorted(names), f"columns {table.column_names}, expected {names}"
    columns = [[normal(v, f.type) for v in python_values(table.column(f.name))] for f in fields]
    return Counter(zip(*columns, strict=True))


def plain_arrow(table: pa.Table) -> Counter[Plain]:
    """The rows of an Arrow table as they are, for two tables that one reader read."""
    columns = [[canonical(v) for v in python_values(table.column(name))] for name in sorted(table.column_names)]
    return Counter(zip(*columns, strict=True))


def python_values(column: pa.ChunkedArray[Any]) -> list[Any]:
    """Values without loss: times finer than a microsecond, which Python has not, as integers of nanoseconds."""
    import pyarrow as pa

    kind = column.type
    if (pa.types.is_timestamp(kind) or pa.types.is_time64(kind)) and kind.unit == "ns":
        return column.cast(pa.int64()).to_pylist()
    return column.to_pylist()


def assert_same(found: Counter[Plain], expected: Counter[Plain], fields: Sequence[Field], where: str = "") -> None:
    """Fails with the rows that differ, and never with all of them."""
    if found == expected:
        return
    names = ", ".join(f.name for f in fields)
    missing, unexpected = expected - found, found - expected
    raise AssertionError(
        f"{where or 'rows'} differ ({names}):\n"
        f"  {sum(missing.values())} missing: {_shown(missing)}\n"
        f"  {sum(unexpected.values())} unexpected: {_shown(unexpected)}"
    )


def _shown(rows: Counter[Plain]) -> str:
    listed = [repr(row)[:300] for row in list(rows.elements())[:_SHOWN]]
    return "; ".join(listed) + (" ..." if sum(rows.values()) > _SHOWN else "")
