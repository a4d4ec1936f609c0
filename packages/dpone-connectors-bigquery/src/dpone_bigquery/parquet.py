"""Arrow batches as a Parquet file whose columns a load job takes for what they are, without changing a value."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dpone.arrow import arrow_type, unfit
from dpone.schema import Field, Kind, Type
from dpone_bigquery.native import parse_native
from dpone_bigquery.typemap import read

ROW_GROUP = 1 << 17  # rows
_TEXTS = frozenset({Kind.STRING, Kind.JSON, Kind.OPAQUE, Kind.INTERVAL, Kind.UUID})
_CODEC: Any = "snappy"  # zstd takes twice the time for a fifth fewer bytes


class ParquetFile:
    """One file in the making; columns take these names and native types.

    It has no name, so nobody else opens it, and the system removes it however this process ends.
    """

    def __init__(self, natives: Sequence[tuple[str, str]]) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 -- the writer closes it
        self._fields = [Field(name, read(native)) for name, native in natives]
        self._schema = pa.schema([pa.field(f.name, column_type(f.type)) for f in self._fields])
        self._writer = pq.ParquetWriter(
            self.file, self._schema, compression=_CODEC, use_dictionary=False, write_statistics=False
        )
        self._held: list[pa.RecordBatch] = []
        self._waiting = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """The batch will be in the file. Small ones wait for each other, to be made fit and written together."""
        self._held.append(batch)
        self._waiting += batch.num_rows
        if self._waiting >= ROW_GROUP:
            self._write()

    def _write(self) -> None:
        if self._held:
            table = pa.Table.from_batches(self._held)
            columns = [fitted(c, f) for c, f in zip(table.columns, self._fields, strict=True)]
            self._writer.write_table(pa.table(columns, schema=self._schema), row_group_size=ROW_GROUP)
        self._held, self._waiting = [], 0

    @property
    def size(self) -> int:
        """Bytes on disk so far."""
        return self.file.tell()

    def finish(self) -> None:
        """The file is whole, to be read from its begin."""
        self._write()
        self._writer.close()
        self.file.flush()

    def discard(self) -> None:
        """Nothing of it is left."""
        with suppress(OSError, ValueError):  # what went wrong before is the error to tell
            self._writer.close()
        self.file.close()


def column_type(of: Type) -> pa.DataType:
    """The Arrow type that Parquet writes as BigQuery reads it."""
    match of.kind:
        case Kind.LIST:
            return pa.list_(column_type(of.items[0].type))
        case Kind.STRUCT:
            return pa.struct([(f.name, column_type(f.type)) for f in of.items])
        case kind if kind in _TEXTS:
            return pa.string()
        case _:
            return arrow_type(of)


def fitted(column: Any, field: Field) -> Any:
    """The column in its type; a value that does not fit is an error."""
    wanted = column_type(field.type)
    if column.type == wanted:
        return column
    try:
        return _cast(column, wanted, field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, OverflowError, ValueError) as error:
        raise unfit(field, error) from None


def _cast(column: Any, wanted: pa.DataType, of: Type) -> Any:
    held = column.type
    if of.kind in _TEXTS and pa.types.is_nested(held):
        values = [None if v is None else json.dumps(_plain(v, held), ensure_ascii=False) for v in column.to_pylist()]
        return pa.array(values, pa.string())
    if of.kind is Kind.TIMESTAMPTZ and not (pa.types.is_timestamp(held) and held.tz):
        column = column.cast(pa.timestamp("us"), safe=True)
    if pa.types.is_map(held):
        pairs = [None if v is None else [{"key": k, "value": x} for k, x in v] for v in column.to_pylist()]
        return pa.array(pairs, wanted)
    if of.kind is Kind.DECIMAL and pa.types.is_integer(held):
        column = column.cast(pa.decimal128(20, 0), safe=True)
    return column.cast(wanted, safe=True)


def _plain(value: Any, of: pa.DataType) -> Any:
    """A nested value as JSON has it: a map is an object where its keys are texts."""
    if value is None:
        return None
    if pa.types.is_map(of):
        pairs = [(k, _plain(v, of.item_type)) for k, v in value]
        return dict(pairs) if pa.types.is_string(of.key_type) else [list(pair) for pair in pairs]
    if pa.types.is_list(of) or pa.types.is_large_list(of):
        return [_plain(v, of.value_type) for v in value]
    if pa.types.is_struct(of):
        return {part.name: _plain(value[part.name], part.type) for part in of}
    return value if isinstance(value, bool | int | float | str) else str(value)


def is_text_in_stage(native: str) -> bool:
    """Load jobs read no JSON out of Parquet: such a column is staged as text, and parsed when the stage is sealed."""
    return parse_native(native).word == "JSON"
