"""Writers: one split on its way into a stage, by bulk copy unless the manifest asks for another way."""
# ruff: noqa: S608 - all text here is made of quoted identifiers and numbers

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any

from dpone.batch import Batch
from dpone.connector import Json, StageRef, Target
from dpone.schema import INT64, Field, Kind, parse_type
from dpone.stage import null_key
from dpone_mssql.arrow_write import fitted
from dpone_mssql.bcp import bcp_copy
from dpone_mssql.bulk import BulkCopy, bulk_copy, bulk_insert
from dpone_mssql.dialect import MSSQL
from dpone_mssql.session import Connection, Connections
from dpone_mssql.staging import SPLIT
from dpone_mssql.state import books_of

Column = tuple[Field, str]  # and the native type of the raw table
_Way = Callable[[Connection, str, Sequence[str]], AbstractContextManager[BulkCopy]]
# measured: see docs/decisions/0008-how-rows-get-into-sql-server.md
_WAYS: dict[str, _Way] = {"auto": bulk_copy, "bulk_copy": bulk_copy, "bcp": bcp_copy, "executemany": bulk_insert}


class MssqlWriter:
    """One split on its way into the raw stage, whose columns come from the batches or are the same in all rows."""

    def __init__(
        self,
        copy: BulkCopy,
        columns: list[Column],
        constants: Mapping[str, Any],
        order: Sequence[str],
        key: frozenset[str],
    ) -> None:
        self._copy = copy
        self._columns = columns
        self._constants = constants
        self._order = order
        self._key = key

    def write(self, batch: Batch) -> None:
        import pyarrow as pa

        data: pa.RecordBatch = batch.data
        if not data.num_rows:
            return
        arrays: dict[str, Any] = {}
        for column, (field, native) in zip(data.columns, self._columns, strict=True):
            if field.name in self._key and column.null_count:
                raise null_key(field.name)  # as it would be in a stage without required columns
            arrays[field.name] = fitted(column, field, native)
        everywhere = pa.array([0] * data.num_rows, pa.int32())
        for name in self._order:
            if name not in arrays:
                arrays[name] = self._constants[name].take(everywhere)
        self._copy.send(pa.RecordBatch.from_arrays([arrays[name] for name in self._order], names=list(self._order)))


@contextmanager
def writing(connections: Connections, ref: StageRef, split: str) -> Iterator[MssqlWriter]:
    """A writer of one split, by whom rows of an earlier attempt are replaced.

    They bear the split's number, but for those of a stage that will be the target and has one writer.
    """
    payload = ref.payload
    target = Target(tuple(payload["target"]), payload["options"])
    table = MSSQL.table((books_of(target).name[0], str(payload["table"])))
    columns = [(Field(name, parse_type(of)), native) for name, native, of in payload["columns"]]
    constants = {
        name: _constant(Field(name, parse_type(of)), native, v) for name, native, of, v in payload["constants"]
    }
    order = payload["order"]
    with connections.session() as connection:
        if SPLIT in order:
            constants[SPLIT] = _constant(Field(SPLIT, INT64), "bigint", split_number(split))
            connection.run(f"DELETE FROM {table} WHERE {SPLIT} = {split_number(split)}")
        else:
            connection.run(f"TRUNCATE TABLE {table}")
        opened = _WAYS[str(target.options.get("bulk") or "auto")]
        with opened(connection, table, order) as copy:
            yield MssqlWriter(copy, columns, constants, order, frozenset(payload["key"]))


def _constant(field: Field, native: str, value: Json) -> Any:
    """An array of the one value."""
    import pyarrow as pa

    from dpone.arrow import arrow_type

    found = datetime.fromisoformat(value) if value is not None and field.type.kind is Kind.TIMESTAMPTZ else value
    return fitted(pa.array([found], arrow_type(field.type)), field, native)


def split_number(split: str) -> int:
    """A split's name as a bigint."""
    return int.from_bytes(hashlib.sha256(split.encode()).digest()[:8], "big", signed=True)
