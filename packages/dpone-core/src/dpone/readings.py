"""What a source makes of a request: the columns asked for, the reading that it opens, and what sources refuse alike."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from dpone.connector import Column, Position, Split
from dpone.errors import PlanError, StateError, UsageError
from dpone.names import print_name
from dpone.schema import Schema


class OpenReading(Struct, frozen=True):
    """What an opened request will yield, and how far; the fields of CHANGE_FIELDS are behind when `changes`."""

    schema: Schema
    upto: Position | None
    splits: Sequence[Split]
    changes: bool = False


def requested(schema: Schema, columns: Sequence[Column]) -> Schema:
    """The columns asked for under their new names, with the primary key where all of it is among them."""
    refuse_unknown([c.source for c in columns], schema)
    names = {c.source: c.name for c in columns}
    key = tuple(names[k] for k in schema.key) if all(k in names for k in schema.key) else ()
    return Schema(tuple(replace(schema[c.source], name=c.name) for c in columns), key)


def refuse_unknown(names: Sequence[str], schema: Schema) -> None:
    """Raises for names that are none of the source's columns."""
    if unknown := [name for name in names if name not in schema]:
        raise UsageError(
            f"the source has no column {', '.join(unknown)}",
            code="source.unknown_column",
            hint=f"it has {', '.join(schema.names)}",
        )


def table_missing(name: Sequence[str], hint: str = "`dpone init` lists the tables of a source") -> PlanError:
    return PlanError(
        f"there is no table or view {print_name(tuple(name))} at the source", code="source.table_missing", hint=hint
    )


def needs_table(purpose: str) -> PlanError:
    return PlanError(
        f"{purpose} reads a table, and this is a view or a query",
        code="source.needs_table",
        hint="name the table itself, or choose a strategy that scans or goes by a cursor",
    )


def other_system(what: str) -> StateError:
    return StateError(
        f"the stored position is that of {what}",
        code="source.other_system",
        hint="run `dpone resync`, or `dpone state reset` and let the next run read everything",
    )


def filtered_changes() -> PlanError:
    return PlanError(
        "a filter cannot be applied to a log of changes: a row that leaves it would stay in the target",
        code="source.filtered_changes",
        hint="leave `where` out; filter behind the target, or use snapshot_diff",
    )


def not_measurable() -> PlanError:
    return PlanError(
        "a log of changes cannot be measured at the source",
        code="source.not_measurable",
        hint="remove the checksum check, or use a strategy that reads the table itself",
    )
