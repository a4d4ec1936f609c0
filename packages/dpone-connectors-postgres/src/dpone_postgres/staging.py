"""Stages: unlogged tables that the ledger names, written by COPY, sealed by SQL, dropped at the end."""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import psycopg
from msgspec import Struct, field
from msgspec.structs import asdict, replace

from dpone.connector import Fate, Json, Staged, StageRef, StageSpec, SystemColumn, Target
from dpone.ops import Recreate, ReplaceAll
from dpone.probes import Duplicates, Measure, Measurement, Nulls, Probe, Rows
from dpone.schema import Field
from dpone.sql.load import SqlLoad
from dpone.sql.probe import read_probe, render_probe
from dpone.sql.seal import (
    RawStage,
    SealedTables,
    Survey,
    is_sealed_as_it_came,
    read_survey,
    seal_checks,
    sealed_tables,
    survey_query,
)
from dpone.stage import duplicate_key
from dpone_postgres.catalog import find_relation
from dpone_postgres.connections import Connections
from dpone_postgres.dialect import POSTGRES
from dpone_postgres.faults import translated
from dpone_postgres.lease import drop_stages
from dpone_postgres.selecting import CHANGE_COLUMNS
from dpone_postgres.session import Connection
from dpone_postgres.state import Books, begin_load, books_of, is_committed, keep_load
from dpone_postgres.swapping import is_unpublished, obstacles

_OPEN, _RAW, _LIVE, _DEAD, _PRESENT, _KEY = "open", "raw", "live", "dead", "present", "key"
_TABLES = (_OPEN, _RAW, _LIVE, _DEAD, _PRESENT)
_UNJOINED = (Recreate, ReplaceAll)  # operations that read the stage once, whatever its statistics say
_ROOM_TO_SORT = (
    b"SELECT pg_catalog.set_config('maintenance_work_mem', '256MB', true) WHERE pg_catalog.pg_size_bytes("
    b"pg_catalog.current_setting('maintenance_work_mem')) < 268435456"
)
_NO_VACUUM = "WITH (autovacuum_enabled = false)"  # it lives for minutes, and is analysed when sealed
_LOCK_TIMEOUT = 30.0  # seconds
_EXACT_TUPLES = 1 << 24  # the catalogue counts in float4, which holds every whole number below this


class PostgresStage(Struct):
    spec: StageSpec
    books: Books
    connection: Connection
    label: str
    names: Mapping[str, str]
    becomes_target: bool  # it has all columns of the target, which is not there yet or can be swapped
    is_private: bool  # it was made in a transaction that is still open, and is gone with it
    written: dict[str, int] = field(default_factory=dict)  # the server's counts of what each private split brought
    sealed: SealedTables | None = None
    adopted_by: Connection | None = None
    answered: dict[Measure, object] = field(default_factory=dict)
    is_kept: bool = False

    @property
    def ref(self) -> StageRef:
        payload: dict[str, Json] = {
            "target": list(self.spec.target.name),
            "options": dict(self.spec.target.options),
            "load_id": self.spec.load_id,
            "table": self.names[filled(self.spec)],
            "format": self.spec.format,
            "columns": [[f.name, POSTGRES.spell(f)] for f in incoming(self.spec)],
            "key": list(self.spec.sealing.key),
        }
        return StageRef(self.names[_RAW], payload)

    @property
    def fields(self) -> tuple[Field, ...]:
        return self.spec.content

    @property
    def raw(self) -> str:
        """The table that writers fill."""
        return self.table(_RAW)

    def table(self, part: str) -> str:
        return POSTGRES.table((self.books.name[0], self.names[part]))

    def seal(self) -> Staged:
        """Live rows, dead keys and present keys each in a table; what must not be staged was refused."""
        raw = RawStage(self.table(_RAW), self.fields, tagged=self.spec.is_tagged)
        how = self.spec.sealing
        with translated("sink", self.label):
            if self.is_private:
                survey = Survey(sum(self.written.values()))
            else:
                self._shut()
                survey = read_survey(self._ask(survey_query(raw, how, POSTGRES)))
            if self.adoptable and (key := self.spec.layout.schema.key or how.key):
                self._index_key(key)
            if not self.adoptable or (how.key and how.key != self.spec.layout.schema.key):
                for check in seal_checks(raw, how, survey, POSTGRES):
                    check.refuse(self._ask(check.text)[0])
            self.sealed, staged = sealed_tables(raw, how, survey, POSTGRES, self._make)
            if self.adoptable:
                self.answered |= self._proven()
            if not all(isinstance(op, _UNJOINED) for op in self.spec.program):
                self.connection.execute(f"ANALYZE {self.sealed.live}".encode())
        return staged

    def _shut(self) -> None:
        """A writer elsewhere that is at work still has been waited for, and one that comes later finds no table."""
        if filled(self.spec) == _OPEN:
            rename = f"ALTER TABLE {self.table(_OPEN)} RENAME TO {POSTGRES.quote(self.names[_RAW])}"
            with self.connection.transaction():
                limit_waiting(self.connection, self.spec.target)
                self.connection.execute(rename.encode())

    def keep(self, note: Mapping[str, Json]) -> bool:
        """The ledger says that the stage is sealed, and how; False for one that goes with its transaction."""
        if self.is_private:
            return False
        assert self.sealed is not None  # the runner keeps sealed stages
        facts = {
            "note": note,
            "becomes_target": self.becomes_target,
            "survey": asdict(self.sealed.survey),
            "parts": [part for part in _TABLES if self.table(part) in self.sealed.tables],
        }
        keep_load(self.connection, self.books, self.spec.load_id, facts)
        self.is_kept = True
        return True

    def take_up(self, facts: Json) -> Staged:
        """The stage is sealed as an earlier process left it; what its tables hold now."""
        parts: Sequence[str] = facts["parts"]
        dead, present = (self.table(part) if part in parts else None for part in (_DEAD, _PRESENT))
        live = self.table(_LIVE if _LIVE in parts else _RAW)
        self.sealed = SealedTables(Survey(**facts["survey"]), live, dead, present)
        self.is_kept = True
        with translated("sink", self.label):
            received, rows, gone, there = (self._count(table) for table in (self.raw, live, dead, present))
        return Staged(received, rows, gone, there, cleared=self.sealed.survey.cleared)

    @property
    def adoptable(self) -> bool:
        """The raw table, once sealed, can be the target as it is."""
        raw = RawStage(self.table(_RAW), self.fields, tagged=self.spec.is_tagged)
        return self.becomes_target and is_sealed_as_it_came(raw, self.spec.sealing)

    def _index_key(self, key: Sequence[str]) -> None:
        """The key's index is built now, and finds what the seal's own check would have to sort for as well."""
        columns = ", ".join(map(POSTGRES.quote, key))
        name = POSTGRES.quote(self.names[_KEY])
        self.connection.execute(_ROOM_TO_SORT)
        try:
            self.connection.execute(f"CREATE UNIQUE INDEX {name} ON {self.table(_RAW)} ({columns})".encode())
        except psycopg.errors.UniqueViolation:
            raise duplicate_key((), tuple(key)) from None
        if self.is_private:
            self._take_count(name)

    def _take_count(self, index: str) -> None:
        """How many rows the build of the index found, which is how many there are where no row was ever deleted."""
        built = POSTGRES.text(f"{POSTGRES.quote(self.books.name[0])}.{index}")
        (tuples,) = self._ask(f"SELECT reltuples FROM pg_catalog.pg_class WHERE oid = {built}::pg_catalog.regclass")
        if tuples < _EXACT_TUPLES:
            self.answered[Rows()] = int(tuples)

    def _make(self, part: str, _: tuple[Field, ...], query: str) -> tuple[str, int]:
        table = self.table(part)
        done = self.connection.execute(f"CREATE UNLOGGED TABLE {table} {_NO_VACUUM} AS {query}".encode())
        return table, done.rowcount

    def _proven(self) -> dict[Measure, object]:
        """What the table's constraints and its key's index prove, so that nobody need look for it."""
        proven: dict[Measure, object] = {Nulls(f.name): 0 for f in self.fields if not f.nullable}
        return proven | {Duplicates(key): 0 for key in (self.spec.layout.schema.key,) if key}

    def refuse_restarted(self) -> None:
        """Raises when the server crashed since the stage was made: unlogged tables are then empty.

        A crash ends every connection. Asked within a transaction that began on another one, the answer holds until it
        ends.
        """
        self.connection.execute("SELECT 1")

    def measure(self, probe: Probe) -> Measurement:
        """The answers, each looked for once."""
        assert self.sealed is not None  # the runner measures sealed stages
        if unknown := tuple(m for m in probe if m not in self.answered):
            query = render_probe(unknown, self.sealed.live, self.fields, POSTGRES)
            with translated("sink", self.label):
                row = (self.adopted_by or self.connection).execute(query.encode()).fetchone()
            assert row is not None
            self.answered |= read_probe(unknown, row)
        return {m: self.answered[m] for m in probe}

    @property
    def received_rows(self) -> int:
        """How many rows came, by the server's count."""
        assert self.sealed is not None  # only sealed stages are published
        return self.sealed.survey.received

    def adopted(self, by: Connection, table: str) -> None:
        """The rows are the target now, which only the adopting transaction sees until it commits."""
        assert self.sealed is not None  # only sealed stages are adopted
        self.adopted_by = by
        self.sealed = replace(self.sealed, live=table)

    def build(self, indexes: Sequence[tuple[str, bool, str]]) -> list[str]:
        """Indexes of these definitions are on the raw table, under names of its own."""
        names = [f"{self.names[_KEY]}{number}" for number in range(len(indexes))]
        for name, (_, is_unique, definition) in zip(names, indexes, strict=True):
            kind = "UNIQUE INDEX" if is_unique else "INDEX"
            self.connection.execute(f"CREATE {kind} {POSTGRES.quote(name)} ON {self.raw} {definition}".encode())
        return names

    def load(self, target: str) -> SqlLoad:
        """The stage as the rendering of operations sees it."""
        assert self.sealed is not None  # only sealed stages are published
        return self.sealed.load(self.spec, target, self.books.ledger)

    def _ask(self, query: str) -> tuple[int, ...]:
        row = self.connection.execute(query.encode()).fetchone()
        assert row is not None
        return row

    def _count(self, table: str | None) -> int:
        return 0 if table is None else self._ask(f"SELECT COUNT(*) FROM {table}")[0]


def incoming(spec: StageSpec) -> tuple[Field, ...]:
    return (*spec.content, *(CHANGE_COLUMNS if spec.is_tagged else ()))


def limit_waiting(connection: Connection, target: Target) -> None:
    """The open transaction waits for a lock as long as the manifest says, and then it is an error."""
    seconds = float(target.options.get("lock_timeout", _LOCK_TIMEOUT))
    connection.execute(f"SET LOCAL lock_timeout = {int(seconds * 1000)}".encode())


def filled(spec: StageSpec) -> str:
    """The table that writers fill; those of other processes fill one that has another name as soon as it is sealed."""
    return _OPEN if spec.writers is None else _RAW


def _names(spec: StageSpec) -> dict[str, str]:
    digest = hashlib.sha256("\0".join((spec.load_id, *spec.target.name)).encode()).hexdigest()[:20]
    return {part: f"_dpone_{digest}_{part}" for part in (*_TABLES, _KEY)}


def stage_name(spec: StageSpec) -> str:
    return _names(spec)[_RAW]


@contextmanager
def staged(connections: Connections, spec: StageSpec) -> Iterator[PostgresStage]:
    """Room for the rows of one load; in the end its tables are gone, whatever happened."""
    books, names = books_of(spec.target), _names(spec)
    as_it_comes = is_sealed_as_it_came(RawStage("", (), tagged=spec.is_tagged), spec.sealing)
    adopts = spec.fate is Fate.ADOPT and as_it_comes
    if adopts:
        connections.log_in_ahead()
        with connections.brief() as lent:
            adopts = not why_not_adopted(lent, spec)
    with connections.session() as connection:
        is_private = adopts and spec.writers == 1
        stage = PostgresStage(spec, books, connection, connections.label, names, adopts, is_private)
        if is_private:
            # an abandoned transaction leaves nothing, and rows of a table that is new in it can be frozen
            begin_private(stage)
            yield stage
            return
        with connection.transaction():
            begin_load(connection, books, spec.load_id, spec.pipeline, table_names(spec))
        drop_tables(stage)
        connection.execute(_creation(stage))
        try:
            yield stage
        finally:
            end_stage(stage)


@contextmanager
def taken_up(connections: Connections, spec: StageSpec, facts: Json) -> Iterator[tuple[PostgresStage, Staged]]:
    """The kept stage of an earlier process; in the end its tables are gone if its load is committed."""
    with connections.session() as connection:
        stage = PostgresStage(
            spec,
            books_of(spec.target),
            connection,
            connections.label,
            _names(spec),
            becomes_target=bool(facts["becomes_target"]),
            is_private=False,
        )
        try:
            yield stage, stage.take_up(facts)
        finally:
            end_stage(stage)


def end_stage(stage: PostgresStage) -> None:
    """The stage's tables are gone, unless they are kept for a load that is not committed."""
    connection, books, load_id = stage.connection, stage.books, stage.spec.load_id
    if connection.closed or (stage.is_kept and not is_committed(connection, books, load_id)):
        return
    drop_stages(connection, books, load_id, table_names(stage.spec))


def table_names(spec: StageSpec) -> list[str]:
    names = _names(spec)
    return [names[part] for part in _TABLES]


def begin_private(stage: PostgresStage) -> None:
    """The stage's transaction is open, and the table that writers fill is in it, empty."""
    stage.connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
    stage.connection.execute(_creation(stage))
    stage.written.clear()


def why_not_adopted(connection: Connection, spec: StageSpec) -> list[str]:
    """What stands against a stage that becomes the target; empty when nothing does."""
    relation = find_relation(connection, spec.target.name)
    if relation is None:
        return [] if is_unpublished(connection, spec.target.name[0]) else ["every new table of its schema is published"]
    if spec.writers is not None and spec.writers > 1:
        return ["several writers fill the stage"]  # whose rows are not frozen, and nothing to an older snapshot
    return obstacles(connection, relation)


def _creation(stage: PostgresStage) -> bytes:
    """The statement that makes the raw table; one that will be the target requires what that requires."""
    spec, adopts = stage.spec, stage.becomes_target
    columns = [
        f"{POSTGRES.quote(f.name)} {POSTGRES.spell(f)}{' NOT NULL' if adopts and not f.nullable else ''}"
        for f in incoming(spec)
    ]
    if adopts:
        columns += map(_with_default, spec.layout.system)
    kind = "TABLE" if adopts else "UNLOGGED TABLE"
    # autovacuum sees no table of an open transaction; and without the setting, the key's build counts what is visible
    options = "" if stage.is_private else _NO_VACUUM
    return f"CREATE {kind} {stage.table(filled(spec))} ({', '.join(columns)}) {options}".encode()


def _with_default(column: SystemColumn) -> str:
    """A system column that the incoming rows do not have; a constant of the load is its default until it is adopted."""
    default = "" if column.value is None else f" DEFAULT {POSTGRES.literal(column.value, column.field.type)}"
    required = "" if column.field.nullable else " NOT NULL"
    return f"{POSTGRES.quote(column.field.name)} {POSTGRES.spell(column.field)}{default}{required}"


def adoption(stage: PostgresStage, name: str, key_name: str | None = None) -> Iterator[str]:
    """The statements that make the raw table the target of that name, with its key."""
    table, layout = stage.table(_RAW), stage.spec.layout
    steps = [f"ALTER {POSTGRES.quote(c.field.name)} DROP DEFAULT" for c in layout.system if c.value is not None]
    if steps:
        yield f"ALTER TABLE {table} {', '.join(steps)}"
    if layout.schema.key:
        constraint = POSTGRES.quote(key_name or _fitting(f"{name}_pkey"))
        index = POSTGRES.quote(stage.names[_KEY])
        yield f"ALTER TABLE {table} ADD CONSTRAINT {constraint} PRIMARY KEY USING INDEX {index}"
    if not stage.is_private:
        yield f"ALTER TABLE {table} RESET (autovacuum_enabled)"
    yield POSTGRES.rename(table, name)


def _fitting(name: str) -> str:
    """The name, or one as long as a name may be that still tells tables apart."""
    if POSTGRES.identifier_length(name) <= POSTGRES.max_identifier:
        return name
    return f"_dpone_{hashlib.sha256(name.encode()).hexdigest()[:24]}_pkey"


def drop_tables(stage: PostgresStage) -> None:
    """What an earlier attempt of the same load left is gone."""
    tables = ", ".join(stage.table(part) for part in _TABLES)
    stage.connection.execute(f"DROP TABLE IF EXISTS {tables}".encode())
