"""A stream of a manifest meets the schema of its source and becomes a plan, or is refused in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from dpone import checks
from dpone.connector import Column, Connector, Cursor, Late, not_an_end
from dpone.errors import PlanError, UsageError
from dpone.evolution import Dropped, NewColumns, Policy, Widened
from dpone.literals import Range, cut, literal_of
from dpone.manifest.checks import (
    AcceptedValues,
    Checksum,
    Freshness,
    MaxRows,
    MinRows,
    NotNull,
    RowCount,
    Unique,
)
from dpone.manifest.columns import Column as ManifestColumn
from dpone.manifest.filters import where_of
from dpone.manifest.models import Stream
from dpone.manifest.modes import Deletes
from dpone.manifest.modes import Strategy as Mode
from dpone.manifest.problems import did_you_mean
from dpone.ops import Absent, DeletePolicy, Flag, Grain, Guard, Hard, Ignore
from dpone.plan import ChangeKind, ColumnChange, End, Limits, Plan, PlannedColumn, Reconcile, refuse_loss
from dpone.prepare import WITH_ORDER, refuse_filter
from dpone.schema import STRING, Field, Kind, Schema, parse_type
from dpone.stage import Duplicates, OnTruncate
from dpone.strategies import Load, Read, rule_of
from dpone.where import Compare, Where

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # a plan has no clock; the runner gives each load its own time


def compile_plan(stream: Stream, found: Schema) -> Plan:
    """The plan of a stream whose source has this schema."""
    source, sink, mode = stream.source.connector, stream.sink.connector, stream.strategy
    refuse_unsupported(source, sink, mode.mode)
    columns = _columns(stream, found)
    refuse_loss(columns)
    fields = Schema(tuple(c.field for c in columns))
    load = _load(stream, fields)
    chunks: tuple[Range, ...] = ()
    if load.bounds is not None and (step := mode.setting("chunk")) is not None:
        chunks = cut(load.bounds, step.count, step.unit)
    assert sink.sink is not None  # refuse_unsupported
    assert source.source is not None  # likewise
    plan = Plan(
        pipeline=stream.name,
        source=End(source.name, str(stream.source.connection)),
        sink=End(sink.name, str(stream.sink.connection)),
        dataset=stream.source.options.dataset(),
        target=stream.sink.options.target(),
        strategy=mode.mode,
        columns=columns,
        load=load,
        source_key=_source_key(found, columns),
        cursor=_cursor(mode, fields, columns, source),
        duplicates=Duplicates(mode.setting("duplicates")),
        order=_order(mode, fields),
        on_truncate=OnTruncate(mode.setting("on_truncate")),
        checks=_checks(stream, fields),
        policy=Policy(
            NewColumns(stream.schema_evolution.new_columns),
            Widened(stream.schema_evolution.widened),
            Dropped(stream.schema_evolution.dropped),
        ),
        reconcile=Reconcile(stream.reconcile),
        audit=stream.audit,
        limits=Limits(stream.limits.statement_timeout, stream.limits.run_timeout, stream.limits.memory),
        chunks=chunks,
        workers=mode.setting("workers"),
    )
    refuse_filter(plan, plan.rule.program(load), pushes_where=source.source.pushes_where)
    return plan


def refuse_unsupported(source: Connector[Any], sink: Connector[Any], strategy: str) -> None:
    """Raises when the source cannot be read as the strategy asks, or the sink cannot carry out what it emits."""
    rule = rule_of(strategy)
    if source.source is None or sink.sink is None:
        raise not_an_end(source, "source") if source.source is None else not_an_end(sink, "sink")
    if rule.read not in source.source.reads:
        reads = ", ".join(sorted(r.value for r in source.source.reads))
        raise PlanError(
            f"{strategy} reads by {rule.read.value}; {source.name} can be read by {reads}",
            code="plan.unsupported_strategy",
            hint="choose a strategy that the source supports",
        )
    if missing := sorted(op.__name__ for op in rule.emits - sink.sink.ops):
        carried = ", ".join(sorted(op.__name__ for op in sink.sink.ops))
        raise PlanError(
            f"{strategy} needs {', '.join(missing)}; {sink.name} carries out {carried}",
            code="plan.unsupported_strategy",
            hint="choose a strategy that the sink supports",
        )


# ------------------------------------------------------------------- columns


def _columns(stream: Stream, found: Schema) -> tuple[PlannedColumn, ...]:
    chosen = stream.choose(found.names)
    if not chosen:
        raise UsageError(
            "no column is left to load", code="manifest.no_columns", hint="look at `columns:` and `exclude:`"
        )
    Schema(tuple(Field(c.target, STRING) for c in chosen))  # two names that became one are refused
    return tuple(_column(stream, column, found[column.name]) for column in chosen)


def _column(stream: Stream, column: ManifestColumn, found: Field) -> PlannedColumn:
    change: ColumnChange | None = None
    field = replace(found, name=column.target)
    if column.cast is not None:
        change = ColumnChange(ChangeKind.CAST, column.cast)
        field = Field(column.target, parse_type(column.cast), found.nullable)
    elif column.mask is not None:
        change = ColumnChange(ChangeKind.MASK, column.mask)
        field = Field(column.target, STRING, found.nullable)
    elif column.hash is not None:
        change = ColumnChange(ChangeKind.HASH, column.hash)
        field = Field(column.target, STRING, found.nullable)
    landing = stream.sink.connector.types.land(field)
    selected = Column(column.target, column.name)
    return PlannedColumn(selected, found, field, landing, change, stream.loses(column.target))


def _source_key(found: Schema, columns: Sequence[PlannedColumn]) -> tuple[str, ...]:
    """The source's primary key by its names in the target; none when a column of it is left out or changed."""
    names = {c.column.source: c.column.name for c in columns if c.change is None}
    return tuple(names[name] for name in found.key) if all(name in names for name in found.key) else ()


def _known(names: Sequence[str], fields: Schema, where: str) -> tuple[str, ...]:
    """These names, each of a loaded column."""
    for name in names:
        if name not in fields:
            raise UsageError(
                f'{where} names "{name}", which is not among the loaded columns{did_you_mean(name, fields.names)}',
                code="manifest.unknown_column",
                hint=f"loaded are {', '.join(fields.names)}; columns go by their names in the target",
            )
    return tuple(names)


# ---------------------------------------------------------------------- load


def _load(stream: Stream, fields: Schema) -> Load:
    mode = stream.strategy
    names = fields.names
    column = mode.setting("column")
    bounds: Range | None = None
    grain = Grain(mode.setting("grain"))
    if column is not None:
        _known((column,), fields, "strategy.column")
        _refuse_grain(grain, fields[column])
    if (given := mode.setting("bounds")) is not None:
        assert column is not None  # every mode with bounds has a column
        _refuse_unordered(column, fields, "strategy.column")
        kind = fields[column].type
        bounds = (literal_of(given.lo, kind, "strategy.bounds.from"), literal_of(given.hi, kind, "strategy.bounds.to"))
    guard = mode.setting("guard")
    newer = mode.setting("newer")
    if newer is not None:
        _refuse_unordered(newer, fields, "strategy.newer")
    return Load(
        id="",
        at=_EPOCH,
        columns=names,
        key=_known(mode.setting("key"), fields, "strategy.key"),
        where=_where(stream, fields),
        newer=newer,
        deletes=_deletes(mode.setting("deletes")),
        guard=Guard(guard.max_removed_share, guard.allow_empty),
        slice_column=column,
        grain=grain,
        bounds=bounds,
        names=(mode.setting("valid_from"), mode.setting("valid_to")),
        compare=_known(mode.setting("compare"), fields, "strategy.compare"),
        absent=Absent(mode.setting("absent")),
        reconcile=mode.setting("reconcile"),
    )


def _deletes(given: Deletes) -> DeletePolicy:
    match given.how:
        case "hard":
            return Hard()
        case "soft":
            return Flag(given.column, _EPOCH)
        case "ignore":
            return Ignore()


def _refuse_grain(grain: Grain, field: Field) -> None:
    calendar = {Kind.TIMESTAMP, Kind.TIMESTAMPTZ} | (set() if grain is Grain.HOUR else {Kind.DATE})
    if grain is not Grain.VALUE and field.type.kind not in calendar:
        raise PlanError(
            f"strategy.grain: {field.name} is {field.type}, which has no {grain.value}s",
            code="plan.wrong_grain",
            hint="use `grain: value`, or a column of dates or times",
        )


def _refuse_unordered(name: str, fields: Schema, where: str) -> None:
    _known((name,), fields, where)
    if fields[name].type.kind not in WITH_ORDER:
        raise PlanError(
            f"{where}: {name} is {fields[name].type}, on whose order engines do not agree",
            code="plan.unordered_column",
            hint="choose a number, a date or a time",
        )


def _where(stream: Stream, fields: Schema) -> Where:
    conditions = []
    for condition in where_of(stream.where):
        if condition.value is None or condition.column not in fields:  # unknown ones are refused with the plan
            conditions.append(condition)
            continue
        kind, place = fields[condition.column].type, f"where: {condition.column}"
        if condition.op in {Compare.IN, Compare.NOT_IN}:
            assert isinstance(condition.value, tuple)  # the manifest's model
            value: object = tuple(literal_of(v, kind, place) for v in condition.value)
        else:
            value = literal_of(condition.value, kind, place)
        conditions.append(replace(condition, value=value))
    return tuple(conditions)


def _cursor(mode: Mode, fields: Schema, columns: Sequence[PlannedColumn], source: Connector[Any]) -> Cursor | None:
    """The cursor in the source's own names; a keyless append waits, everything else reads its lag again."""
    given = mode.setting("cursor")
    if given is None and rule_of(mode.mode).read is not Read.SINCE:
        return None
    from dpone.cursors import cursor_missing, cursor_unsupported, refuse_lag  # 1 ms, which others need not wait for

    by_cursor = source.source is None or source.source.by_cursor
    if given is None:
        if by_cursor:
            raise cursor_missing(fields.names)
        return None
    if not by_cursor:
        raise cursor_unsupported(source.name)
    _refuse_unordered(given.column, fields, "strategy.cursor.column")
    planned = next(c for c in columns if c.field.name == given.column)
    if planned.change is not None:
        raise PlanError(
            f"strategy.cursor.column: the values of {given.column} are changed on the way",
            code="plan.changed_cursor",
            hint="order by a column that lands as it is",
        )
    refuse_lag(given.lag, given.column, planned.found.type)
    idempotent = mode.mode != "incremental_append" or bool(mode.setting("key"))
    late = Late(given.late) if given.late else Late.OVERLAP if idempotent else Late.HOLD_BACK
    return Cursor(planned.column.source, late, given.lag, skip_nulls=given.nulls == "ignore")


def _order(mode: Mode, fields: Schema) -> tuple[str, ...]:
    order = tuple(mode.setting("order"))
    if not order and mode.setting("duplicates") == "last" and (cursor := mode.setting("cursor")) is not None:
        order = (cursor.column,)
    for name in order:
        _refuse_unordered(name, fields, "strategy.order")
    return order


# -------------------------------------------------------------------- checks


def _checks(stream: Stream, fields: Schema) -> tuple[checks.Check, ...]:
    return tuple(_CHECKS[type(given)](given, fields) for given in stream.checks)


def _freshness(given: Freshness, fields: Schema) -> checks.Check:
    column = given.freshness.column
    _known((column,), fields, "checks.freshness")
    if fields[column].type.kind not in {Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.DATE}:
        raise PlanError(
            f"checks.freshness: {column} is {fields[column].type}",
            code="plan.wrong_check",
            hint="choose a column of times",
        )
    return checks.Freshness(column, given.freshness.max_age)


def _accepted(given: AcceptedValues, fields: Schema) -> checks.Check:
    column = given.accepted_values.column
    _known((column,), fields, "checks.accepted_values")
    values = (literal_of(v, fields[column].type, "checks.accepted_values") for v in given.accepted_values.values)
    return checks.AcceptedValues(column, tuple(values))


def _sums(given: Checksum, fields: Schema) -> checks.Check:
    names = _known(given.checksum, fields, "checks.checksum")
    for name in names:
        if fields[name].type.kind not in {Kind.INT, Kind.UINT, Kind.DECIMAL}:
            raise PlanError(
                f"checks.checksum: {name} is {fields[name].type}, whose sum is not exact",
                code="plan.wrong_check",
                hint="choose whole numbers or decimals",
            )
    return checks.Checksum(names)


_CHECKS: Mapping[type, Callable[[Any, Schema], checks.Check]] = {
    RowCount: lambda given, _: checks.RowCount(given.row_count, given.row_count),
    MinRows: lambda given, _: checks.RowCount(given.min_rows, None),
    MaxRows: lambda given, _: checks.RowCount(None, given.max_rows),
    NotNull: lambda given, fields: checks.NotNull(_known(given.not_null, fields, "checks.not_null")),
    Unique: lambda given, fields: checks.Unique(_known(given.unique, fields, "checks.unique")),
    AcceptedValues: _accepted,
    Freshness: _freshness,
    Checksum: _sums,
}
