"""What a target must become so that a load fits it: a pure comparison of two layouts under a policy."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from dpone.connector import AddColumn, CreateTarget, Layout, RelaxColumn, SchemaChange, WidenColumn
from dpone.errors import PlanError
from dpone.schema import Field, Schema


class NewColumns(Enum):
    ADD = "add"
    IGNORE = "ignore"
    REFUSE = "refuse"


class Widened(Enum):
    WIDEN = "widen"
    REFUSE = "refuse"


class Dropped(Enum):
    KEEP = "keep"
    REFUSE = "refuse"


class Policy(Struct, frozen=True):
    """New columns are added and types widened, since no stored value changes; a column that is gone is asked about."""

    new_columns: NewColumns = NewColumns.ADD
    widened: Widened = Widened.WIDEN
    dropped: Dropped = Dropped.REFUSE


class Evolution(Struct, frozen=True):
    """`columns` are those that the load carries, `layout` is the target after the changes."""

    layout: Layout
    columns: tuple[str, ...]
    changes: tuple[SchemaChange, ...]


def evolve(
    current: Layout | None,
    wanted: Layout,
    policy: Policy,
    widens: Callable[[str, str], bool],
    *,
    recreates: bool = False,
) -> Evolution:
    """The changes that make `current` fit `wanted`, or a refusal that names the column and the policy.

    A program that recreates its target gives it the wanted layout as it is.
    """
    if current is None or recreates:
        changes: tuple[SchemaChange, ...] = () if current else (CreateTarget(),)
        return Evolution(wanted, wanted.schema.names, changes)
    found = {f.name: f for f in current.schema}
    system = {c.field.name for c in current.system} | {c.field.name for c in wanted.system}
    plan: list[SchemaChange] = []
    after = dict(found)
    columns: list[str] = []
    for field in wanted.schema:
        stored = found.get(field.name)
        if stored is None:
            match policy.new_columns:
                case NewColumns.REFUSE:
                    raise _refused(f"the source has a new column {field.name}", "new_columns: add (or ignore)")
                case NewColumns.IGNORE:
                    continue
                case NewColumns.ADD:
                    added = replace(field, nullable=True)  # rows that are there have no value for it
                    plan.append(AddColumn(added))
                    after[field.name] = added
        else:
            steps, after[field.name] = _fit(stored, field, policy, widens)
            plan += steps
        columns.append(field.name)
    for name, stored in found.items():
        if name in wanted.schema or name in system:
            continue
        if policy.dropped is Dropped.REFUSE:
            raise _refused(f"the source no longer has the column {name} of the target", "dropped: keep")
        if not stored.nullable:
            plan.append(RelaxColumn(name))
            after[name] = replace(stored, nullable=True)
    there = found.keys() | {c.field.name for c in current.system}
    plan += [AddColumn(c.field) for c in wanted.system if c.field.name not in there]
    schema = Schema(tuple(f for f in after.values() if f.name not in system), current.schema.key)
    return Evolution(Layout(schema, wanted.system), tuple(columns), tuple(plan))


def _fit(
    stored: Field, field: Field, policy: Policy, widens: Callable[[str, str], bool]
) -> tuple[list[SchemaChange], Field]:
    steps: list[SchemaChange] = []
    fitted = stored
    old, new = _spelling(stored), _spelling(field)
    if old != new and not widens(new, old):  # a column that is already wider takes the values as it is
        if not widens(old, new):
            raise PlanError(
                f"column {field.name}: the target has {old}, the source now gives {new}, "
                "and not every stored value would survive the change",
                code="plan.incompatible_column",
                hint="cast the column under `columns:`, or rebuild the target by full_refresh",
            )
        if policy.widened is Widened.REFUSE:
            raise _refused(f"column {field.name} would widen from {old} to {new}", "widened: widen")
        fitted = replace(field, nullable=stored.nullable)
        steps.append(WidenColumn(fitted, old))
    if field.nullable and not stored.nullable:
        fitted = replace(fitted, nullable=True)
        steps.append(RelaxColumn(field.name))
    return steps, fitted


def _spelling(field: Field) -> str:
    """The native type as its engine spells it, without the engine's name; core's own spelling where none is known."""
    return str(field.type) if field.native is None else field.native.partition(":")[2] or field.native


def _refused(found: str, cure: str) -> PlanError:
    return PlanError(
        f"{found}, and the manifest does not allow the change",
        code="plan.schema_evolution",
        hint=f"set `schema_evolution: {{{cure}}}`",
    )
