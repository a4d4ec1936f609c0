"""The source of a store: tables read whole, since a cursor, since a transaction, or by their change log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from fnmatch import fnmatchcase

from msgspec.structs import replace

from dpone.batch import Batch
from dpone.connector import CHANGE_COLUMNS, Dataset, Finding, Json, Position, ReadRequest, Size, Split
from dpone.errors import PlanError
from dpone.names import print_name
from dpone.probes import Measurement, Probe
from dpone.readings import OpenReading, requested
from dpone.schema import Schema
from dpone.segments import Extent
from dpone.stage import ChangeKind
from dpone.strategies import Read
from dpone.testing.memory.cell import Cell, Table, table_of
from dpone.testing.memory.config import MemoryConfig
from dpone.testing.memory.measures import measure
from dpone.testing.memory.segments import MemorySegments, segmented
from dpone.testing.memory.store import Store, open_store
from dpone.testing.memory.windows import entries, hold, marks_of, values_of, window_of
from dpone.testing.memory.wire import pack

_BYTES_PER_ROW = 100  # a guess that turns a batch's bytes into rows


@contextmanager
def connect(config: MemoryConfig) -> Iterator[MemorySource]:
    yield MemorySource(open_store(config))


class MemorySource:
    """A connected source."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open: dict[int, Mapping[str, Json]] = {}  # what open readings read, by their request

    def describe(self, dataset: Dataset) -> Schema:
        return _schema(table_of(self._store.current(dataset.name), dataset))

    @contextmanager
    def open(self, request: ReadRequest) -> Iterator[OpenReading]:
        if request.read is Read.CHANGES:
            self._refuse_unlogged(request)
            if request.since is None:
                self._make_slot(request)
        with self._store.snapshot(request.dataset.name) as (snapshot, cell):
            table = table_of(cell, request.dataset)
            window = window_of(request, table, cell, self._store.system)
            payload = {"snapshot": snapshot, **window.payload()}
            rows = len(entries(request, table, window.lo, window.hi))
            parts = request.splits or 1
            edges = [rows * i // parts for i in range(parts + 1)]
            splits = [
                Split(str(i), {**payload, "from": edges[i], "to": edges[i + 1]} if parts > 1 else payload)
                for i in range(parts)
            ]
            self._open[id(request)] = splits[0].payload
            try:
                schema = requested(_schema(table), request.columns)
                yield OpenReading(schema, window.upto, splits, _carries_changes(request))
            finally:
                del self._open[id(request)]

    def read(self, request: ReadRequest, split: Split) -> Iterator[Batch]:
        table = table_of(self._store.seen(split.payload["snapshot"]), request.dataset)
        found = entries(request, table, *hold(split.payload))[split.payload.get("from", 0) : split.payload.get("to")]
        fields = requested(_schema(table), request.columns).fields
        rows = [values_of(change, request) for change in found]
        if _carries_changes(request):
            rows = [(*row, *marks_of(change, request)) for row, change in zip(rows, found, strict=True)]
            fields = (*fields, *CHANGE_COLUMNS)
        step = max(1, request.batch_bytes // _BYTES_PER_ROW)
        for at in range(0, len(rows), step):
            yield pack(rows[at : at + step], fields, request.format)

    def settle(self, request: ReadRequest, position: Position) -> None:
        """The change log before the position is let go."""
        if position.kind is not Read.CHANGES:
            return

        def confirm(cell: Cell) -> Cell:
            confirmed = cell.slots.get(request.pipeline)
            if confirmed is None:
                return cell  # lost: the next reading says so
            slots = {**cell.slots, request.pipeline: max(confirmed, position.token["lsn"])}
            return _trimmed(replace(cell, slots=slots))

        self._store.transact(request.dataset.name, confirm)

    def _make_slot(self, request: ReadRequest) -> None:
        """The change log is kept for this pipeline from now on; an earlier slot without a position is dropped."""

        def make(cell: Cell) -> Cell:
            return replace(cell, slots={**cell.slots, request.pipeline: cell.lsn})

        self._store.transact(request.dataset.name, make)

    def _refuse_unlogged(self, request: ReadRequest) -> None:
        if not table_of(self._store.current(request.dataset.name), request.dataset).logged:
            raise PlanError(
                f"{print_name(request.dataset.name)} keeps no change log",
                code="source.no_change_log",
                hint="turn its log on, or choose another strategy",
            )

    def measure(self, request: ReadRequest, probe: Probe) -> Measurement:
        """The answers about what the open reading of this very request gives."""
        payload = self._open.get(id(request))
        if payload is None:
            with self.open(request):
                return self.measure(request, probe)
        table = table_of(self._store.seen(payload["snapshot"]), request.dataset)
        names = [c.name for c in request.columns]
        upserts = (change for change in entries(request, table, *hold(payload)) if change.kind is ChangeKind.UPSERT)
        return measure([dict(zip(names, values_of(c, request), strict=True)) for c in upserts], probe)

    def discover(self, pattern: tuple[str, ...]) -> Sequence[Dataset]:
        return discover(self._store, pattern)

    def size(self, dataset: Dataset) -> Size | None:
        rows = table_of(self._store.current(dataset.name), dataset).rows
        return Size(len(rows), sum(len(str(row)) for row in rows))

    def segments(self, extent: Extent) -> AbstractContextManager[MemorySegments]:
        return segmented(self._store, extent)

    def diagnose(self) -> Sequence[Finding]:
        return diagnose(self._store)


def discover(store: Store, pattern: tuple[str, ...]) -> Sequence[Dataset]:
    """The tables whose parts match the pattern's, one by one."""
    matching = [n for n in store.names() if len(n) == len(pattern) and all(map(fnmatchcase, n, pattern))]
    return [Dataset(name) for name in matching if store.current(name).table is not None]


def diagnose(store: Store) -> Sequence[Finding]:
    cells = [store.current(name) for name in store.names()]
    tables, leftovers = sum(c.table is not None for c in cells), sum(len(c.ledger) for c in cells)
    where = "this process" if store.folder is None else str(store.folder)
    return [
        Finding("store", ok=True, found=f"{tables} tables in {where}"),
        Finding(
            "leftovers",
            ok=not leftovers,
            found=f"{leftovers} stages and shadows in the ledger",
            action="they belong to running loads, or are removed by a sweep" if leftovers else "",
        ),
    ]


def _schema(table: Table) -> Schema:
    """All columns, those that an earlier load added among them."""
    content = table.schema
    return Schema((*content, *(c.field for c in table.layout.system if c.field.name not in content)), content.key)


def _carries_changes(request: ReadRequest) -> bool:
    return request.read is Read.CHANGES or request.present


def _trimmed(cell: Cell) -> Cell:
    """Entries that every slot has confirmed are gone."""
    table = cell.table
    needed = min(cell.slots.values(), default=cell.lsn)
    if table is None or not table.log or table.log[0].seq > needed:
        return cell
    return replace(cell, table=replace(table, log=tuple(c for c in table.log if c.seq > needed)))
