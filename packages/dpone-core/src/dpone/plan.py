"""The plan of one pipeline: what will be read, written and done, frozen before a row moves.

A plan holds no secret and no clock; it is printed, compared and hashed. Two runs with one digest mean the same work.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from dpone.checks import Check
from dpone.connector import (
    INSTANT,
    Column,
    Cursor,
    Dataset,
    Fate,
    Json,
    Layout,
    Role,
    SinkSpec,
    SystemColumn,
    Target,
)
from dpone.errors import PlanError
from dpone.evolution import Policy
from dpone.ops import Append, Flag, Op, Program, Recreate, ReplaceAll, ReplaceSlice, Version
from dpone.schema import STRING, Field, Landing, Schema, Type, Verdict
from dpone.stage import Duplicates, OnTruncate
from dpone.strategies import Load, Strategy, rule_of

LOAD_ID, LOADED_AT = "_dpone_load_id", "_dpone_loaded_at"


class ChangeKind(Enum):
    CAST = "cast"
    MASK = "mask"
    HASH = "hash"


class ColumnChange(Struct, frozen=True):
    """What core does to the values of a column: a cast to a type, a mask text, or a hash algorithm."""

    kind: ChangeKind
    to: str


class PlannedColumn(Struct, frozen=True):
    """One column on its way: as the source has it, what is done to it, and how it lands."""

    column: Column
    found: Field
    field: Field  # after the change, under its new name
    landing: Landing
    change: ColumnChange | None = None
    loss_declared: bool = False


class Limits(Struct, frozen=True):
    statement_timeout: timedelta | None = None
    run_timeout: timedelta | None = None
    memory_bytes: int | None = None


class Reconcile(Enum):
    """How much is compared after the program: counts, or also a profile of the columns."""

    COUNTS = "counts"
    PROFILE = "profile"


class End(Struct, frozen=True):
    """One end of the pipeline, named without secrets."""

    connector: str
    label: str


class Plan(Struct, frozen=True):
    """One pipeline, compiled. `load` is a template: its id, time, `first` and bounds are set for each load."""

    pipeline: str
    source: End
    sink: End
    dataset: Dataset
    target: Target
    strategy: str
    columns: tuple[PlannedColumn, ...]
    load: Load
    source_key: tuple[str, ...] = ()  # the source's primary key where it is loaded whole and unchanged
    cursor: Cursor | None = None
    duplicates: Duplicates = Duplicates.FAIL
    order: tuple[str, ...] = ()
    on_truncate: OnTruncate = OnTruncate.APPLY
    checks: tuple[Check, ...] = ()
    policy: Policy = Policy()
    reconcile: Reconcile = Reconcile.PROFILE
    audit: bool = False
    limits: Limits = Limits()
    chunks: tuple[tuple[object, object], ...] = ()
    workers: int = 1
    splits: int | None = None

    @property
    def rule(self) -> Strategy:
        return rule_of(self.strategy)

    @property
    def digest(self) -> str:
        """One hash over everything that the plan says."""
        return hashlib.sha256(json.dumps(plain(self), sort_keys=True).encode()).hexdigest()

    def wanted(self, load: Load, land: Callable[[Field], Landing]) -> Layout:
        """The layout that this load needs: the columns as they land, and the system columns of its program."""
        # what tells slices apart is never NULL either: an engine would relax a column of its own primary key
        required = {*load.key, *primary_key(load, self.rule.program(load))}
        fields = tuple(
            replace(
                c.field,
                nullable=c.field.nullable and c.field.name not in required,
                native=f"{self.sink.connector}:{c.landing.native}",
            )
            for c in self.columns
        )
        system = tuple(
            replace(c, field=replace(c.field, native=f"{self.sink.connector}:{land(c.field).native}"))
            for c in system_columns(load, self.rule.program(load), audit=self.audit)
        )
        taken = {c.field.name for c in self.columns}
        for column in system:
            if column.field.name in taken:
                raise reserved_column(column.field.name)
        return Layout(Schema(fields, self._key(load)), system)

    def _key(self, load: Load) -> tuple[str, ...]:
        """What is unique in the target: as the strategy says, else the source's own key where all its rows land."""
        program = self.rule.program(load)
        whole = isinstance(program[0], Recreate) or (isinstance(program[0], ReplaceAll) and not program[0].where)
        return primary_key(load, program) or (self.source_key if whole else ())


def primary_key(load: Load, program: Program) -> tuple[str, ...]:
    """What is unique in the target: the key, and beside it what tells its versions or its slices apart."""
    if not load.key:
        return ()
    extra: tuple[str, ...] = ()
    for op in program:
        match op:
            case Version(names=(opened, _)):
                extra = (opened,)
            case ReplaceSlice(column=column) if column not in load.key:
                extra = (column,)
            case _:
                pass
    return (*load.key, *extra)


def system_columns(load: Load, program: Program, *, audit: bool) -> tuple[SystemColumn, ...]:
    """The columns that dpone adds beside the content, declared by role and never recognised by name."""
    columns: list[SystemColumn] = []
    version = next((op for op in program if isinstance(op, Version)), None)
    if version is not None:
        columns.append(SystemColumn(Role.VALID_FROM, Field(version.names[0], INSTANT, nullable=False)))
        columns.append(SystemColumn(Role.VALID_TO, Field(version.names[1], INSTANT)))
    elif isinstance(load.deletes, Flag):
        columns.append(SystemColumn(Role.DELETED_AT, Field(load.deletes.column, INSTANT)))
    if audit:
        columns.append(SystemColumn(Role.LOAD_ID, Field(LOAD_ID, STRING), load.id))
        columns.append(SystemColumn(Role.LOADED_AT, Field(LOADED_AT, INSTANT), load.at))
    return tuple(columns)


def choose_fate(program: Program, sink: SinkSpec[Any], *, first: bool, creates: bool) -> Fate:
    """What becomes of the stage: adopted where it holds all that the target will, direct where the program only adds.

    A first append may be large, and is staged; later ones are small, and go through the final transaction at once.
    """
    on_nothing = creates and {type(op) for op in program} <= sink.adopts_first
    if Fate.ADOPT in sink.fates and (on_nothing or _is_whole(program, sink.adopts)):
        return Fate.ADOPT
    match program:
        case (Append(unless=()),) if not first and Fate.DIRECT in sink.fates:
            return Fate.DIRECT
        case _:
            return Fate.SCRATCH


def _is_whole(program: Program, adopts: frozenset[type[Op]]) -> bool:
    """One of the operations that leave the staged rows and no others."""
    match program:
        case (Recreate() | ReplaceAll(where=()) as op,):
            return type(op) in adopts
        case _:
            return False


def lossy(columns: Sequence[PlannedColumn]) -> list[PlannedColumn]:
    """The columns whose values may change on the way without the manifest declaring it."""
    return [c for c in columns if c.landing.verdict is Verdict.LOSSY and not c.loss_declared]


def reserved_column(name: str) -> PlanError:
    return PlanError(
        f"the source has a column {name}, which dpone adds to the target itself",
        code="plan.reserved_column",
        hint="rename the source's column under `columns:`",
    )


def refuse_loss(columns: Sequence[PlannedColumn]) -> None:
    """Raises when a column would lose values undeclared."""
    if undeclared := lossy(columns):
        listed = "; ".join(
            f"{c.field.name} ({c.field.native or c.field.type} to {c.landing.native}): {c.landing.why}"
            for c in undeclared
        )
        names = ", ".join(c.field.name for c in undeclared)
        raise PlanError(
            f"values could change on their way: {listed}",
            code="plan.type_loss",
            hint=f"cast or leave out the column under `columns:`, or declare it: `on_type_loss: [{names}]`",
        )


def plain(value: object) -> Json:
    """A value of a plan as JSON; operations and other data name their class, types are spelled."""
    if isinstance(value, Type):
        return str(value)
    if isinstance(value, Struct):
        return {"kind": type(value).__name__, **{name: plain(found) for name, found in asdict(value).items()}}
    match value:
        case None | bool() | int() | str():
            return value
        case float() if isfinite(value):
            return value
        case float() | Decimal():
            return str(value)
        case Enum():
            return plain(value.value)
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return f"{value.total_seconds()}s"
        case Mapping():
            return {str(k): plain(v) for k, v in value.items()}
        case frozenset() | set():
            return sorted(map(plain, value))
        case list() | tuple():
            return [plain(v) for v in value]
        case bytes():
            return value.hex()
        case _:
            return str(value)


def print_op(op: Op) -> str:
    """One operation as a person reads it: its name and what differs from the default."""
    parts = []
    defaults = dict(zip(reversed(op.__struct_fields__), reversed(op.__struct_defaults__), strict=False))
    for name, value in asdict(op).items():
        if value in ((), None) or (name in defaults and value == defaults[name]):
            continue
        parts.append(f"{name}={json.dumps(plain(value), ensure_ascii=False) if not isinstance(value, str) else value}")
    return f"{type(op).__name__}({', '.join(parts)})"
