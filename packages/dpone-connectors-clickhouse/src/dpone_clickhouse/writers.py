"""Writers: one split on its way into a table of its own beside the stage, in one INSERT over HTTP."""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dpone.batch import ARROW, CH_NATIVE, PG_TEXT, Batch, refuse_format
from dpone.connector import StageRef
from dpone_clickhouse.bulk import BulkInsert
from dpone_clickhouse.config import ClickHouseConfig
from dpone_clickhouse.dialect import CLICKHOUSE
from dpone_clickhouse.driver import errors
from dpone_clickhouse.session import session

if TYPE_CHECKING:
    from dpone_clickhouse.arrow_stream import ArrowStream

_FORMATS = {CH_NATIVE: "Native", PG_TEXT: "TabSeparated", ARROW: "ArrowStream"}
_SETTINGS = {"max_partitions_per_insert_block": 0, "flatten_nested": 0}  # a load may fill any number of partitions
# The server gathers what an INSERT brings to a block of this size, or of a million rows, and sorts and packs it while
# the next one comes. By default of 256 MB, and nothing is packed before all has come: 220 MB of 13 columns from another
# table took 0.89 s, and 0.69, 0.68 and 0.74 with blocks of 32, 64 and 128 MB.
_BLOCK: Mapping[str, object] = {"min_insert_block_size_bytes": 64 << 20}


class ClickHouseWriter:
    """One split on its way into its table, in one INSERT, which begins with the first batch."""

    def __init__(self, config: ClickHouseConfig, statement: str, ref: StageRef) -> None:
        self._config = config
        self._statement = statement
        self._format = ref.payload["format"]
        self._natives = [(str(name), str(native)) for name, native in ref.payload["columns"]]
        # a block leaves a part in every partition: in a table that has some, the server's own size is kept
        self._settings = {**({} if ref.payload["partitioned"] else _BLOCK), **config.settings, **_SETTINGS}
        self._insert: BulkInsert | None = None
        self._arrow: ArrowStream | None = None

    def write(self, batch: Batch) -> None:
        refuse_format(batch, self._format)
        data = self._packed(batch) if batch.format == ARROW else batch.data
        if self._insert is None:
            self._insert = BulkInsert(self._config, self._statement, self._settings)
        self._insert.send(data)

    def _packed(self, batch: Batch) -> bytes:
        from dpone_clickhouse.arrow_stream import ArrowStream

        if self._arrow is None:
            self._arrow = ArrowStream(self._natives)
        return self._arrow.add(batch.data)

    def finish(self) -> None:
        """All rows are in the table."""
        if self._insert is not None:
            if self._arrow is not None:
                self._insert.send(self._arrow.end())
            self._insert.finish()

    def close(self) -> None:
        if self._insert is not None:
            self._insert.close()


@contextmanager
def writing(config: ClickHouseConfig, ref: StageRef, split: str) -> Iterator[ClickHouseWriter]:
    """A writer of one split. What an earlier attempt wrote is replaced, and what one is still writing goes nowhere."""
    database, raw = ref.payload["table"]
    own_table = CLICKHOUSE.table((database, f"{raw}_{hashlib.sha256(split.encode()).hexdigest()[:12]}"))
    made = f"TABLE {own_table} AS {CLICKHOUSE.table((database, raw))}"
    with session(config, "sink") as own:
        try:
            own.run(f"CREATE {made}")
        except errors.ServerException as error:
            if error.code != errors.ErrorCodes.TABLE_ALREADY_EXISTS:
                raise
            own.run(f"CREATE OR REPLACE {made}")  # a few milliseconds more, which a first attempt is spared
    writer = ClickHouseWriter(config, _insertion(own_table, ref), ref)
    try:
        yield writer
        writer.finish()
    finally:
        writer.close()


def _insertion(table: str, ref: StageRef) -> str:
    """The INSERT that a writer feeds.

    Into the next target TabSeparated goes through columns that hold NULL: the server would take a NULL of it for an
    empty text where the column holds none, and refuses it here. Blocks of Native bring their own types, so that the
    server sees such a NULL by itself.
    """
    wire, stamps = _FORMATS[ref.payload["format"]], ref.payload["stamps"]
    names = [str(name) for name, _ in ref.payload["columns"]]
    columns = CLICKHOUSE.names(names)
    required = [f"isNull({CLICKHOUSE.quote(str(name))})" for name in ref.payload["required"]]
    if stamps is None or (ref.payload["format"] == CH_NATIVE and not stamps and not required):
        return f"INSERT INTO {table} ({columns}) FORMAT {wire}"
    listed = CLICKHOUSE.names([*names, *(name for name, _ in stamps)])
    values = ", ".join([columns, *(literal for _, literal in stamps)])
    incoming = ", ".join(f"{CLICKHOUSE.quote(name)} {native}" for name, native in ref.payload["columns"])
    rows = f"SELECT {values} FROM input({CLICKHOUSE.text(incoming)})"
    if required:
        rows += f" WHERE throwIf({' OR '.join(required)}) = 0"
    return f"INSERT INTO {table} ({listed}) {rows} FORMAT {wire}"
