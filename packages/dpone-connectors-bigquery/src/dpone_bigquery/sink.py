"""BigQuery as a sink: what it is asked for, each thing from the module that does it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from dpone.books import HeldLease, never_loaded
from dpone.connector import (
    CreateTarget,
    Dataset,
    Finding,
    Json,
    Layout,
    Position,
    SchemaChange,
    StageRef,
    StageSpec,
    Stored,
    Target,
)
from dpone.errors import StateError
from dpone.ops import Recreate
from dpone.sql.operations import render
from dpone.sql.seal import explained
from dpone.strategies import Load
from dpone_bigquery.config import BigQueryConfig
from dpone_bigquery.dialect import BIGQUERY
from dpone_bigquery.examining import examine
from dpone_bigquery.layouts import alterations, fields_of, find_target, is_of_layout, layout_of, showing
from dpone_bigquery.lease import Held, locked
from dpone_bigquery.naming import LEFTOVER, Name
from dpone_bigquery.publishing import BigQueryPublication, publishing
from dpone_bigquery.recovering import recover
from dpone_bigquery.staging import BigQueryStage, BigQueryWriter, staged, writing
from dpone_bigquery.state import Books, ensure_books, read_known, records_of, script
from dpone_bigquery.warehouse import Warehouse, connected

if TYPE_CHECKING:
    from google.cloud import bigquery


@contextmanager
def connect(config: BigQueryConfig) -> Iterator[BigQuerySink]:
    """A sink. Leases, stages, writers and publications have clients of their own."""
    yield BigQuerySink(config)


class BigQuerySink:
    def __init__(self, config: BigQueryConfig) -> None:
        self._config = config
        self._held: dict[Name, Held] = {}

    def inspect(self, target: Target) -> Layout | None:
        with connected(self._config) as warehouse:
            found = find_target(warehouse, _checked(warehouse, target))
            return None if found is None else layout_of(found)

    @contextmanager
    def lease(self, target: Target, pipeline: str) -> Iterator[HeldLease]:
        """The lease; what runs that died left of this target is mended or removed first."""
        with connected(self._config) as warehouse:
            name = _checked(warehouse, target)
            with locked(self._config, warehouse, name) as held:
                self._held[name] = held
                try:
                    books = Books(name)
                    ensure_books(warehouse, books)
                    _drop_leftovers(warehouse, name)
                    recover(warehouse, books, find_target(warehouse, name))
                    known = read_known(warehouse.run(books.known(), name))
                    stored = {pipe: k.stored for pipe, k in known.items() if k.stored is not None}
                    yield _lease(warehouse, books, stored, pipeline)
                finally:
                    del self._held[name]

    def stage(self, spec: StageSpec) -> AbstractContextManager[BigQueryStage]:
        for field in fields_of(spec.layout):
            BIGQUERY.quote(field.name)  # one that cannot be is refused before anything is sent
        return staged(self._config, spec)

    def writer(self, stage: StageRef, split: str) -> AbstractContextManager[BigQueryWriter]:
        return writing(self._config, stage, split)

    @contextmanager
    def publication(self, spec: StageSpec, load: Load) -> Iterator[BigQueryPublication]:
        del load  # the program of the spec holds all that matters of it
        with connected(self._config) as warehouse:
            held = self._held.get(warehouse.full_name(spec.target.name))
        with publishing(self._config, spec, held) as publication:
            yield publication

    def sweep(self, older_than: timedelta) -> Sequence[str]:
        """Stages and shadows of runs that died, of every target of the project whose lease is free."""
        dropped: list[str] = []
        before = datetime.now(UTC) - older_than
        with connected(self._config) as warehouse:
            for dataset in warehouse.datasets(self._config.project):
                like = Name(self._config.project, dataset, "")
                found: dict[str, list[str]] = {}
                for table, made in warehouse.created(like).items():
                    if (named := LEFTOVER.fullmatch(table)) and (made is None or made <= before):
                        found.setdefault(named[1], []).append(table)
                for digest, tables in found.items():
                    dropped += self._sweep(warehouse, like, digest, tables)
        return dropped

    def _sweep(self, warehouse: Warehouse, like: Name, digest: str, tables: Sequence[str]) -> list[str]:
        try:
            with locked(self._config, warehouse, like, wait=0, digest=digest):
                for table in tables:
                    warehouse.drop(like.named(table))
        except StateError:
            return []  # a load is running there
        return [f"{like.dataset}.{table}" for table in tables]

    # ------------------------------------------------------------------ other abilities

    def explain(self, spec: StageSpec, changes: Sequence[SchemaChange]) -> Sequence[str]:
        """The statements of the final act, the stage's tables under the names of what they hold, and what is read."""
        with connected(self._config) as warehouse:
            name = warehouse.full_name(spec.target.name)
            table = find_target(warehouse, name)
            reads = None if table is None else warehouse.bytes_of(_reading(name, table, spec), name)
        recreates = any(isinstance(op, Recreate) for op in spec.program)
        creates = any(isinstance(c, CreateTarget) for c in changes)
        anew = creates or (recreates and table is not None and not is_of_layout(table, spec.layout))
        into = name.named("shadow") if anew else name
        load = explained(spec, into.sql, Books(name).ledger)
        program = [s.text for op in spec.program for s in render(op, load, BIGQUERY)]
        if anew:
            return [*program, showing(name, into, replaces=not creates)]
        price = [f"-- the program reads up to {reads} bytes of {name} (dry run), and the stage"]
        return [*price, *alterations(name.sql, changes), *script(program).split(";\n")]

    def discover(self, pattern: tuple[str, ...]) -> Sequence[Dataset]:
        with connected(self._config) as warehouse:
            like = warehouse.full_name(pattern)
            names = sorted(
                n for n in warehouse.names(like) if fnmatchcase(n, like.table) and not n.startswith("_dpone_")
            )
            return [Dataset((like.dataset, n)) for n in names]

    def set_position(self, target: Target, pipeline: str, position: Position | None) -> None:
        """An operator's word."""
        with self.lease(target, pipeline), connected(self._config) as warehouse:
            books = Books(_checked(warehouse, target))
            known = read_known(warehouse.run(books.known(pipeline), books.target)).get(pipeline)
            if known is None or (known.stored is None and position is not None):
                if position is None:
                    return
                raise never_loaded(books.label, pipeline)
            stored = known.stored
            new = (
                None if position is None or stored is None else Stored(position, stored.generation + 1, stored.load_id)
            )
            warehouse.run(books.state_row(pipeline, known.seq + 1, new), books.target)

    def records(self, target: Target, run_id: str | None = None) -> Sequence[Mapping[str, Json]]:
        with connected(self._config) as warehouse:
            return records_of(warehouse, Books(_checked(warehouse, target)), run_id)

    def diagnose(self) -> Sequence[Finding]:
        return examine(self._config)


def _lease(warehouse: Warehouse, books: Books, found: Mapping[str, Stored], pipeline: str) -> HeldLease:
    def committed(load_id: str) -> bool:
        return bool(warehouse.run(books.committed(load_id), books.target).rows[0][0])

    def chunks(plan: str) -> frozenset[str]:
        return frozenset(chunk for (chunk,) in warehouse.run(books.chunks(plan), books.target).rows)

    return HeldLease(found, pipeline, committed, chunks)


def _checked(warehouse: Warehouse, target: Target) -> Name:
    """The target's full name; one that cannot be is refused before anything is sent."""
    name = warehouse.full_name(target.name)
    assert name.sql
    return name


def _drop_leftovers(warehouse: Warehouse, name: Name) -> None:
    """What runs that died left of this target is gone. Only the holder of the lease may call this."""
    for table in warehouse.names(name):
        if (found := LEFTOVER.fullmatch(table)) and found[1] == name.digest:
            warehouse.drop(name.named(table))


def _reading(name: Name, table: bigquery.Table, spec: StageSpec) -> str:
    """A query that reads what a program may read of the target: the columns that are loaded and are there."""
    loaded = {f.name for f in fields_of(spec.layout)}
    names = ", ".join(BIGQUERY.quote(c.name) for c in table.schema if c.name in loaded) or "1"
    return f"SELECT {names} FROM {name.sql}"  # noqa: S608 - all quoted
