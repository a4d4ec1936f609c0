"""What a plan makes comparable: which columns, which rows of both ends, and which differences its strategy foresees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from dpone.connector import Dataset, Layout
from dpone.diff.spelling import common_form
from dpone.errors import DataError, UsageError
from dpone.ops import Absent, Append, Flag, Ignore, Program, Recreate, Version
from dpone.plan import Plan, PlannedColumn
from dpone.prepare import pushed, within_bounds
from dpone.schema import Kind, Type
from dpone.segments import Extent, Form, Spelled
from dpone.strategies import Read
from dpone.where import Compare, Condition, Where

Texts = tuple[str | None, ...]
_AXIS_BITS = {Kind.INT: 64, Kind.UINT: 32}  # whole numbers that every engine holds in 64 bits with a sign


class Compared(Struct, frozen=True):
    """A column at both ends; `form` says how they are compared where the rows are, or `why_not`."""

    planned: PlannedColumn
    form: Form | None
    why_not: str = ""

    @property
    def name(self) -> str:
        return self.planned.field.name

    @property
    def type(self) -> Type:
        return self.planned.field.type


class Difference(Struct, frozen=True):
    """One key whose rows are not equal; `columns` are those that differ where one row stands against one."""

    key: Texts
    verdict: Verdict
    columns: tuple[str, ...] = ()


class Verdict(Enum):
    """What the rows of one key say."""

    EQUAL = "equal"
    MISSING = "missing"  # at the source alone
    EXTRA = "extra"  # in the target alone
    DIFFERENT = "different"
    KEPT = "kept"  # in the target alone, as the strategy or the manifest has it


class Rule(Struct, frozen=True):
    """What the strategy promises of the rows of a key. `keeps` says why rows that are gone at the source stay."""

    comparable: str
    keeps: str | None = None
    one_row: bool = False  # the target has one row per key: one of those that the source has
    versions: bool = False  # the target also has what a row was before

    def judge(self, source: Counter[Texts], target: Counter[Texts]) -> Verdict:
        """What the rows of one key say, each with how often it is there."""
        if not source:
            return Verdict.EXTRA if self.keeps is None else Verdict.KEPT
        if not target:
            return Verdict.MISSING
        if self.versions:
            equal = source <= target
        elif self.one_row:
            equal = target.total() == 1 and target.keys() <= source.keys()
        else:
            equal = source == target
        return Verdict.EQUAL if equal else Verdict.DIFFERENT


class Subject(Struct, frozen=True):
    """One pipeline as it is compared. `absent` are planned columns that the target does not have."""

    plan: Plan
    layout: Layout
    columns: tuple[Compared, ...]
    key: tuple[str, ...]  # names in the target; all columns where nothing tells rows apart
    source_where: Where
    target_where: Where
    rule: Rule
    keyed: bool
    absent: tuple[str, ...]
    skipped: tuple[str, ...]

    @property
    def why_not_segmented(self) -> dict[str, str]:
        """Columns that cannot be compared where the rows are."""
        return {c.name: c.why_not for c in self.columns if c.form is None}

    @property
    def key_places(self) -> tuple[int, ...]:
        return tuple(i for i, c in enumerate(self.columns) if c.name in self.key)

    @property
    def axis(self) -> Compared | None:
        """The whole number in the key by whose ranges both ends cut segments, the first that there is."""
        for name in self.key if self.keyed else ():
            column = next(c for c in self.columns if c.name == name)
            types = (column.planned.found.type, self.layout.schema[name].type)
            if column.form is Form.NUMBER and all((t.size or 0) <= _AXIS_BITS.get(t.kind, -1) for t in types):
                return column
        return None

    def difference(self, key: Texts, source: Counter[Texts], target: Counter[Texts]) -> Difference | None:
        """What is the matter with the rows of a key; None where nothing is."""
        verdict = self.rule.judge(source, target)
        if verdict is Verdict.EQUAL:
            return None
        if verdict is not Verdict.DIFFERENT or source.total() != 1 or target.total() != 1:
            return Difference(key, verdict)
        (one,), (other,) = source, target
        unlike = (c.name for c, a, b in zip(self.columns, one, other, strict=True) if a != b)
        return Difference(key, verdict, tuple(unlike))

    def _spelled(self, column: Compared, name: str) -> Spelled:
        assert column.form is not None  # otherwise rows are compared here
        native = column.planned.found.native
        return Spelled(name, column.form, native is not None and native == self.layout.schema[column.name].native)

    def source_extent(self) -> Extent:
        axis = self.axis
        names = {c.name: c.planned.column.source for c in self.columns}
        return Extent(
            self.plan.dataset,
            tuple(self._spelled(c, names[c.name]) for c in self.columns),
            tuple(names[name] for name in self.key),
            self.source_where,
            names[axis.name] if axis else None,
            self.plan.limits.statement_timeout,
        )

    def target_extent(self) -> Extent:
        axis = self.axis
        return Extent(
            Dataset(self.plan.target.name),
            tuple(self._spelled(c, c.name) for c in self.columns),
            self.key,
            self.target_where,
            axis.name if axis else None,
            self.plan.limits.statement_timeout,
        )


def subject_of(plan: Plan, layout: Layout, *, key: Sequence[str] = (), skip: Sequence[str] = ()) -> Subject:
    """The plan against the target as it is. `key` overrides the strategy's, `skip` names columns to leave out."""
    load = replace(plan.load, first=False)
    program = plan.rule.program(load)
    names = [c.field.name for c in plan.columns]
    _refuse_unknown((*key, *skip), names)
    watched = {c for op in program if isinstance(op, Version) for c in (*op.compare, *op.key)}  # of a history
    wanted = [c for c in plan.columns if c.field.name not in skip and (not watched or c.field.name in watched)]
    columns = tuple(_compared(c, layout) for c in wanted if c.field.name in layout.schema)
    there = {c.name for c in columns}
    found_key = tuple(key) or load.key or (plan.source_key if there.issuperset(plan.source_key) else ())
    if lost := [name for name in found_key if name not in there]:
        raise UsageError(
            f"rows are told apart by {', '.join(lost)}, which is not compared",
            code="diff.key_not_compared",
            hint="leave the column in, or name another key with --key",
        )
    return Subject(
        plan=plan,
        layout=layout,
        columns=columns,
        key=found_key or tuple(c.name for c in columns),
        source_where=pushed(load, plan.columns),
        target_where=_target_where(plan, program, layout),
        rule=_rule(plan, program),
        keyed=bool(found_key),
        absent=tuple(c.field.name for c in wanted if c.field.name not in layout.schema),
        skipped=tuple(name for name in names if name not in {c.field.name for c in wanted}),
    )


def _refuse_unknown(asked: Sequence[str], names: Sequence[str]) -> None:
    for name in asked:
        if name not in names:
            raise UsageError(
                f"{name} is not among the loaded columns",
                code="diff.unknown_column",
                hint=f"they are, by their names in the target: {', '.join(names)}",
            )


def _compared(column: PlannedColumn, layout: Layout) -> Compared:
    found = common_form(column, layout.schema[column.field.name])
    return Compared(column, found) if isinstance(found, Form) else Compared(column, None, found)


def _target_where(plan: Plan, program: Program, layout: Layout) -> Where:
    """The rows of the target that the pipeline answers for: open versions, rows not flagged, within its own filter."""
    where: list[Condition] = []
    load = plan.load
    if not any(isinstance(op, Recreate) for op in program):
        own = (*load.where, *within_bounds(load))
        where += [c for c in own if c.column in layout.schema]
    for op in program:
        if isinstance(op, Version):
            where.append(Condition(op.names[1], Compare.IS_NULL))
    if isinstance(load.deletes, Flag):
        where.append(Condition(load.deletes.column, Compare.IS_NULL))
    system = {c.field.name for c in layout.system}
    if missing := [c.column for c in where if c.column not in layout.schema and c.column not in system]:
        raise DataError(
            f"the target has no column {', '.join(missing)}, by which its current rows are known",
            code="diff.target_unlike",
            hint="it was not made by this pipeline: run it once, or correct the manifest",
        )
    return tuple(where)


def _rule(plan: Plan, program: Program) -> Rule:
    """What the strategy promises, in words and in what it forgives."""
    load, read = plan.load, plan.rule.read
    kept: str | None
    for op in program:
        if isinstance(op, Append):
            kept = "an append keeps what the source has deleted or changed since"
            says = "every row of the source is in the target; what the target has beside is kept by the append"
            return Rule(says, keeps=kept, versions=True)
        if isinstance(op, Version):
            expires = op.absent is Absent.EXPIRE
            kept = None if expires else "absent keys stay open: `absent: keep`"
            return Rule(
                "the open versions are the rows of the source, by the columns that make a version", kept, one_row=True
            )
    kept = "deleted rows stay: `deletes: ignore`" if isinstance(load.deletes, Ignore) else None
    says = "the target holds the rows of the source"
    if plan.strategy == "partition_replace":
        says += "; slices that the source no longer has stay, and count as extra"
    elif read in {Read.SINCE, Read.XMIN} and not load.reconcile:
        says += "; rows deleted at the source are not seen by this strategy, and count as extra"
    elif read is Read.CHANGES:
        says += "; changes that wait in the log count as differences"
    return Rule(says, kept, one_row=bool(load.key))
