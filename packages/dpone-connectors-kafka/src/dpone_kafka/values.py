"""Rows as Python values and as columns of Arrow, the same values either way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dpone.arrow import arrow_type
from dpone.schema import Field, Kind, Type
from dpone.where import Row

_BITS, _DIGITS = 64, 76


def is_text_of_number(of: Type) -> bool:
    """Whether a number of this type travels as text in Arrow."""
    match of.kind:
        case Kind.INT | Kind.UINT:
            return (of.size or 0) > _BITS
        case Kind.DECIMAL:
            return of.size is None or of.size > _DIGITS
        case _:
            return False


def python_values(column: Any, of: Type) -> list[Any]:
    """The column's values; times finer than a microsecond, which Python has not, as integers of nanoseconds."""
    kind = column.type
    if (pa.types.is_timestamp(kind) or pa.types.is_time64(kind)) and kind.unit == "ns":
        return list(pc.cast(column, pa.int64()).to_pylist())
    values = list(column.to_pylist())
    if is_text_of_number(of):
        number: Callable[[Any], Any] = Decimal if of.kind is Kind.DECIMAL else int
        return [None if v is None else number(v) for v in values]
    return values


def python_rows(table: pa.Table, fields: Sequence[Field]) -> list[Row]:
    names = [f.name for f in fields]
    columns = [python_values(table.column(f.name), f.type) for f in fields]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def arrow_column(values: Sequence[Any], of: Type) -> pa.Array[Any]:
    """The values as `python_values` gave them, as a column."""
    if is_text_of_number(of):
        values = [None if v is None else str(v) for v in values]
    return pa.array(values, arrow_type(of))


def arrow_table(rows: Sequence[Row], fields: Sequence[Field]) -> pa.Table:
    return pa.table({f.name: arrow_column([row.get(f.name) for row in rows], f.type) for f in fields})
