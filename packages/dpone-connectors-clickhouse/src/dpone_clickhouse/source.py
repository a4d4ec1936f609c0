"""ClickHouse as a source: describes, opens and reads; examines itself.

One SELECT of a MergeTree table reads the parts that there are when it begins: whole INSERT blocks, never a row that is
half written. That is all the consistency that there is, so a reading is one query, which the server itself spreads over
its threads, or several where the manifest wants `splits`, each of which names parts (`splitting`). An INSERT of several
blocks may be seen in part. The window of a cursor is fixed by a query of its own before. For the same reason no
checksum of the source is offered: it would be of another moment than the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

from msgspec import Struct

from dpone.batch import ARROW, CH_NATIVE, PG_TEXT, Batch
from dpone.connector import Dataset, Finding, Json, Position, ReadRequest, Size, Split
from dpone.readings import OpenReading, requested
from dpone.schema import Field, Schema
from dpone.segments import Extent
from dpone.strategies import Read
from dpone_clickhouse.bulk import read_bulk
from dpone_clickhouse.catalog import find_tables, full_name, size_of
from dpone_clickhouse.config import ClickHouseConfig
from dpone_clickhouse.examining import examine
from dpone_clickhouse.segments import ClickHouseSegments, segmented
from dpone_clickhouse.selecting import Subject, bulk_query, subject_of
from dpone_clickhouse.session import READ_ONLY, Session, session
from dpone_clickhouse.since import window_of
from dpone_clickhouse.splitting import groups_of_parts, only, refuse_merged
from dpone_clickhouse.typemap import read

_BLOCK = 16 << 20


@contextmanager
def connect(config: ClickHouseConfig) -> Iterator[ClickHouseSource]:
    """A source. Connections are made where they are needed."""
    yield ClickHouseSource(config)


class ClickHouseSource(Struct, frozen=True):
    config: ClickHouseConfig

    def describe(self, dataset: Dataset) -> Schema:
        request = ReadRequest(dataset, Read.SCAN, (), ARROW)
        with self._session(request) as own:
            return subject_of(own, request, self.config.database).schema

    @contextmanager
    def open(self, request: ReadRequest) -> Iterator[OpenReading]:
        with self._session(request) as own:
            subject = subject_of(own, request, self.config.database)
            schema = requested(subject.schema, request.columns)
            conditions, upto = _window(own, request, subject)
            wanted = request.dataset.options.get("splits") or request.splits or 1
            name = None if subject.final or wanted == 1 else subject.name
            groups = [] if name is None else groups_of_parts(own, name, wanted)
        payload = {
            "fields": [[f.name, f.native] for f in schema],
            "copied": subject.name is not None and not subject.final and not request.where and not conditions,
        }
        splits = [
            Split(
                str(number),
                {
                    **payload,
                    "query": bulk_query(subject, request, [*conditions, only(parts)]),
                    "table": list(subject.name or ()),
                    "parts": [list(part) for part in parts],
                },
            )
            for number, parts in enumerate(groups)
        ]
        whole = Split("0", {**payload, "query": bulk_query(subject, request, conditions)})
        yield OpenReading(schema, upto, tuple(splits) or (whole,))

    def read(self, request: ReadRequest, split: Split) -> Iterator[Batch]:
        """The rows as the server sends them; all of them, or an error at the end."""
        yield from self._read(request, split)
        if (parts := split.payload.get("parts")) is not None:
            database, table = split.payload["table"]
            with self._session(request) as own:
                refuse_merged(own, (database, table), [(name, content) for name, content in parts])

    def _read(self, request: ReadRequest, split: Split) -> Iterator[Batch]:
        settings = self._reading_settings(request, split)
        pieces = read_bulk(self.config, str(split.payload["query"]), settings, request.batch_bytes)
        if request.format == ARROW:
            from dpone_clickhouse.arrow_read import read_batches

            fields = [Field(name, read(native)) for name, native in split.payload["fields"]]
            for found in read_batches(pieces, fields, request.batch_bytes):
                yield Batch(ARROW, found, found.num_rows, found.nbytes)
        elif request.format == PG_TEXT:
            for data in _whole_lines(pieces):
                yield Batch(PG_TEXT, data, data.count(b"\n"), len(data))
        else:
            for data in pieces:  # pieces of one stream of blocks: a writer joins them again
                yield Batch(request.format, data, None, len(data))

    def _reading_settings(self, request: ReadRequest, split: Split) -> dict[str, Json]:
        """The manifest's settings and the time limit; a table that is only copied is read by one thread.

        Its rows then come in the order in which they are stored, which spares the next server sorting them, and no
        writer takes rows as fast as one thread reads them; a block is of 16 MB and not of one. A million rows of 13
        columns, read and written by one server: 1.42 s of its CPU by default, 1.21 with one thread, 1.07 with both.
        """
        settings: dict[str, Json] = dict(request.dataset.options.get("settings") or {})
        if request.format == CH_NATIVE and split.payload["copied"] and "max_threads" not in self.config.settings:
            settings.setdefault("max_threads", 1)
            settings.setdefault("preferred_block_size_bytes", _BLOCK)
        if request.timeout is not None:
            settings["max_execution_time"] = max(1, round(request.timeout.total_seconds()))
        return settings

    def settle(self, request: ReadRequest, position: Position) -> None:
        """Nothing is kept at the source."""

    def discover(self, pattern: tuple[str, ...]) -> Sequence[Dataset]:
        with session(self.config, "source", settings=READ_ONLY) as own:
            return [Dataset(name) for name in find_tables(own, pattern, self.config.database)]

    def size(self, dataset: Dataset) -> Size | None:
        with session(self.config, "source", settings=READ_ONLY) as own:
            return size_of(own, full_name(dataset.name, self.config.database)) if dataset.name else None

    def segments(self, extent: Extent) -> AbstractContextManager[ClickHouseSegments]:
        return segmented(self.config, "source", extent)

    def diagnose(self) -> Sequence[Finding]:
        with session(self.config, "source", timeout=timedelta(seconds=30), settings=READ_ONLY) as own:
            return examine(own, self.config, writes=False)

    @contextmanager
    def _session(self, request: ReadRequest) -> Iterator[Session]:
        """A session that cannot write, whatever its query says."""
        settings = {**(request.dataset.options.get("settings") or {}), **READ_ONLY}
        with session(self.config, "source", timeout=request.timeout, settings=settings) as own:
            yield own


def _window(own: Session, request: ReadRequest, subject: Subject) -> tuple[list[str], Position | None]:
    if request.read is not Read.SINCE:
        return [], None
    return window_of(own, request, subject)


def _whole_lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, cut after line ends: a line is a row, since values have theirs escaped."""
    rest = b""
    for piece in pieces:
        end = piece.rfind(b"\n") + 1
        if end:
            yield rest + piece[:end]
            rest = piece[end:]
        else:
            rest += piece
    if rest:
        yield rest
