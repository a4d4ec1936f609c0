"""PostgreSQL as a source: describes, opens and reads; confirms what was committed; examines itself."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

from dpone.batch import ARROW, PG_BINARY, Batch
from dpone.connector import Dataset, Finding, Position, ReadRequest, Size, Split
from dpone.errors import RemoteError
from dpone.probes import Measurement, Probe
from dpone.readings import OpenReading, not_measurable
from dpone.schema import Field, Schema, parse_type
from dpone.segments import Extent
from dpone.sql.probe import read_probe, render_probe
from dpone.strategies import Read
from dpone_postgres.catalog import describe_query, readable_relation
from dpone_postgres.config import PostgresConfig
from dpone_postgres.connections import Connections
from dpone_postgres.copying import copy_out
from dpone_postgres.dialect import POSTGRES
from dpone_postgres.examining import examine_source, find_tables, size_of
from dpone_postgres.faults import translated
from dpone_postgres.reading import Held, open_rows
from dpone_postgres.segments import PostgresSegments, segmented
from dpone_postgres.session import Connection

# Bytes of a batch that nobody decodes: a larger one is memory that the system maps anew each time, which costs the
# client 0.9 s of CPU per million rows at 1 MiB instead of 0.46 s.
_PIECE = 64 << 10
_ARROW_TIMES = 4  # a batch of Arrow costs something for each of its columns: 1M × 13 take 2.5 s CPU instead of 3.3


@contextmanager
def open_source(config: PostgresConfig) -> Iterator[PostgresSource]:
    """A source, whose connections last as long as the context. Each reading has one transaction of its own."""
    connections = Connections(config, "source", keeps=True)
    connections.log_in_ahead()
    try:
        yield PostgresSource(config, connections)
    finally:
        connections.close()


class PostgresSource:
    def __init__(self, config: PostgresConfig, connections: Connections | None = None) -> None:
        self._connections = connections or Connections(config, "source")
        self._held = Held()

    def describe(self, dataset: Dataset) -> Schema:
        with self._connections.session() as connection:
            if dataset.query is not None:
                connection.execute("BEGIN READ ONLY")
                return describe_query(connection, dataset.query)[1]
            return readable_relation(connection, dataset.name).schema

    def open(self, request: ReadRequest) -> AbstractContextManager[OpenReading]:
        if request.read is Read.CHANGES:
            from dpone_postgres.changes import open_changes  # 8 ms, which others need not wait for

            return open_changes(self._connections, request, self._held)
        return open_rows(self._connections, request, self._held)

    def read(self, request: ReadRequest, split: Split) -> Iterator[Batch]:
        """The rows of one part, on the reading's own connection when it is the only one."""
        if "slot" in split.payload:
            from dpone_postgres.changes import read_changes

            return read_changes(self._connections, request, split)
        return self._read_rows(request, split)

    def _read_rows(self, request: ReadRequest, split: Split) -> Iterator[Batch]:
        snapshot = str(split.payload["snapshot"])
        own = self._held.connections.pop(snapshot, None) if split.payload["alone"] else None
        if own is not None:
            with translated("source", self._connections.label):  # here, or the sink, which asks, takes it for its own
                yield from _batches(own, request, split)
            return
        with self._connections.session(timeout=request.timeout) as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            connection.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'".encode())
            yield from _batches(connection, request, split)

    def settle(self, request: ReadRequest, position: Position) -> None:
        if position.kind is Read.CHANGES:
            from dpone_postgres.changes import settle_changes

            settle_changes(self._connections, request, position)

    def measure(self, request: ReadRequest, probe: Probe) -> Measurement:
        """The answers about the rows of an open reading, in its own snapshot."""
        found = self._held.measurable.get(id(request))
        if found is None:
            raise not_measurable()
        connection, query, schema = found
        with translated("source", self._connections.label):
            row = connection.execute(render_probe(probe, f"({query})", schema.fields, POSTGRES).encode()).fetchone()
        assert row is not None
        return read_probe(probe, row)

    def discover(self, pattern: tuple[str, ...]) -> Sequence[Dataset]:
        with self._connections.session() as connection:
            return [Dataset(name) for name in find_tables(connection, pattern)]

    def size(self, dataset: Dataset) -> Size | None:
        with self._connections.session() as connection:
            return size_of(connection, dataset.name) if dataset.name else None

    def segments(self, extent: Extent) -> AbstractContextManager[PostgresSegments]:
        return segmented(self._connections, extent)

    def diagnose(self) -> Sequence[Finding]:
        with self._connections.session(timeout=timedelta(seconds=30)) as connection:
            return examine_source(connection)


def _batches(connection: Connection, request: ReadRequest, split: Split) -> Iterator[Batch]:
    """The rows as the server sends them, and at the end the proof that they are as many as it says."""
    fields = [Field(name, parse_type(of)) for name, of in split.payload["fields"]]
    size = request.batch_bytes * _ARROW_TIMES if request.format == ARROW else min(request.batch_bytes, _PIECE)
    counted = _Counted(copy_out(connection, str(split.payload["copy"]), size))
    sent = 0
    previous: tuple[bytes, int] | None = None
    for piece in counted:
        if previous is not None:
            sent += previous[1]
            yield _batch(request, fields, *previous)
        previous = piece
    if previous is not None:
        data, messages = previous
        rows = messages - 1 if request.format == PG_BINARY else messages  # the last one is the trailer
        sent += rows
        if sent != counted.rows:
            raise RemoteError(
                f"the server says that it sent {counted.rows} rows, and {sent} arrived",
                code="source.rows_differ",
                hint="run again, and report it if it happens twice",
            )
        yield _batch(request, fields, data, rows)


class _Counted:
    """A generator's items, and its value once they are through."""

    def __init__(self, items: Generator[tuple[bytes, int], None, int]) -> None:
        self._items = items
        self.rows = 0

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        self.rows = yield from self._items


def _batch(request: ReadRequest, fields: Sequence[Field], data: bytes, rows: int) -> Batch:
    if request.format != ARROW:
        return Batch(request.format, data, rows, len(data))
    from dpone_postgres.arrow_text import read_csv

    found = read_csv(data, fields)
    return Batch(ARROW, found, rows, found.nbytes)
