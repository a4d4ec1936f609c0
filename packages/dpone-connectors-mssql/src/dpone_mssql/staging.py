"""Stages: heaps that the ledger names, filled by bulk copy, sealed by SQL, dropped at the end."""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from msgspec import Struct, field

from dpone.batch import Format
from dpone.connector import CHANGE_FIELDS, Json, Staged, StageRef, StageSpec, Target
from dpone.errors import DataError, DponeError
from dpone.probes import Duplicates, Measure, Measurement, Nulls, Probe, Total
from dpone.schema import INT64, STRING, Field
from dpone.sql.load import SqlLoad
from dpone.sql.probe import read_probe, render_probe
from dpone.sql.seal import RawStage, SealedTables, read_survey, seal_checks, sealed_tables, survey_query
from dpone.sql.statement import Check
from dpone_mssql.adoption import Adoption, Way, adoption_of, creation, stage_columns, takeover
from dpone_mssql.dialect import BINARY_COLLATION, MSSQL
from dpone_mssql.layouts import fields_of, find_target, key_statement
from dpone_mssql.lease import drop_stages
from dpone_mssql.session import Connection, Connections
from dpone_mssql.state import Books, begin_load, books_of
from dpone_mssql.typemap import ENGINE, parse
from dpone_mssql.wires import MSSQL_ARROW

OVERFLOW = 8115
_OPEN, _RAW, _LIVE, _DEAD, _PRESENT, _OLD = "open", "raw", "live", "dead", "present", "old"
_LOCK_TIMEOUT = 30  # seconds
_TABLES = (_OPEN, _RAW, _LIVE, _DEAD, _PRESENT)
SPLIT = "_dpone_split"  # which split wrote a row, so that a second attempt replaces what the first one wrote
SEQ, CHANGE, KEPT = CHANGE_FIELDS
CHANGE_COLUMNS: tuple[Field, ...] = (
    Field(SEQ, INT64, nullable=False, native=f"{ENGINE}:bigint"),
    Field(CHANGE, STRING, nullable=False, native=f"{ENGINE}:nvarchar(1)"),
    Field(KEPT, STRING, native=f"{ENGINE}:nvarchar(max)"),
)


class MssqlStage(Struct):
    spec: StageSpec
    books: Books
    connection: Connection
    names: Mapping[str, str]
    adoption: Adoption
    order: tuple[str, ...]  # of the raw table's columns
    sealed: SealedTables | None = None
    answered: dict[Measure, object] = field(default_factory=dict)
    sums_overflow: bool = False  # a sum is beyond 38 digits, so sums are compared nowhere

    @property
    def ref(self) -> StageRef:
        values = {c.field.name: c.value for c in self.spec.layout.system}
        beside = [f for f in fields_of(self.spec.layout) if f.name not in self.spec.columns]
        payload: dict[str, Json] = {
            "target": list(self.spec.target.name),
            "options": dict(self.spec.target.options),
            "table": self.names[filled(self.spec)],
            "format": self.spec.format,
            "columns": [[f.name, staged_native(f, self.spec.format), str(f.type)] for f in incoming(self.spec)],
            "order": list(self.order),
            "constants": [_constant(f, values.get(f.name)) for f in beside] if self.adoption.makes_target else [],
            "key": list(self.spec.layout.schema.key) if self.adoption.makes_target else [],
        }
        return StageRef(self.names[_RAW], payload)

    @property
    def fields(self) -> tuple[Field, ...]:
        return self.spec.content

    @property
    def received(self) -> int:
        """How many rows came, by the server's count."""
        assert self.sealed is not None  # only sealed stages are published
        return self.sealed.survey.received

    def table(self, part: str) -> str:
        return MSSQL.table((self.books.name[0], self.names[part]))

    def seal(self) -> Staged:
        """Live rows, dead keys and present keys each in a table; what must not be staged was refused."""
        if filled(self.spec) == _OPEN:  # a writer that is at work still has been waited for, a later one finds no table
            limit_waiting(self.connection, self.spec.target)
            self.connection.run(MSSQL.rename(self.table(_OPEN), self.names[_RAW]))
        raw = RawStage(self._typed(), self.fields, tagged=self.spec.is_tagged)
        how = self.spec.sealing
        survey = read_survey(self.connection.one(survey_query(raw, how, MSSQL)))
        checks = seal_checks(raw, how, survey, MSSQL)
        if self.adoption.makes_target and SPLIT in self.order:
            self.connection.run(MSSQL.drop_column(self.table(_RAW), SPLIT))
        if not (self.adoption.makes_target and self._build_key(checks) and how.key == self.spec.layout.schema.key):
            self._check(checks)
        self.sealed, staged = sealed_tables(raw, how, survey, MSSQL, self._make)
        return staged

    def _check(self, checks: Sequence[Check]) -> None:
        for check in checks:
            check.refuse(self.connection.one(check.text)[0])

    def _build_key(self, checks: Sequence[Check]) -> bool:
        """The raw table has the target's key, whose index proves that no two rows share one; False without a key."""
        statement = key_statement(self.table(_RAW), self.spec.layout)
        if statement is None:
            return False
        try:
            self.connection.run(statement)
        except DponeError:
            self._check(checks)  # which say what is wrong better than the index does
            raise
        self.answered |= {Nulls(f.name): 0 for f in self.fields if not f.nullable}
        self.answered[Duplicates(self.spec.layout.schema.key)] = 0
        return True

    @property
    def raw(self) -> str:
        """The table of the rows as they came, which is all that the target will be where the stage becomes it."""
        return self.table(_RAW)

    def takeover(self, way: Way) -> list[str]:
        """The statements by which the raw table becomes the target."""
        return takeover(way, self.raw, self.books.name, self.names[_OLD])

    def _typed(self) -> str:
        """The raw table, or a query that makes of it what columns say that travel as text."""
        if all(staged_native(f, self.spec.format) == MSSQL.spell(f) for f in incoming(self.spec)):
            return self.table(_RAW)
        columns = ", ".join(_typed(f, self.spec.format) for f in incoming(self.spec))
        return f"(SELECT {columns} FROM {self.table(_RAW)} AS w)"

    def _make(self, part: str, _: tuple[Field, ...], query: str) -> tuple[str, int]:
        table = self.table(part)
        return table, self.connection.run(MSSQL.create_as(table, query))

    def measure(self, probe: Probe) -> Measurement:
        """The answers, each looked for once."""
        assert self.sealed is not None  # the runner measures sealed stages
        if unknown := tuple(m for m in probe if m not in self.answered):
            try:
                self.answered |= self._measured(unknown)
            except DataError as error:
                if error.context.get("number") != OVERFLOW or not any(isinstance(m, Total) for m in unknown):
                    raise
                self.sums_overflow = True
                self.answered |= self._measured(unknown)
        return {m: self.answered[m] for m in probe}

    def _measured(self, probe: Probe) -> Measurement:
        assert self.sealed is not None  # asked by `measure`
        asked = summable(probe, overflow=self.sums_overflow)
        if not asked:
            return dict.fromkeys(probe)
        query = render_probe(asked, self.sealed.live, self.fields, MSSQL)
        return dict.fromkeys(probe) | dict(read_probe(asked, self.connection.one(query)))

    def load(self, target: str) -> SqlLoad:
        """The stage as the rendering of operations sees it."""
        assert self.sealed is not None  # only sealed stages are published
        return self.sealed.load(self.spec, target, self.books.ledger)


def _constant(of: Field, value: str | datetime | None) -> Json:
    """A column that batches do not bring, and what it holds in every row."""
    return [of.name, MSSQL.spell(of), str(of.type), value.isoformat() if isinstance(value, datetime) else value]


def summable(probe: Probe, *, overflow: bool) -> Probe:
    """The measures that the server can answer."""
    return tuple(m for m in probe if not (overflow and isinstance(m, Total)))


def incoming(spec: StageSpec) -> tuple[Field, ...]:
    return (*spec.content, *(CHANGE_COLUMNS if spec.is_tagged else ()))


def staged_native(of: Field, in_format: Format) -> str:
    """The type of a raw column: the final one, or text where bulk copy has no way to bring a value in whole."""
    native = MSSQL.spell(of)
    spelled = parse(native)
    match spelled.name:
        case "datetimeoffset" if in_format == MSSQL_ARROW:
            return f"nvarchar(34) COLLATE {BINARY_COLLATION}"
        case "datetime2" if in_format == MSSQL_ARROW and spelled.size in {7, None}:
            return f"nvarchar(27) COLLATE {BINARY_COLLATION}"
        case "hierarchyid" | "sql_variant" | "xml":
            return f"nvarchar(max) COLLATE {BINARY_COLLATION}"
        case "geography" | "geometry" | "image":
            return "varbinary(max)"
        case "text" | "ntext" | "sysname":
            return f"nvarchar(max) COLLATE {BINARY_COLLATION}"
        case "varchar" | "char":  # a code page would replace what it does not have without a word
            return f"nvarchar(max) COLLATE {BINARY_COLLATION}"
        case _:
            return native


def _typed(of: Field, in_format: Format) -> str:
    column, native = f"w.{MSSQL.quote(of.name)}", MSSQL.spell(of)
    staged = staged_native(of, in_format)
    if staged == native:
        return column
    spelled, _, collation = native.partition(" ")
    if spelled in {"text", "ntext"}:
        return column  # which the column itself makes of it
    collated = f" {collation}" if collation else ""  # the code page is that of what is cast
    return f"CAST({column}{collated} AS {spelled}) AS {MSSQL.quote(of.name)}"


def limit_waiting(connection: Connection, target: Target) -> None:
    """The session waits for a lock as long as the manifest says, and then it is an error."""
    seconds = float(target.options.get("lock_timeout", _LOCK_TIMEOUT))
    connection.run(f"SET LOCK_TIMEOUT {int(seconds * 1000)}")


def filled(spec: StageSpec) -> str:
    """The table that writers fill; those of other processes fill one that has another name as soon as it is sealed."""
    return _OPEN if spec.writers is None else _RAW


def _names(spec: StageSpec) -> dict[str, str]:
    digest = hashlib.sha256("\0".join((spec.load_id, *spec.target.name)).encode()).hexdigest()[:20]
    return {part: f"_dpone_{digest}_{part}" for part in (*_TABLES, _OLD)}


def stage_name(spec: StageSpec) -> str:
    return _names(spec)[_RAW]


def brought_as_text(spec: StageSpec) -> list[str]:
    """Columns that bulk copy cannot bring as what they are."""
    return [f.name for f in incoming(spec) if staged_native(f, spec.format) != MSSQL.spell(f)]


@contextmanager
def staged(connections: Connections, spec: StageSpec) -> Iterator[MssqlStage]:
    """Room for the rows of one load; in the end its tables are gone, whatever happened."""
    books, names = books_of(spec.target), _names(spec)
    tables = [names[part] for part in _TABLES]
    with connections.brief() as lent:
        relation = find_target(lent, spec.target.name)
        adoption = adoption_of(lent, spec, relation, brought_as_text(spec))
    with connections.session() as connection:
        raw = MSSQL.table((books.name[0], names[filled(spec)]))
        mark = (SPLIT,) if spec.writers != 1 or not adoption.makes_target else ()
        if adoption.makes_target:
            order = (*(f.name for f in stage_columns(spec, relation)), *mark)
            made = creation(raw, spec, relation, mark)
        else:
            order = (*(f.name for f in incoming(spec)), *mark)
            columns = [f"{MSSQL.quote(f.name)} {staged_native(f, spec.format)} NULL" for f in incoming(spec)]
            made = f"CREATE TABLE {raw} ({', '.join([*columns, f'{SPLIT} bigint NOT NULL'])})"
        stage = MssqlStage(spec, books, connection, names, adoption, order)
        with connection.transaction():
            begin_load(connection, books, spec.load_id, spec.pipeline, tables)
        for part in _TABLES:  # what an earlier attempt of the same load left
            connection.run(MSSQL.drop(stage.table(part)))
        connection.run(made)
        try:
            yield stage
        finally:
            connection.undo()
            if not connection.closed:
                drop_stages(connection, books, spec.load_id, tables)
