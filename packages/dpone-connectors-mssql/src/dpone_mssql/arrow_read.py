"""Arrow as the driver makes it, turned into what core says; every cast is safe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dpone.arrow import arrow_schema, arrow_type, unfit
from dpone.batch import Format
from dpone.schema import Field, Kind
from dpone_mssql.selecting import arrives_as_text
from dpone_mssql.wires import MSSQL_ARROW

_SECONDS = 19  # characters of a moment up to its seconds


def conformed(batches: Iterator[Any], fields: Sequence[Field], in_format: Format) -> Iterator[pa.RecordBatch]:
    """The batches in core's types; in the server's own format, moments that came as text stay text."""
    if in_format == MSSQL_ARROW:
        own = [pa.string() if arrives_as_text(f, in_format) else arrow_type(f.type) for f in fields]
        schema = pa.schema([pa.field(f.name, of) for f, of in zip(fields, own, strict=True)])
    else:
        schema = arrow_schema(fields)
    for batch in batches:
        arrays = [_conformed(c, f, of) for c, f, of in zip(batch.columns, fields, schema.types, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _conformed(column: Any, field: Field, wanted: Any) -> Any:
    try:
        if column.type == wanted:
            return column
        if pa.types.is_timestamp(wanted) and not pa.types.is_timestamp(column.type):
            return _moments(column, wanted)
        if pa.types.is_time(wanted) and pa.types.is_integer(column.type):
            column = column.cast(pa.int64()).cast(pa.time64("ns"))  # as pyodbc's converter has it
        if field.type.kind is Kind.UUID:
            return pc.utf8_lower(column.cast(pa.string()))
        return column.cast(wanted, safe=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
        raise unfit(field, error) from None


def _moments(column: Any, wanted: Any) -> Any:
    """Text of seven digits as nanoseconds; a year that they do not reach is an error."""
    text = column.cast(pa.string())
    seconds = pc.utf8_slice_codeunits(text, 0, _SECONDS)
    digits = pc.utf8_slice_codeunits(text, _SECONDS + 1, _SECONDS + 8)
    whole = pc.strptime(seconds, format="%Y-%m-%d %H:%M:%S", unit="s").cast(pa.int64())
    fine = pc.multiply(pc.utf8_rpad(digits, 7, padding="0").cast(pa.int64()), 100)
    summed = pc.add_checked(pc.multiply_checked(whole, 10**9), fine)
    return summed.cast(pa.timestamp("ns")).cast(wanted) if wanted.tz is None else _in_zone(summed, wanted)


def _in_zone(numbers: Any, wanted: Any) -> Any:
    return numbers.cast(pa.timestamp("ns", tz=wanted.tz))
