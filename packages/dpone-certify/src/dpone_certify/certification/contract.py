"""A case of mock_contract: no service, three computations that know nothing of each other, and they must agree.

What must be there is said by the postcondition; what is there by the compiled program, carried out in the default SQL
rendering on SQLite or as the records of a log; the oracle is the third.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from dpone import oracle, stage
from dpone.connector import Connector
from dpone.errors import DataError, DponeError
from dpone.integration_matrix import Case
from dpone.ops import Program
from dpone.oracle import Table
from dpone.plan import Plan, print_op
from dpone.schema import STRING, Field, Kind, Schema, timestamptz
from dpone.stage import Duplicates, Sealed, Sealing
from dpone.strategies import Load, Read
from dpone_certify.certification import asked, records, seeded, wide
from dpone_certify.certification.comparing import Comparison, Digests, compare
from dpone_certify.certification.document import Volume
from dpone_certify.certification.guided import guide_problem
from dpone_certify.certification.outcome import Outcome
from dpone_certify.certification.planning import Compiled, compiled, loaded, manifest_of, text_of
from dpone_certify.certification.planning import Ends as Connectors
from dpone_certify.certification.reading import Entries, entries_of
from dpone_certify.certification.rehearsing import Rehearsed, Spelling, Stored
from dpone_certify.certification.seeded import CORE, KEY, SEQ, WIDE, Row
from dpone_certify.certification.statements import misread, statements_of
from dpone_certify.certification.volume import rows_expected, versions_closed, volume_of
from dpone_certify.certification.wide import WideColumn
from dpone_certify.postconditions.judge import expected
from dpone_certify.postconditions.options import Options, Refused

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)  # of the first load; what is certified here depends on no clock
_DAY = timedelta(days=1)
_SAMPLE = 40  # rows that hold each of their wide columns in a column of its own
_TEXT = frozenset({Kind.JSON, Kind.UUID})  # SQLite has no such type


class World(Struct):
    """What the cases of one source share: its columns and rows, and how they are stored. No result is shared."""

    source: Connector[Any]
    volume: Volume
    columns: tuple[WideColumn, ...]
    before: list[Row]
    after: list[Row]
    spelling: Spelling = field(default_factory=Spelling)
    digests: Digests[Stored] = field(default_factory=Digests)
    targets: dict[str, list[Row]] = field(default_factory=dict)  # by strategy: what the second load finds

    @property
    def by_cursor(self) -> bool:
        assert self.source.source is not None  # it is a source of the matrix
        return self.source.source.by_cursor

    def target(self, strategy: str) -> list[Row]:
        """The target as the first load leaves it, which is where the second one begins."""
        if strategy not in self.targets:
            options = asked.options_of(strategy, self.volume, first=True, at=AT, by_cursor=self.by_cursor)
            self.targets[strategy] = [dict(row) for row in expected(strategy, [], self.before, [], options)]
        return self.targets[strategy]


def world_of(source: Connector[Any], sinks: Sequence[Connector[Any]], volume: Volume) -> World:
    """The source with all its rows."""

    def samples(native: str) -> Sequence[Any]:
        return wide.typical(source.types.read(native))

    columns = tuple(wide.wide_columns(source, sinks, volume.wide_columns, samples))

    def packed(number: int, version: int) -> str:
        return wide.pack(wide.sparse(columns, number, version, volume.seed))

    return World(source, volume, columns, seeded.before(volume, packed), seeded.after(volume, packed))


# ---------------------------------------------------------------------------- a case


def certify(case: Case, world: World, sink: Connector[Any]) -> Outcome:
    """The case, carried out and compared; nothing of it is taken from another one."""
    found = Outcome(case)
    ends = Connectors(world.source, sink)
    plans: list[Compiled] = []
    found.check("manifest", lambda: _plan(found, world, ends, plans))
    found.check("package", lambda: _packages(ends))
    found.check("guide", lambda: guide_problem(case.source, case.sink))
    if not plans:
        found.not_run("three_computations", "the manifest has no plan")
        return found
    found.check("statements", lambda: _read_statements(found, plans[0], sink))
    found.check("three_computations", lambda: _at_volume(case, world, plans[0].plan, sink))
    found.check("sampled_wide_columns", lambda: _sampled(case, world, plans[0].plan, sink))
    return found


def _plan(found: Outcome, world: World, ends: Connectors, plans: list[Compiled]) -> str | None:
    """The manifest is read and compiled for the schema of the source, wide columns and all."""
    case = found.case
    document = manifest_of(
        case, ends, asked.strategy_of(case.strategy, world.volume, first=True, by_cursor=world.by_cursor)
    )
    found.manifest = text_of(document)
    manifest = loaded(document, ends)
    schema = Schema((*CORE, *(c.field for c in world.columns)), (KEY,))
    loads = [_load(case.strategy, world.volume, schema.names, first=first) for first in (True, False)]
    plan = compiled(manifest, schema, ends, loads)
    plans.append(plan)
    found.program = tuple(print_op(op) for op in plan.second.program)
    if plan.plan.strategy != case.strategy:
        return f"it is compiled as {plan.plan.strategy}"
    if len(world.columns) != world.volume.wide_columns:
        return f"{world.source.name} has no type that every sink keeps, {len(world.columns)} wide columns were made"
    return None


def _packages(ends: Connectors) -> str | None:
    for connector in (ends.source, ends.sink):
        try:
            version(connector.distribution)
        except PackageNotFoundError:
            return f"the distribution {connector.distribution} of {connector.name} is not installed"
        if not (connector.profile.name.startswith(f"{connector.name}_") and connector.profile.meaning):
            return f"{connector.name} names no profile that a live endpoint of it satisfies"
    return None


def _read_statements(found: Outcome, plan: Compiled, sink: Connector[Any]) -> str | None:
    assert sink.sink is not None
    if sink.sink.dialect is None:
        found.notes.append(f"{sink.name} is sent records, and no statements")
        return None
    dialect = sink.sink.dialect()
    grammar = dialect.grammar or dialect.name
    changes = plan.plan.rule.read is Read.CHANGES
    texts = [text for load in (plan.first, plan.second) for text in statements_of(load, dialect, changes=changes)]
    found.statements = tuple(dict.fromkeys(texts))
    wrong = [problem for text in found.statements if (problem := misread(text, grammar))]
    return "; ".join(wrong) or None


# -------------------------------------------------------------------- computations


def _load(strategy: str, volume: Volume, columns: tuple[str, ...], *, first: bool) -> Load:
    """The load as the plan of the same manifest has it; see `_program`."""
    options = asked.options_of(strategy, volume, first=first, at=None)
    return Load(
        id="first" if first else "second",
        at=AT if first else AT + _DAY,
        columns=columns,
        key=options.key,
        first=first,
        slice_column=options.slice_column,
        bounds=options.bounds,
    )


def _program(
    plan: Plan, strategy: str, volume: Volume, columns: tuple[str, ...], *, first: bool
) -> tuple[Load, Program]:
    """The plan's own program over these columns, with the time and the range of one of the two loads."""
    own = _load(strategy, volume, columns, first=first)
    load = replace(plan.load, id=own.id, at=own.at, columns=columns, first=first, bounds=own.bounds)
    return load, plan.rule.program(load)


def _at_volume(case: Case, world: World, plan: Plan, sink: Connector[Any]) -> Comparison | str:
    """The second load, over all rows. The sparse columns travel packed as one."""
    volume = world.volume
    columns = (*(replace(f, nullable=f.name != KEY) for f in CORE), Field(WIDE, STRING))
    names = tuple(f.name for f in columns)
    options = asked.options_of(case.strategy, volume, first=False, at=AT + _DAY, by_cursor=world.by_cursor)
    load, program = _program(plan, case.strategy, volume, names, first=False)
    entries = entries_of(plan.rule.read, world.before, world.after, options)
    trial = Trial(case.strategy, columns, load, program, entries, Duplicates.FAIL, (), sink, world.spelling)
    found = trial.carry_out(world.before, world.after, world.target(case.strategy), options)
    if problem := found.disagreement(world.digests, trial.fields):
        return problem
    compared = found.compared("three_computations", world.digests, trial.fields, [KEY])
    if (
        rows := rows_expected(case.strategy, volume, by_cursor=world.by_cursor)
    ) is not None and rows != compared.actual_rows:
        return f"{compared.actual_rows} rows, and the volume model says {rows}"
    closed = sum(row[-1] is not None for row in found.actual)
    if case.strategy == "scd2" and closed != versions_closed(volume):
        return f"{closed} versions have ended, and the volume model says {versions_closed(volume)}"
    return compared


@cache
def _small(row_count: int, change_ratio: float, delete_ratio: float, seed: int) -> Volume:
    """A sample with the shares of the whole, where they leave a row on each side of every bound."""
    try:
        return volume_of(min(_SAMPLE, row_count), change_ratio, delete_ratio, seed)
    except DponeError:
        return volume_of(min(_SAMPLE, row_count), 0.3, 0.1, seed)


def _sampled(case: Case, world: World, plan: Plan, sink: Connector[Any]) -> Comparison | str:
    """A first load, a second one with doubled keys, that one again, and an emptied source, with every column there."""
    whole = world.volume
    volume = _small(whole.row_count, whole.change_ratio, whole.delete_ratio, whole.seed)
    before, after = _wide_rows(volume, world, 0), _wide_rows(volume, world, 1)
    fields = (
        *(replace(f, nullable=f.name != KEY) for f in CORE),
        *(Field(c.field.name, STRING if c.field.type.kind in _TEXT else c.field.type) for c in world.columns),
    )
    names = tuple(f.name for f in fields)
    spelling, digests = Spelling(), Digests[Stored]()
    compared: Comparison | None = None
    target: list[Row] = []
    read = plan.rule.read
    is_log = case.strategy == "cdc" or (case.strategy == "incremental_merge" and not world.by_cursor)
    doubles = Duplicates.FAIL if is_log or case.strategy == "incremental_append" else Duplicates.LAST
    for first, old, new, at in (
        (True, [], before, AT),
        (False, before, after, AT + _DAY),
        (False, after, after, AT + 2 * _DAY),
        (False, after, [], AT + 3 * _DAY),
    ):
        asked_for = asked.options_of(case.strategy, volume, first=first, at=at, by_cursor=world.by_cursor)
        options = _sample_options(replace(asked_for, columns=names), case.strategy, first=first, old=old, new=new)
        read_rows = new
        if doubles is Duplicates.LAST:
            options = replace(options, duplicates="last", order=(SEQ,))
            written = [row for row in new if (row[KEY],) in options.touched]
            read_rows = [*new, *_doubled(written)]
        load, program = _program(plan, case.strategy, volume, names, first=first)
        load = replace(load, at=at)
        program = plan.rule.program(load)
        entries = entries_of(read, old, read_rows, options)
        order = (SEQ,) if doubles is Duplicates.LAST else ()
        trial = Trial(case.strategy, fields, load, program, entries, doubles, order, sink, spelling)
        found = trial.carry_out(old, read_rows, target, options)
        if problem := found.disagreement(digests, trial.fields):
            return problem
        if found.refused is None:
            compared = found.compared("sampled_wide_columns", digests, trial.fields, [KEY])
            if not compared.is_same:
                return compared
            target = found.rows
    return compared or "every load was refused"


def _sample_options(options: Options, strategy: str, *, first: bool, old: list[Row], new: list[Row]) -> Options:
    if first or old is not new:
        touched = options.touched if new else asked.keys_of(int(str(row[KEY])) for row in old)
        return replace(options, touched=touched)
    return replace(options, touched=frozenset(), since=_greatest_seen(strategy, new, options))


def _greatest_seen(strategy: str, rows: list[Row], options: Options) -> object:
    """Where the window of a third load begins, when the second one has read everything."""
    if options.cursor is None:
        return None
    greatest: Any = max(row[options.cursor] for row in rows)  # type: ignore[type-var]  # one ordered column
    return greatest + 1 if strategy == "incremental_append" else greatest - seeded.LAG


def _wide_rows(volume: Volume, world: World, version: int) -> list[Row]:
    def values(number: int, of: int) -> Row:
        return wide.sparse(world.columns, number, of, volume.seed)

    found = []
    for row in (seeded.after if version else seeded.before)(volume, values):
        held = row.pop(WIDE)
        assert isinstance(held, dict)  # what `values` made
        found.append({**row, **held})
    return found


def _doubled(rows: Sequence[Row]) -> list[Row]:
    """Earlier copies of some rows, which a reader must not take for the last."""
    return [{**row, SEQ: int(str(row[SEQ])) - 1, seeded.NAME: "an earlier copy"} for row in rows[::3]]


class Found(Struct, frozen=True):
    """How the three computations ended: each with its rows as they are stored, or with the code of a refusal."""

    expected: list[Stored]
    actual: list[Stored]
    third: list[Stored]
    codes: tuple[str | None, str | None, str | None]
    rows: list[Row]  # as values, for the load after this one

    @property
    def refused(self) -> str | None:
        return self.codes[0]

    def disagreement(self, digests: Digests[Stored], fields: Sequence[Field]) -> str | None:
        """Where the oracle or a refusal stands against the others; rows of the other two are compared by `compared`."""
        if len(set(self.codes)) > 1:
            said = zip(("the postcondition", "the program", "the oracle"), self.codes, strict=True)
            return "; ".join(f"{who} ends with {code or 'rows'}" for who, code in said)
        if Counter(self.expected) == Counter(self.third):
            return None
        compared = compare("three_computations", self.expected, self.third, digests, _shown(fields), [KEY])
        first = compared.differing[0]
        return f"the oracle does not agree with the postcondition: {first.key} {first.kind}"

    def compared(self, check: Any, digests: Digests[Stored], fields: Sequence[Field], key: Sequence[str]) -> Comparison:
        return compare(check, self.expected, self.actual, digests, _shown(fields), key)


def _shown(fields: Sequence[Field]) -> Callable[[Stored], dict[str, str]]:
    names = [f.name for f in fields]
    return lambda row: {n: repr(v) for n, v in zip(names, row, strict=True) if v is not None}


_SYSTEM = tuple(Field(name, timestamptz(6)) for name in asked.INTERVAL)


class Trial(Struct, frozen=True):
    """One load, to be carried out in three ways."""

    strategy: str
    columns: tuple[Field, ...]
    load: Load
    program: Program
    entries: Entries
    duplicates: Duplicates
    order: tuple[str, ...]
    sink: Connector[Any]
    spelling: Spelling

    @property
    def fields(self) -> tuple[Field, ...]:
        return (*self.columns, *_SYSTEM) if self.strategy == "scd2" else self.columns

    @property
    def is_packed(self) -> bool:
        return self.columns[-1].name == WIDE

    @property
    def how(self) -> Sealing:
        return Sealing(
            columns=self.load.columns,
            key=self.load.key,
            order=self.order,
            changes=self.entries.changes,
            duplicates=self.duplicates,
        )

    def carry_out(self, old: list[Row], new: list[Row], target: Sequence[Row], options: Options) -> Found:
        """What the three say of the target after the load."""
        must, code = self._postcondition(old, new, target, options)
        third, third_code, sealed = self._oracle(target)
        actual, actual_code = self._program(target, sealed)
        spelled = [self.spelling.rows(rows, self.fields) for rows in (must, third)]
        return Found(spelled[0], actual, spelled[1], (code, actual_code, third_code), must)

    def _postcondition(
        self, old: list[Row], new: list[Row], target: Sequence[Row], options: Options
    ) -> tuple[list[Row], str | None]:
        try:
            rows = expected(self.strategy, old, new, target, options)
        except Refused as refused:
            return [dict(row) for row in target], refused.code
        return [dict(row) for row in rows], None

    def _oracle(self, target: Sequence[Row]) -> tuple[list[Mapping[str, object]], str | None, Sealed | None]:
        try:
            sealed = stage.seal(self.entries.staged, self.how)
            after, _ = oracle.apply(self.program, Table(self.load.columns, tuple(target)), sealed)
        except DataError as error:
            return list(target), error.code, None
        return list(after.rows), None, sealed

    def _program(self, target: Sequence[Row], sealed: Sealed | None) -> tuple[list[Stored], str | None]:
        assert self.sink.sink is not None
        if self.sink.sink.atomic == "log":
            return self._as_records(target)
        with Rehearsed(self.spelling, KEY, self.columns, _SYSTEM if self.strategy == "scd2" else (), target) as engine:
            code = None
            try:
                engine.apply(self.program, engine.seal(self.entries.staged, self.how), {})
            except DataError as error:
                code = error.code
            # of types that SQLite keeps in another way than they came, only the value is the same
            return engine.stored() if self.is_packed else self.spelling.rows(engine.rows(), self.fields), code

    def _as_records(self, target: Sequence[Row]) -> tuple[list[Stored], str | None]:
        key = self.load.key
        log, code = records.log_of(target, key), None
        try:
            sealed = stage.seal(self.entries.staged, self.how)
            log = records.carried_out(self.program, log, sealed, self.load.columns, key)
        except DataError as error:
            code = error.code
        return self.spelling.rows(records.fold(log), self.fields), code
