"""Results as TDS: the description of the columns, then a token for each row."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dpone_mssql.emulator.columns import ColumnType, column_type
from dpone_mssql.emulator.names import LongNames
from dpone_mssql.emulator.tds import METADATA, ROW, short_text

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult


def result_tokens(result: PGresult, types: dict[int, str], names: LongNames) -> bytes:
    """The description and all rows."""
    columns = [(names.long((result.fname(i) or b"").decode()), _type(result, i, types)) for i in range(result.nfields)]
    rows = ([result.get_value(row, column) for column in range(result.nfields)] for row in range(result.ntuples))
    out = bytearray(description([("" if name == "?column?" else name, of) for name, of in columns]))
    encoders = [of.encode for _, of in columns]
    for row in rows:
        out.append(ROW)
        for encode, value in zip(encoders, row, strict=True):
            out += encode(value)
    return bytes(out)


def _type(result: PGresult, column: int, types: dict[int, str]) -> ColumnType:
    name, modifier = types.get(result.ftype(column), "nvarchar"), result.fmod(column)
    scale = None
    if name == "numeric" and modifier < 0:
        values = (result.get_value(row, column) for row in range(result.ntuples))
        scale = max((len(v.partition(b".")[2]) for v in values if v is not None), default=0)
    return column_type(name, modifier, min(scale, 38) if scale is not None else None)


def description(columns: Sequence[tuple[str, ColumnType]]) -> bytes:
    out = bytearray(struct.pack("<BH", METADATA, len(columns)))
    for name, of in columns:
        out += struct.pack("<IH", 0, 9) + of.info + short_text(name)
    return bytes(out)


def table(columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[object]]) -> bytes:
    """A result that no query made; the types are those of `types.py`."""
    made = [(name, column_type(of, 132 if of == "sysname" else -1)) for name, of in columns]
    out = bytearray(description(made))
    for row in rows:
        out.append(ROW)
        for (_, of), value in zip(made, row, strict=True):
            out += of.encode(None if value is None else value if isinstance(value, bytes) else str(value).encode())
    return bytes(out)
