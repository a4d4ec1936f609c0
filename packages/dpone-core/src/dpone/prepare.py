"""A plan meets its target: the layout after the load, the wire format, the stage and the request to the source.

Pure: `dpone plan` prints what `dpone run` carries out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from dpone.batch import Choice, negotiate
from dpone.connector import Connector, Fate, Layout, Position, ReadRequest, SchemaChange, StageSpec, Stored
from dpone.errors import PlanError, StateError, UsageError
from dpone.evolution import evolve
from dpone.ops import Program, Recreate, domain
from dpone.plan import Plan, PlannedColumn, choose_fate
from dpone.schema import Kind, Landing
from dpone.stage import Sealing
from dpone.strategies import Load, Read
from dpone.where import ORDERED, Compare, Condition, Where


class Prepared(Struct, frozen=True):
    """One load, ready to be carried out."""

    load: Load
    program: Program
    columns: tuple[PlannedColumn, ...]
    changes: tuple[SchemaChange, ...]
    choice: Choice
    request: ReadRequest
    spec: StageSpec
    core_where: Where  # the rows that core itself must leave out


def prepare(
    plan: Plan,
    load: Load,
    source: Connector[Any],
    sink: Connector[Any],
    current: Layout | None,
    stored: Stored | None,
    *,
    by_workers: bool = False,
) -> Prepared:
    """The load against the target as it is now; workers in other processes share the reading in any case."""
    assert source.source is not None  # the plan was compiled for these two ends
    assert sink.sink is not None
    program = plan.rule.program(load)
    wanted = plan.wanted(load, sink.types.land)
    recreates = any(isinstance(op, Recreate) for op in program)
    evolution = evolve(current, wanted, plan.policy, sink.types.widens, recreates=recreates)
    columns = tuple(c for c in plan.columns if c.field.name in evolution.columns)
    load = replace(load, columns=tuple(c.field.name for c in columns))
    program = plan.rule.program(load)
    core_where = () if source.source.pushes_where else (*load.where, *within_bounds(load))
    choice = negotiate(
        source.source.emits,
        sink.sink.accepts,
        [(c.field, _landed(c, evolution.layout)) for c in columns],
        in_core=_passes_core(columns, core_where),
    )
    fate = choose_fate(program, sink.sink, first=load.first, creates=current is None)
    alone = fate is Fate.ADOPT and current is not None and not (sink.sink.adopts_of_many or by_workers)
    request = ReadRequest(
        dataset=plan.dataset,
        read=plan.rule.read,
        columns=tuple(c.column for c in columns),
        format=choice.format,
        key=tuple(c.column.source for c in columns if c.field.name in load.key),
        where=() if core_where else pushed(load, plan.columns),
        cursor=plan.cursor,
        since=_since(stored, plan.rule.read),
        present=load.reconcile,
        pipeline=plan.pipeline,
        splits=plan.splits or (1 if alone else None),
        timeout=plan.limits.statement_timeout,
    )
    spec = StageSpec(
        target=plan.target,
        load_id=load.id,
        pipeline=plan.pipeline,
        layout=evolution.layout,
        columns=load.columns,
        format=choice.format,
        sealing=Sealing(
            columns=load.columns,
            key=load.key,
            order=plan.order,
            duplicates=plan.duplicates,
            on_truncate=plan.on_truncate,
        ),
        program=program,
        fate=fate,
        present=load.reconcile,
    )
    return Prepared(load, program, columns, evolution.changes, choice, request, spec, core_where)


def _since(stored: Stored | None, read: Read) -> Position | None:
    """Where the reading goes on; a position of another way of reading says nothing of this one."""
    if stored is None or stored.position is None or read is Read.SCAN:
        return None
    if stored.position.kind is not read:
        raise StateError(
            f"the stored position was made by {stored.position.kind.value}, this reading is {read.value}",
            code="source.other_position",
            hint="`dpone state reset` begins again, `dpone resync` lands a part anew",
        )
    return stored.position


def _landed(column: PlannedColumn, layout: Layout) -> Landing:
    """The landing in the column that is really there, which may be wider than the one that would be made."""
    native = layout.schema[column.field.name].native
    return column.landing if native is None else replace(column.landing, native=native.partition(":")[2] or native)


def _passes_core(columns: Sequence[PlannedColumn], core_where: Where) -> str | None:
    changed = [c.field.name for c in columns if c.change is not None]
    if changed:
        return f"{', '.join(changed)} must be changed on the way, which is done in Arrow"
    return "rows must be filtered on the way, which is done in Arrow" if core_where else None


def pushed(load: Load, columns: Sequence[PlannedColumn]) -> Where:
    """The filter and the bounds of the load in the source's own column names."""
    names = {c.field.name: c.column.source for c in columns}
    where = tuple(replace(c, column=names.get(c.column, c.column)) for c in load.where)
    return (*where, *(replace(c, column=names[c.column]) for c in within_bounds(load)))


def within_bounds(load: Load) -> Where:
    """The bounds of the load as a filter."""
    if load.bounds is None or load.slice_column is None:
        return ()
    lo, hi = load.bounds
    return (Condition(load.slice_column, Compare.GE, lo), Condition(load.slice_column, Compare.LT, hi))


# Kinds on whose order all engines agree; that of intervals depends on how long a month is held to be.
WITH_ORDER = frozenset(
    {Kind.INT, Kind.UINT, Kind.FLOAT, Kind.DECIMAL, Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ}
)


def refuse_filter(plan: Plan, program: Program, *, pushes_where: bool) -> None:
    """Raises when a filter asks what engines do not agree on, or names a column that the target will not have."""
    fields = {c.field.name: c for c in plan.columns}
    for condition in plan.load.where:
        column = fields.get(condition.column)
        if column is None:
            if domain(program).where or not pushes_where:
                raise UsageError(
                    f"the filter names {condition.column}, which is not among the loaded columns",
                    code="manifest.unknown_column",
                    hint="add the column under `columns:`; the target's rows are told apart by it",
                )
            continue
        if column.change is not None:
            raise PlanError(
                f"the filter names {condition.column}, whose values are changed on the way",
                code="plan.filter_on_changed_column",
                hint="filter on a column that lands as it is",
            )
        if condition.op in ORDERED and column.field.type.kind not in WITH_ORDER:
            raise PlanError(
                f"the filter orders {condition.column}, and engines do not agree on the order of {column.field.type}",
                code="plan.unordered_filter",
                hint="use =, !=, in, not_in; or filter on a number, a date or a time",
            )
