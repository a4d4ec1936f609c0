"""Columns that fit their table, as values that no driver changes on the way: text, bytes, or None.

A driver that binds Python's own values loses something of nearly every type: pyodbc the zone of a moment and the
fractions of a time, all of them the seventh digit. The server reads each of these texts back exactly.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_TIME, _MOMENT = 16, 27  # characters with seven digits


def spelled(column: Any) -> list[Any]:
    """The values of a column that `fitted` made."""
    of = column.type
    if pa.types.is_binary(of) or pa.types.is_large_binary(of) or pa.types.is_fixed_size_binary(of):
        return list(column.to_pylist())
    if pa.types.is_boolean(of):
        return [None if value is None else str(int(value)) for value in column.to_pylist()]
    if pa.types.is_decimal(of):
        return [None if value is None else format(value, "f") for value in column.to_pylist()]
    if pa.types.is_floating(of):
        return [None if value is None else _number(value) for value in column.cast(pa.string()).to_pylist()]
    if pa.types.is_timestamp(of):
        text = pc.utf8_slice_codeunits(column.cast(pa.timestamp(of.unit)).cast(pa.string()), 0, _MOMENT)
        return list((pc.binary_join_element_wise(text, "+00:00", " ") if of.tz else text).to_pylist())
    if pa.types.is_time(of):
        return list(pc.utf8_slice_codeunits(column.cast(pa.string()), 0, _TIME).to_pylist())
    return list(column.cast(pa.string()).to_pylist())


def _number(text: str) -> str:
    """A float that the server has; it knows neither NaN nor infinities."""
    if text in {"nan", "inf", "-inf"}:
        raise ValueError(text)
    return text
