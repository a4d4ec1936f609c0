"""SQL Server as a sink: what it is asked for, each thing from the module that does it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

from msgspec.structs import replace

from dpone.books import HeldLease
from dpone.connector import Dataset, Fate, Finding, Layout, Position, SchemaChange, StageRef, StageSpec, Target
from dpone.names import parse_name
from dpone.sql.operations import render
from dpone.sql.seal import explained
from dpone.strategies import Load
from dpone_mssql.adoption import adoption_of, takeover
from dpone_mssql.config import MssqlConfig
from dpone_mssql.dialect import MSSQL
from dpone_mssql.examining import examine_sink, find_books, find_tables
from dpone_mssql.filling import MssqlWriter, writing
from dpone_mssql.layouts import find_target, layout_of, statements
from dpone_mssql.lease import drop_leftovers, lease_if_free, leased
from dpone_mssql.publishing import MssqlPublication, publishing
from dpone_mssql.session import Connections
from dpone_mssql.staging import MssqlStage, brought_as_text, staged
from dpone_mssql.state import Books, books_of, ensure_books, set_position


@contextmanager
def connect(config: MssqlConfig) -> Iterator[MssqlSink]:
    """A sink, whose sessions last as long as the context: a lease holds one, each stage another."""
    connections = Connections(config, "sink", keeps=True)
    try:
        yield MssqlSink(connections)
    finally:
        connections.close()


class MssqlSink:
    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def inspect(self, target: Target) -> Layout | None:
        with self._connections.brief() as connection:
            found = find_target(connection, target.name)
            return None if found is None else layout_of(found)

    def lease(self, target: Target, pipeline: str) -> AbstractContextManager[HeldLease]:
        return leased(self._connections, target, pipeline)

    def stage(self, spec: StageSpec) -> AbstractContextManager[MssqlStage]:
        return staged(self._connections, spec)

    def writer(self, stage: StageRef, split: str) -> AbstractContextManager[MssqlWriter]:
        return writing(self._connections, stage, split)

    def publication(self, spec: StageSpec, load: Load) -> AbstractContextManager[MssqlPublication]:
        del load  # the program of the spec holds all that matters of it
        return publishing(self._connections, spec)

    def sweep(self, older_than: timedelta) -> Sequence[str]:
        """Stages of runs that died, of every target in the database whose lease is free."""
        dropped: list[str] = []
        with self._connections.session() as connection:
            for schema, label in find_books(connection):
                name = parse_name(label)
                books = Books(schema, label, (name[0], name[1]))
                with lease_if_free(connection, books) as free:
                    if free:
                        stages = drop_leftovers(connection, books, older_than.total_seconds())
                        dropped += [f"{name[0]}.{stage}" for stage in stages]
        return dropped

    def explain(self, spec: StageSpec, changes: Sequence[SchemaChange]) -> Sequence[str]:
        """The statements of the final transaction, the stage's tables under the names of what they hold."""
        table = MSSQL.table(spec.target.name)
        load = explained(spec, table, books_of(spec.target).ledger)
        program = [s.text for op in spec.program for s in render(op, load, MSSQL)]
        in_place = [*statements(table, spec.layout, changes), *program]
        return (
            in_place
            if spec.fate is not Fate.ADOPT
            else self._by_adoption(replace(spec, writers=spec.writers or 1), in_place)
        )

    def _by_adoption(self, spec: StageSpec, in_place: Sequence[str]) -> Sequence[str]:
        """In a comment: which way the stage becomes the target, and what stands against a better one."""
        with self._connections.brief() as connection:
            relation = find_target(connection, spec.target.name)
            found = adoption_of(connection, spec, relation, brought_as_text(spec))
        because = f", because of: {'; '.join(found.reasons)}" if found.reasons else ""
        if not found.makes_target:
            return [f"-- the rows of the stage are copied{because}", *in_place]
        name = parse_name(books_of(spec.target).target)
        return [
            f"-- the stage is bulk loaded once and becomes the target ({found.way.value}{because})",
            *takeover(found.way, MSSQL.table((name[0], "live")), (name[0], name[1]), "old"),
        ]

    def discover(self, pattern: tuple[str, ...]) -> Sequence[Dataset]:
        with self._connections.session() as connection:
            return [Dataset(name) for name in find_tables(connection, pattern)]

    def set_position(self, target: Target, pipeline: str, position: Position | None) -> None:
        with self.lease(target, pipeline), self._connections.session() as connection:
            books = books_of(target)
            ensure_books(connection, books)
            set_position(connection, books, pipeline, position)

    def diagnose(self) -> Sequence[Finding]:
        with self._connections.session(timeout=timedelta(seconds=30)) as connection:
            return examine_sink(connection)
