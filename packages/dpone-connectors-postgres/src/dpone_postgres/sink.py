"""PostgreSQL as a sink: what it is asked for, each thing from the module that does it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

from dpone.books import HeldLease
from dpone.connector import (
    Dataset,
    Fate,
    Finding,
    Json,
    KeptStage,
    Layout,
    Position,
    SchemaChange,
    Stage,
    Staged,
    StageRef,
    StageSpec,
    Target,
)
from dpone.names import parse_name
from dpone.segments import Extent
from dpone.sql.operations import render
from dpone.sql.seal import explained
from dpone.strategies import Load
from dpone_postgres.config import PostgresConfig
from dpone_postgres.connections import Connections
from dpone_postgres.dialect import POSTGRES
from dpone_postgres.examining import examine_sink, find_books, find_tables
from dpone_postgres.filling import PostgresWriter, writing
from dpone_postgres.layouts import dialect_for, find_target, layout_of, statements
from dpone_postgres.lease import drop_leftovers, drop_stages, lease_if_free, leased
from dpone_postgres.publishing import PostgresPublication, publishing
from dpone_postgres.segments import PostgresSegments, segmented
from dpone_postgres.staging import (
    PostgresStage,
    stage_name,
    staged,
    taken_up,
    why_not_adopted,
)
from dpone_postgres.state import (
    Books,
    books_of,
    ensure_books,
    kept_loads,
    leftovers,
    loaded_records,
    set_position,
)


@contextmanager
def open_sink(config: PostgresConfig) -> Iterator[PostgresSink]:
    """A sink, whose connections last as long as the context: a lease holds one, each stage another."""
    connections = Connections(config, "sink", keeps=True)
    connections.log_in_ahead()
    try:
        yield PostgresSink(config, connections)
    finally:
        connections.close()


class PostgresSink:
    def __init__(self, config: PostgresConfig, connections: Connections | None = None) -> None:
        self._connections = connections or Connections(config, "sink")
        self._stages: dict[str, PostgresStage] = {}  # those in use, by their names

    def inspect(self, target: Target) -> Layout | None:
        with self._connections.brief() as connection:
            found = find_target(connection, target.name)
            return None if found is None else layout_of(found)

    def lease(self, target: Target, pipeline: str) -> AbstractContextManager[HeldLease]:
        return leased(self._connections, target, pipeline)

    @contextmanager
    def stage(self, spec: StageSpec) -> Iterator[PostgresStage]:
        with staged(self._connections, spec) as stage:
            self._stages[stage.ref.id] = stage
            try:
                yield stage
            finally:
                del self._stages[stage.ref.id]

    def keep_stage(self, stage: Stage, note: Mapping[str, Json]) -> bool:
        assert isinstance(stage, PostgresStage)  # it came from this sink
        return stage.keep(note)

    def kept_stages(self, target: Target) -> Sequence[KeptStage]:
        with self._connections.brief() as connection:
            found = kept_loads(connection, books_of(target))
        return [KeptStage(load_id, pipeline, kept["note"]) for load_id, pipeline, kept in found]

    @contextmanager
    def adopt_stage(self, spec: StageSpec) -> Iterator[tuple[PostgresStage, Staged]]:
        with self._connections.brief() as connection:
            found = {load_id: kept for load_id, _, kept in kept_loads(connection, books_of(spec.target))}
        with taken_up(self._connections, spec, found[spec.load_id]) as (stage, staged):
            self._stages[stage.ref.id] = stage
            try:
                yield stage, staged
            finally:
                del self._stages[stage.ref.id]

    def drop_stage(self, target: Target, load_id: str) -> None:
        books = books_of(target)
        with self._connections.session() as connection:  # chunks are staged by several threads
            stages = dict(leftovers(connection, books, also_kept=True))
            drop_stages(connection, books, load_id, stages.get(load_id, []))

    def records(self, target: Target, run_id: str | None = None) -> Sequence[Mapping[str, Json]]:
        with self._connections.brief() as connection:
            books = books_of(target)
            ensure_books(connection, books)
            return loaded_records(connection, books, run_id)

    def writer(self, stage: StageRef, split: str) -> AbstractContextManager[PostgresWriter]:
        return writing(self._connections, stage, split, self._stages.get(stage.id))

    def publication(self, spec: StageSpec, load: Load) -> AbstractContextManager[PostgresPublication]:
        del load  # the program of the spec holds all that matters of it
        return publishing(self._connections, spec, self._stages.get(stage_name(spec)))

    def sweep(self, older_than: timedelta) -> Sequence[str]:
        """Stages of runs that died, of every target in the database whose lease is free."""
        dropped: list[str] = []
        with self._connections.session() as connection:
            for schema, label in find_books(connection):
                name = parse_name(label)
                books = Books(schema, label, (name[0], name[1]))
                with lease_if_free(connection, books) as free:
                    if free:
                        ensure_books(connection, books)
                        stages = drop_leftovers(connection, books, older_than.total_seconds(), also_kept=True)
                        dropped += [f"{name[0]}.{stage}" for stage in stages]
        return dropped

    def explain(self, spec: StageSpec, changes: Sequence[SchemaChange]) -> Sequence[str]:
        """The statements of the final transaction, the stage's tables under the names of what they hold."""
        table = POSTGRES.table(spec.target.name)
        load = explained(spec, table, books_of(spec.target).ledger)
        with self._connections.brief() as connection:
            relation = find_target(connection, spec.target.name)
            dialect = dialect_for(connection, relation, spec.layout, spec.sealing.key)
        program = [s.text for op in spec.program for s in render(op, load, dialect)]
        return [*self._fate(spec), *statements(table, spec.layout, changes), *program]

    def _fate(self, spec: StageSpec) -> list[str]:
        """In a comment: what becomes of a stage that could be the target, and why not if it cannot."""
        if spec.fate is not Fate.ADOPT:
            return []
        with self._connections.brief() as connection:
            reasons = why_not_adopted(connection, spec)
        if reasons:
            return [f"-- rows are exchanged in place, since a new table would lose: {'; '.join(reasons)}"]
        return [
            "-- the stage becomes the target; while older snapshots are in use, rows are exchanged in place instead:"
        ]

    def discover(self, pattern: tuple[str, ...]) -> Sequence[Dataset]:
        with self._connections.session() as connection:
            return [Dataset(name) for name in find_tables(connection, pattern)]

    def set_position(self, target: Target, pipeline: str, position: Position | None) -> None:
        with self.lease(target, pipeline), self._connections.session() as connection:
            books = books_of(target)
            ensure_books(connection, books)
            set_position(connection, books, pipeline, position)

    def segments(self, extent: Extent) -> AbstractContextManager[PostgresSegments]:
        return segmented(self._connections, extent)

    def diagnose(self) -> Sequence[Finding]:
        with self._connections.session(timeout=timedelta(seconds=30)) as connection:
            return examine_sink(connection)
