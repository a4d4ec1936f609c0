"""A REST API as a source: describes a collection, opens readings of it, reads them page by page, examines itself.

A reading of everything streams. A reading by a cursor must say how far it comes when it opens, which an API tells only
by its records: they wait in a spool meanwhile, and only those of its window leave it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from dpone.arrow import arrow_schema
from dpone.batch import Batch
from dpone.connector import Continued, Dataset, Finding, Position, ReadRequest, Split
from dpone.cursors import null_cursor
from dpone.errors import DponeError
from dpone.readings import requested
from dpone.schema import Field, Kind, Schema
from dpone.strategies import Read
from dpone_rest.answers import document_of, place_at, records_of
from dpone_rest.batching import sized
from dpone_rest.checkpoint import Checkpoint, checkpoint
from dpone_rest.client import Client
from dpone_rest.config import RestConfig
from dpone_rest.filtering import matching
from dpone_rest.narrowing import narrowing
from dpone_rest.options import RestSource, options_of
from dpone_rest.paging import Page, first_request, pages_ahead
from dpone_rest.shape import Shape, declared, inferred, shape_of
from dpone_rest.spool import Spool
from dpone_rest.windows import Course, Mark, Window, course_of, within


@contextmanager
def connect(config: RestConfig) -> Iterator[ApiSource]:
    """A source whose host keeps the address that it has now."""
    client = Client(config)
    try:
        yield ApiSource(client, config)
    finally:
        client.close()


class OpenReading(Struct, frozen=True):
    """What an opened request will yield, and how far."""

    schema: Schema
    upto: Position | None
    splits: tuple[Split, ...]
    changes: bool = False
    continued: Continued | None = None


class ApiSource:
    """A connected source."""

    def __init__(self, client: Client, config: RestConfig) -> None:
        self._client = client
        self._config = config
        self._shapes: dict[str, Shape] = {}  # what was inferred holds for the whole run
        self._spools: dict[str, Spool] = {}
        self._kept: dict[str, Checkpoint] = {}
        self._numbers = count(1)

    def describe(self, dataset: Dataset) -> Schema:
        options = options_of(dataset)
        found = declared(options)
        if found is not None:
            self._client.probe(*first_request(self._client, options))
        else:
            found = self._shapes[_name(dataset)] = inferred(self._client, options)
        return found.schema

    def _shape(self, dataset: Dataset, options: RestSource) -> Shape:
        known = declared(options) or self._shapes.get(_name(dataset))
        if known is None:
            known = self._shapes[_name(dataset)] = inferred(self._client, options)
        return known

    # -------------------------------------------------------------------- opening

    def open(self, request: ReadRequest) -> AbstractContextManager[OpenReading]:
        return self._open_window(request) if request.read is Read.SINCE else self._open_whole(request)

    @contextmanager
    def _open_whole(self, request: ReadRequest) -> Iterator[OpenReading]:
        options = options_of(request.dataset)
        whole = self._shape(request.dataset, options)
        shape = whole.only(_wanted(request))
        name = str(next(self._numbers))
        with self._checkpoint(request, options, shape) as kept:
            payload = {"shape": shape.plain()}
            if kept is not None:
                payload["kept"] = name
                self._kept[name] = kept
            try:
                yield OpenReading(
                    requested(whole.schema, request.columns), None, (Split("0", payload),), continued=_continued(kept)
                )
            finally:
                self._kept.pop(name, None)

    @contextmanager
    def _checkpoint(self, request: ReadRequest, options: RestSource, shape: Shape) -> Iterator[Checkpoint | None]:
        """The pages that an earlier process had of this very reading, and room for more; None where none are kept."""
        if not request.pipeline or not options.checkpoint:
            yield None
            return
        seconds = _seconds(request)
        place = place_at("records", options.records)
        with checkpoint(self._identity(request, shape), options.checkpoint) as kept:
            if kept is not None:
                kept.go_on(
                    lambda ask: self._client.get(ask.url, ask.params, within=seconds),
                    lambda answer: records_of(answer, document_of(answer, place), place),
                )
            yield kept

    def _identity(self, request: ReadRequest, shape: Shape) -> str:
        """All by which pages of one reading differ from those of another; no secret."""
        config, options = self._config, {n: v for n, v in request.dataset.options.items() if n != "checkpoint"}
        who = (config.url, config.scheme, config.user, config.client_id, sorted(config.headers))
        what = (request.dataset.name, sorted(options.items(), key=lambda item: item[0]), request.columns, request.where)
        return repr((request.pipeline, who, what, request.read, request.cursor, request.since, shape.plain()))

    @contextmanager
    def _open_window(self, request: ReadRequest) -> Iterator[OpenReading]:
        options = options_of(request.dataset)
        whole = self._shape(request.dataset, options)
        course = course_of(request, whole.schema)
        shape = whole.only(_wanted(request))
        if course.when(datetime.now(UTC), options.timezone) is None:
            # without a clock nobody knows what of later pages was there when the first ones were read
            options = options.model_copy(update={"checkpoint": False})
        spool = Spool(arrow_schema(shape.schema))
        name = str(next(self._numbers))
        with ExitStack() as stack:
            stack.callback(spool.close)
            kept = stack.enter_context(self._checkpoint(request, options, shape))
            window = self._fill(spool, request, options, shape, course, kept)
            payload = {
                "shape": shape.plain(),
                "spool": name,
                "lo": None if window.lo is None else str(window.lo),
                "hi": None if window.hi is None else str(window.hi),
                "closed": window.closed,
            }
            self._spools[name] = spool
            stack.callback(self._spools.pop, name, None)
            splits = (Split("0", payload),)
            yield OpenReading(
                requested(whole.schema, request.columns), course.position(window), splits, continued=_continued(kept)
            )

    def _fill(
        self,
        spool: Spool,
        request: ReadRequest,
        options: RestSource,
        shape: Shape,
        course: Course,
        kept: Checkpoint | None,
    ) -> Window:
        """All records from the course's beginning on are in the spool; the window that they make.

        One that goes on after an earlier process ends where that one began: a record that changed since then may have
        been on a page that is not read again, and would be missed for ever by a position that is later.
        """
        now = datetime.now(UTC) if kept is None else kept.begun
        clock = course.by_clock(now, options.timezone)
        begun = Window(course.lo)
        greatest: Mark | None = None
        for page in self._pages(request, options, shape.schema, course, clock, kept):
            if page.number == 1 and (theirs := page.answer.clock) is not None and theirs < now:
                now = theirs
                clock = course.by_clock(now, options.timezone)
            batch = matching(shape.batch(page.records), request.where, shape.schema)
            batch, numbers = _inside(batch, course, begun)
            most = pc.max(numbers).as_py()
            greatest = most if greatest is None or (most is not None and most > greatest) else greatest
            if batch.num_rows:
                spool.write(batch)
        spool.seal()
        window = course.end(greatest, clock)
        if kept is not None and kept.pages and (moment := course.when(now, options.timezone)) is not None:
            return course.no_later(window, moment)
        return window

    def _pages(
        self,
        request: ReadRequest,
        options: RestSource,
        schema: Schema,
        course: Course | None,
        hi: Mark | None,
        kept: Checkpoint | None = None,
    ) -> Iterator[Page]:
        narrowed = narrowing(request, options, schema, course, hi)
        return pages_ahead(self._client, options, narrowed, within=_seconds(request), keeper=kept)

    # -------------------------------------------------------------------- reading

    def read(self, request: ReadRequest, split: Split) -> Iterator[Batch]:
        """The rows of a reading: of its spool, or asked for again where another connection opened it."""
        shape = shape_of(split.payload["shape"])
        rows = self._windowed(request, split, shape) if "spool" in split.payload else self._whole(request, split, shape)
        return sized((_selected(batch, request) for batch in rows), request.batch_bytes)

    def _whole(self, request: ReadRequest, split: Split, shape: Shape) -> Iterator[pa.RecordBatch]:
        kept = self._kept.get(str(split.payload.get("kept")))
        for page in self._pages(request, options_of(request.dataset), shape.schema, None, None, kept):
            yield matching(shape.batch(page.records), request.where, shape.schema)

    def _windowed(self, request: ReadRequest, split: Split, shape: Shape) -> Iterator[pa.RecordBatch]:
        course = course_of(request, shape.schema)
        window = Window(
            _mark(split.payload["lo"], course), _mark(split.payload["hi"], course), closed=split.payload["closed"]
        )
        spool = self._spools.get(str(split.payload["spool"]))
        for batch in spool.batches() if spool is not None else self._again(request, shape, course):
            yield _inside(batch, course, window)[0]

    def _again(self, request: ReadRequest, shape: Shape, course: Course) -> Iterator[pa.RecordBatch]:
        for page in self._pages(request, options_of(request.dataset), shape.schema, course, None):
            yield matching(shape.batch(page.records), request.where, shape.schema)

    def settle(self, request: ReadRequest, position: Position) -> None:
        """An API keeps nothing for us, so there is nothing to confirm."""

    # ------------------------------------------------------------------ examining

    def diagnose(self) -> Sequence[Finding]:
        findings = [
            Finding("address", ok=True, found=f"{self._config.label} is at {self._client.address_now}"),
            Finding(
                "tls",
                ok=self._config.tls_mode != "require",
                found=self._config.tls_mode,
                action="" if self._config.tls_mode != "require" else "name the authority as `ca_file`",
            ),
            Finding("login", ok=True, found=self._config.scheme),
        ]
        try:
            self._client.probe(self._config.url, {})
        except DponeError as error:
            # an API need not have anything at its root; a refused login or no answer is another thing
            ok = error.code in {"source.table_missing", "rest.request_refused"}
            findings.append(Finding("answer", ok=ok, found=error.message, action="" if ok else error.hint or ""))
        else:
            findings.append(Finding("answer", ok=True, found="the API answers"))
        return findings


def _seconds(request: ReadRequest) -> float | None:
    return None if request.timeout is None else request.timeout.total_seconds()


def _continued(kept: Checkpoint | None) -> Continued | None:
    return Continued(kept.pages, kept.begun) if kept is not None and kept.pages else None


def _name(dataset: Dataset) -> str:
    return repr((dataset.name, sorted(dataset.options.items(), key=lambda item: item[0])))


def _wanted(request: ReadRequest) -> list[str]:
    """The columns that must be decoded: those asked for, those of the filter, the cursor."""
    cursor = [request.cursor.column] if request.read is Read.SINCE and request.cursor is not None else []
    return [*(c.source for c in request.columns), *(c.column for c in request.where), *cursor]


def _selected(batch: pa.RecordBatch, request: ReadRequest) -> pa.RecordBatch:
    columns = [batch.column(c.source) for c in request.columns]
    fields = [pa.field(c.name, column.type) for c, column in zip(request.columns, columns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))


def _inside(batch: pa.RecordBatch, course: Course, window: Window) -> tuple[pa.RecordBatch, pa.Array[Any]]:
    """The rows of a window and their cursors as numbers; one without a cursor is refused or left out, as declared."""
    field: Field = course.scale.field
    numbers = course.scale.numbers(batch.column(field.name))
    if numbers.null_count and not course.cursor.skip_nulls:
        raise null_cursor(field.name, numbers.null_count)
    keep = within(numbers, window)
    return batch.filter(keep), numbers.filter(keep)


def _mark(text: str | None, course: Course) -> Mark | None:
    if text is None:
        return None
    return Decimal(text) if course.scale.field.type.kind is Kind.DECIMAL else int(text)
