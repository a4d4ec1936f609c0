"""SQL Server as a source: describes, opens and reads; examines itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from typing import Any

from dpone.batch import Batch
from dpone.connector import Dataset, Finding, Position, ReadRequest, Split
from dpone.probes import Measurement, Probe
from dpone.readings import OpenReading, not_measurable
from dpone.schema import Field, Schema, parse_type
from dpone.sql.probe import read_probe, render_probe
from dpone.strategies import Read
from dpone_mssql.catalog import describe_query, readable_relation
from dpone_mssql.config import MssqlConfig
from dpone_mssql.dialect import MSSQL
from dpone_mssql.examining import examine_source, find_tables
from dpone_mssql.reading import Held, begin_snapshot, open_rows
from dpone_mssql.session import Connection, Connections

_ROWS = 8192  # of a batch, at first


@contextmanager
def connect(config: MssqlConfig) -> Iterator[MssqlSource]:
    """A source, whose sessions last as long as the context. Each reading has one transaction of its own."""
    connections = Connections(config, "source", keeps=True)
    try:
        yield MssqlSource(connections)
    finally:
        connections.close()


class MssqlSource:
    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._held = Held()

    def describe(self, dataset: Dataset) -> Schema:
        with self._connections.session() as connection:
            if dataset.query is not None:
                return describe_query(connection, dataset.query)[1]
            return readable_relation(connection, dataset.name).schema

    def open(self, request: ReadRequest) -> AbstractContextManager[OpenReading]:
        if request.read is Read.CHANGES:
            from dpone_mssql.changes import open_changes

            return open_changes(self._connections, request, self._held)
        return open_rows(self._connections, request, self._held)

    def read(self, request: ReadRequest, split: Split) -> Iterator[Batch]:
        """The rows of one part, on the reading's own session when it is the only one."""
        own = self._held.sessions.pop(str(split.payload["session"]), None) if split.payload["alone"] else None
        if own is not None:
            yield from _batches(own, request, split)
            return
        with self._connections.session(timeout=request.timeout) as connection:
            begin_snapshot(connection, str(request.dataset.options.get("isolation") or "auto"))
            yield from _batches(connection, request, split)

    def settle(self, request: ReadRequest, position: Position) -> None:
        """Nothing: the server keeps changes for as long as it was told to, whoever has read them."""

    def measure(self, request: ReadRequest, probe: Probe) -> Measurement:
        """The answers about the rows of an open reading, in its own snapshot."""
        found = self._held.measurable.get(id(request))
        if found is None:
            raise not_measurable()
        connection, query, schema = found
        return read_probe(probe, connection.one(render_probe(probe, f"({query})", schema.fields, MSSQL)))

    def remarks(self, request: ReadRequest) -> Sequence[str]:
        """For changes, by which of the two logs they are read, and why."""
        if request.read is not Read.CHANGES:
            return []
        from dpone_mssql.changes import remarks

        with self._connections.session() as connection:
            return remarks(connection, request)

    def discover(self, pattern: tuple[str, ...]) -> Sequence[Dataset]:
        with self._connections.session() as connection:
            return [Dataset(name) for name in find_tables(connection, pattern)]

    def diagnose(self) -> Sequence[Finding]:
        with self._connections.session(timeout=timedelta(seconds=30)) as connection:
            return examine_source(connection)


def _batches(connection: Connection, request: ReadRequest, split: Split) -> Iterator[Batch]:
    """The rows as the driver makes Arrow of them, in core's types."""
    from dpone_mssql.arrow_read import conformed

    fields = [Field(name, parse_type(of), native=native or None) for name, of, native in split.payload["fields"]]
    for data in conformed(_fetched(connection, str(split.payload["query"])), fields, request.format):
        rows = max(1, data.num_rows * request.batch_bytes // max(1, data.nbytes))
        for at in range(0, data.num_rows, rows):
            piece = data.slice(at, rows)
            yield Batch(request.format, piece, piece.num_rows, piece.nbytes)


def _fetched(connection: Connection, query: str) -> Iterator[Any]:
    """Batches as they come; a driver that makes no Arrow is asked for tuples."""
    cursor = connection.raw.cursor()
    try:
        cursor.execute(query)
        if hasattr(cursor, "arrow_reader"):
            yield from cursor.arrow_reader(_ROWS)
            return
        import pyarrow as pa

        while rows := cursor.fetchmany(_ROWS):
            names = [f"c{n}" for n in range(len(rows[0]))]
            yield pa.RecordBatch.from_arrays([pa.array(list(v)) for v in zip(*rows, strict=True)], names=names)
    except connection.driver.error as error:
        raise connection.failed(error) from None
    finally:
        with suppress(connection.driver.error):  # of a session that is lost already
            cursor.close()
