"""One scenario carried out three times: by the oracle, by the default SQL rendering on SQLite, by the postcondition.

Everything is looked up in its module at the moment of use, so that a planted bug is met.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct, field
from msgspec.structs import replace

from algebra.rows import ALL_NAMES, COLUMNS, CUR, DELETED_AT, LOAD_ID, NAMES, START, SYSTEM, VALID_FROM, VALID_TO, Row
from algebra.scenarios import SLICED, Scenario, Step
from algebra.source import Log, edited, key_of, presence, staged
from dpone import ops, oracle, stage, strategies
from dpone.errors import DataError
from dpone.ops import DeletePolicy, Flag, Hard, Ignore, Program
from dpone.oracle import Counts, Table
from dpone.sql.rehearsal import Rehearsal, Rehearsed
from dpone.stage import Change, Sealed, Sealing
from dpone.strategies import Load
from dpone.where import lies_within, matches
from dpone_certify.postconditions.judge import refusal, violations
from dpone_certify.postconditions.options import Key, Options
from dpone_certify.postconditions.rows import mark, marks

Bag = Counter[Key]
View = tuple[Bag, frozenset[Key], frozenset[Key], bool]


class Reading(Struct, frozen=True):
    """What the test's reader stages, and the source that it read."""

    entries: list[Change]
    after: list[Row]
    changes: bool = False
    tagged: bool = False
    touched: frozenset[Key] = frozenset()
    unsent: Mapping[Key, frozenset[str]] = field(default_factory=dict)
    window: tuple[object, object] = (None, None)
    truncated: bool = False
    comparable: bool = True  # the rows before and after tell all there is to know


class Outcome(Struct, frozen=True):
    """How a load ended: refused with a code, or the sealed stage, the rows and the counts."""

    code: str | None
    sealed: View | None = None
    rows: tuple[Mapping[str, object], ...] = ()
    counts: Counts = field(default_factory=Counts)


class Disagreement(AssertionError):
    """Two of the three do not say the same of a load."""


def run(scenario: Scenario, engine: type[Rehearsal] | None = Rehearsal) -> int:
    """Every load of the scenario ends alike in all three; the answer is how many loads there were."""
    if engine is None:
        return _run(scenario, None)
    with engine(COLUMNS, SYSTEM, scenario.target) as rehearsal:
        return _run(scenario, rehearsal)


def _run(scenario: Scenario, rehearsal: Rehearsal | None) -> int:
    table = Table(NAMES, scenario.target)
    source, past = list(scenario.source), list(scenario.source)
    first, at, load_id = scenario.first, START, "load 0"
    for number, step in enumerate(scenario.steps):
        at += timedelta(days=step.days)
        load_id = load_id if step.same_id else f"load {number}"
        load = _load(scenario, step, load_id, at, first=first)
        reading = _read(scenario, step, source, past, first=first)
        past += reading.after
        program = strategies.STRATEGIES[scenario.strategy].program(load)
        how = _sealing(scenario, reading)
        one, after, sealed = _by_oracle(program, table, reading, how, load)
        if rehearsal is not None:
            _agree(one, _by_sql(program, rehearsal, reading, how, load), table.rows, rehearsal.rows())
        _hold(scenario, reading, load, one, source, table)
        if one.code is not None:
            continue
        assert sealed is not None
        _counted(table, after, one)
        table, source, first = after, reading.after, False
        _hold_again(program, table, sealed)
    return len(scenario.steps)


# ------------------------------------------------------------------------ what is asked


def _load(scenario: Scenario, step: Step, load_id: str, at: datetime, *, first: bool) -> Load:
    policies: dict[str, DeletePolicy] = {"hard": Hard(), "flag": Flag(DELETED_AT, at), "ignore": Ignore()}
    return Load(
        id=load_id,
        at=at,
        columns=NAMES,
        key=scenario.key,
        first=first,
        where=scenario.where,
        newer=scenario.newer,
        deletes=policies[scenario.deletes],
        guard=scenario.guard,
        slice_column=scenario.slice_column if scenario.strategy in SLICED else None,
        grain=scenario.grain,
        bounds=step.bounds if scenario.strategy == "backfill" else None,
        names=(VALID_FROM, VALID_TO),
        compare=scenario.compare,
        absent=scenario.absent,
        reconcile=scenario.reconcile,
    )


def _sealing(scenario: Scenario, reading: Reading) -> Sealing:
    return Sealing(
        columns=NAMES,
        key=scenario.key,
        order=scenario.order,
        changes=reading.changes,
        duplicates=scenario.duplicates,
        on_truncate=scenario.on_truncate,
    )


def _options(scenario: Scenario, reading: Reading, load: Load, table: Table) -> Options:
    since, upto = reading.window
    return Options(
        columns=NAMES,
        key=scenario.key,
        first=load.first,
        where=tuple((c.column, c.op.value, c.value) for c in scenario.where),
        duplicates="fail" if reading.changes else scenario.duplicates.value,
        order=scenario.order,
        cursor=CUR if scenario.strategy.startswith("incremental") and not scenario.logged else None,
        since=since,
        upto=upto,
        newer=scenario.newer,
        deletes=scenario.deletes,
        flag=DELETED_AT,
        at=load.at,
        max_removed_share=scenario.guard.max_removed_share,
        allow_empty=scenario.guard.allow_empty,
        slice_column=load.slice_column,
        grain=scenario.grain.value,
        bounds=load.bounds,
        interval=(VALID_FROM, VALID_TO),
        compare=scenario.compare,
        absent=scenario.absent.value,
        stamps={LOAD_ID: load.id},
        repeated=load.id in table.loads,
        reconcile=scenario.reconcile,
        names_deletes=scenario.names_deletes,
        truncated=reading.truncated,
        may_truncate=scenario.on_truncate.value == "apply",
        touched=frozenset(map(_marked, reading.touched)),
        unsent={_marked(key): names for key, names in reading.unsent.items()},
    )


# ------------------------------------------------------------------------ the reader


def _read(scenario: Scenario, step: Step, source: list[Row], past: list[Row], *, first: bool) -> Reading:
    """What is staged when the source goes through the edits of a step."""
    if scenario.logged:
        return _read_log(scenario, step, source, past, first=first)
    key = scenario.key
    after = edited(source, step.edits, key, past, unique=scenario.unique)
    inside = [row for row in after if step.leak or _is_asked_for(scenario, step, row)]
    touched = frozenset(
        key_of(source[e.index % len(source)], key) for e in step.edits if e.kind == "touch" and source and key
    )
    leaked = step.leak and not all(_is_asked_for(scenario, step, row) for row in after)
    if scenario.strategy == "xmin":
        written = [row for row in inside if key_of(row, key) in touched or row not in source]
        entries = staged(written) + (presence(inside, key) if scenario.reconcile else [])
        return Reading(
            _shuffled(entries, step.seed),
            after,
            changes=scenario.reconcile and scenario.tagged_changes,
            tagged=scenario.reconcile,
            touched=touched,
            comparable=not leaked,
        )
    window: tuple[object, object] = (None, None)
    if scenario.strategy.startswith("incremental"):
        window = (step.since, step.upto if scenario.strategy == "incremental_append" else None)
        inside = [row for row in inside if _is_in_window(row[CUR], *window)]
    return Reading(_shuffled(staged(inside), step.seed), after, window=window, comparable=not leaked)


def _read_log(scenario: Scenario, step: Step, source: list[Row], past: list[Row], *, first: bool) -> Reading:
    log = Log(scenario.key, {key_of(row, scenario.key): row for row in source}, past)
    for edit in step.edits:
        log.apply(edit)
    after = list(log.rows.values())
    if first and scenario.strategy == "cdc":
        snapshot = [replace(entry, seq=n) for n, entry in enumerate(staged(after))]
        return Reading(_shuffled(snapshot, step.seed), after, changes=True, comparable=not log.faulty)
    return Reading(
        log.changes(step.seed),
        after,
        changes=True,
        touched=frozenset(log.touched),
        unsent=log.unsent(),
        truncated=log.truncated,
        comparable=not log.faulty,
    )


def _is_asked_for(scenario: Scenario, step: Step, row: Row) -> bool:
    if not matches(row, scenario.where):
        return False
    if scenario.strategy != "backfill":
        return True
    value = row[scenario.slice_column]
    lo, hi = step.bounds
    return lies_within(value, lo, hi)


def _is_in_window(value: object, since: object, upto: object) -> bool:
    if value is None:
        return since is None and upto is None
    return (since is None or value >= since) and (upto is None or value < upto)  # type: ignore[operator]  # likewise


def _shuffled(entries: list[Change], seed: int) -> list[Change]:
    random.Random(seed).shuffle(entries)
    return entries


# ----------------------------------------------------------------------------- the three


def _by_oracle(
    program: Program, table: Table, reading: Reading, how: Sealing, load: Load
) -> tuple[Outcome, Table, Sealed | None]:
    try:
        sealed = replace(stage.seal(reading.entries, how), stamps={LOAD_ID: load.id})
        bound = ops.domain(program)
        bound = replace(bound, not_null=(*bound.not_null, *how.key))  # the runner asks this of a declared key
        for code in stage.outside_domain(sealed, bound):
            return Outcome(code), table, None
        after, counts = oracle.apply(program, table, sealed)
    except DataError as error:
        return Outcome(error.code), table, None
    return Outcome(None, _view(sealed), after.rows, counts), after, sealed


def _by_sql(program: Program, rehearsal: Rehearsal, reading: Reading, how: Sealing, load: Load) -> Outcome:
    stamps = {LOAD_ID: load.id}
    try:
        staged_: Rehearsed = rehearsal.seal(reading.entries, how, tagged=reading.tagged)
        if staged_.received != len(reading.entries):
            raise Disagreement(f"{len(reading.entries)} entries were staged, {staged_.received} were received")
        counts = sum(rehearsal.apply(program, staged_, stamps), Counts())
    except DataError as error:
        return Outcome(error.code)
    view, rows = _view(rehearsal.sealed(staged_)), rehearsal.rows()
    try:
        rehearsal.apply(program, staged_, stamps)
    except DataError as error:
        raise Disagreement(f"SQL: the sealed stage applied again is refused with {error.code}") from error
    if _bag(rows) != _bag(rehearsal.rows()):
        raise Disagreement("SQL: the sealed stage applied again changed the target")
    return Outcome(None, view, tuple(rows), counts)


def _agree(oracle_: Outcome, sql: Outcome, before: Sequence[Mapping[str, object]], found: Sequence[Row]) -> None:
    if oracle_.code != sql.code:
        raise Disagreement(f"the oracle ends with {oracle_.code}, SQL with {sql.code}")
    if sql.code is not None and _bag(found) != _bag(before):
        raise Disagreement(f"SQL: the target was touched by a load that was refused with {sql.code}")
    if oracle_.sealed != sql.sealed:
        raise Disagreement(f"sealed stages differ: {oracle_.sealed} in memory, {sql.sealed} in SQL")
    if _bag(oracle_.rows) != _bag(sql.rows):
        raise Disagreement(
            f"targets differ: {_bag(oracle_.rows) - _bag(sql.rows)}, {_bag(sql.rows) - _bag(oracle_.rows)}"
        )
    if oracle_.counts != sql.counts:
        raise Disagreement(f"counts differ: {oracle_.counts}, {sql.counts}")


def _hold(
    scenario: Scenario, reading: Reading, load: Load, found: Outcome, source: Sequence[Row], table: Table
) -> None:
    """The postcondition is true, and the load was refused exactly when it had to be."""
    if not reading.comparable:
        return
    options = _options(scenario, reading, load, table)
    code = refusal(scenario.strategy, source, reading.after, table.rows, options)
    if code != found.code:
        raise Disagreement(f"the postcondition expects {code}, the oracle ends with {found.code}")
    if found.code is None and (
        wrong := violations(scenario.strategy, source, reading.after, table.rows, found.rows, options)
    ):
        raise Disagreement("; ".join(f"{v.kind} {v.key}: {v.detail}" for v in wrong))


def _hold_again(program: Program, table: Table, sealed: Sealed) -> None:
    try:
        again, _ = oracle.apply(program, table, sealed)
    except DataError as error:
        raise Disagreement(f"oracle: the sealed stage applied again is refused with {error.code}") from error
    if _bag(again.rows) != _bag(table.rows):
        raise Disagreement("oracle: the sealed stage applied again changed the target")


def _counted(before: Table, after: Table, found: Outcome) -> None:
    expected = len(before.rows) + found.counts.inserted - found.counts.deleted
    if len(after.rows) != expected:
        raise Disagreement(f"{len(after.rows)} rows, but the counts say {expected}")


def _view(sealed: Sealed) -> View:
    """A sealed stage without order; what a kept column holds means nothing."""
    live = Counter(
        (*(("kept",) if name in entry.kept else mark(entry.row.get(name)) for name in NAMES),) for entry in sealed.live
    )
    dead, present = (frozenset(map(_marked, keys)) for keys in (sealed.dead, sealed.present))
    return live, dead, present, sealed.cleared


def _marked(key: Iterable[object]) -> Key:
    return tuple(map(mark, key))


def _bag(rows: Iterable[Mapping[str, object]]) -> Bag:
    return Counter(marks(row, ALL_NAMES) for row in rows)
