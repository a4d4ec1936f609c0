"""Writers: one split on its way into a stage, by bulk copy unless the manifest asks for another way."""
# ruff: noqa: S608 - all text here is made of quoted identifiers and numbers

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from dpone.batch import Batch
from dpone.connector import StageRef, Target
from dpone.schema import Field, parse_type
from dpone_mssql.arrow_write import fitted
from dpone_mssql.bcp import bcp_copy
from dpone_mssql.bulk import BulkCopy, bulk_copy, bulk_insert
from dpone_mssql.dialect import MSSQL
from dpone_mssql.session import Connection, Connections
from dpone_mssql.staging import SPLIT
from dpone_mssql.state import books_of

_Way = Callable[[Connection, str, Sequence[str]], AbstractContextManager[BulkCopy]]
# measured: see docs/decisions/0008-how-rows-get-into-sql-server.md
_WAYS: dict[str, _Way] = {"auto": bulk_copy, "bulk_copy": bulk_copy, "bcp": bcp_copy, "executemany": bulk_insert}


class MssqlWriter:
    """One split on its way into the raw stage."""

    def __init__(self, copy: BulkCopy, columns: list[tuple[Field, str]], split: int) -> None:
        self._copy = copy
        self._columns = columns
        self._split = split

    def write(self, batch: Batch) -> None:
        import pyarrow as pa

        data: pa.RecordBatch = batch.data
        if not data.num_rows:
            return
        arrays: list[Any] = [
            fitted(column, field, native) for column, (field, native) in zip(data.columns, self._columns, strict=True)
        ]
        arrays.append(pa.array([self._split], pa.int64()).take(pa.array([0] * data.num_rows, pa.int32())))
        self._copy.send(pa.RecordBatch.from_arrays(arrays, names=[*(f.name for f, _ in self._columns), SPLIT]))


@contextmanager
def writing(connections: Connections, ref: StageRef, split: str) -> Iterator[MssqlWriter]:
    """A writer of one split. Rows of an earlier attempt bear the split's number, and are replaced."""
    payload = ref.payload
    target = Target(tuple(payload["target"]), payload["options"])
    table = MSSQL.table((books_of(target).name[0], str(payload["table"])))
    columns = [(Field(name, parse_type(of)), native) for name, native, of in payload["columns"]]
    number = split_number(split)
    with connections.session() as connection:
        connection.run(f"DELETE FROM {table} WHERE {SPLIT} = {number}")
        names = [*(f.name for f, _ in columns), SPLIT]
        opened = _WAYS[str(target.options.get("bulk") or "auto")]
        with opened(connection, table, names) as copy:
            yield MssqlWriter(copy, columns, number)


def split_number(split: str) -> int:
    """A split's name as a bigint."""
    return int.from_bytes(hashlib.sha256(split.encode()).digest()[:8], "big", signed=True)
