"""How a plan lands a part of its rows again: the same strategies, over a filter. Pure: nothing is connected to.

Afterwards the rows of the target within the filter are those of the source, by the manifest's own policy of deletes.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from dpone.checks import Freshness, RowCount
from dpone.compile import refuse_unsupported
from dpone.connector import Connector
from dpone.errors import PlanError
from dpone.ops import Absent, DeleteAbsent, Flag, Guard, Ignore
from dpone.plan import Plan
from dpone.prepare import refuse_filter
from dpone.probes import Rows
from dpone.replay.scope import Keys, Scope, Whole, describe, parts
from dpone.strategies import AGAIN, INCREMENTAL_APPEND, REPLACE, SCD2, SNAPSHOT_DIFF, Read
from dpone.where import Compare, Condition, Where

# What carries a strategy's rows again: by key where it has one, by exchange where it exchanges.
_BY_KEY = frozenset({"incremental_append", "incremental_merge", "snapshot_diff", "xmin", "cdc"})
_FREE = Guard(max_removed_share=1.0, allow_empty=True)


class Part(Struct, frozen=True):
    """One load of a resync. `expects` asks the target for the rows that must be as many as are staged."""

    plan: Plan
    where: Where
    expects: Rows | None

    @property
    def reads_anew(self) -> bool:
        """The source is read as on the first day, up to a new position."""
        return self.plan.strategy in AGAIN

    @property
    def rehearsal(self) -> Plan:
        """The same rows, read without a trace: a first reading of changes puts a new slot in the place of the old."""
        is_logged = self.plan.rule.read is Read.CHANGES
        return replace(self.plan, strategy=SNAPSHOT_DIFF.name) if is_logged else self.plan


def plan_resync(
    plan: Plan, scope: Scope, source: Connector[Any], sink: Connector[Any], *, allow_empty: bool = False
) -> tuple[Part, ...]:
    """The loads that land the scope of this plan again, in their order."""
    assert source.source is not None  # the plan was compiled for these two ends
    found = []
    for where in parts(plan, scope):
        part = _part(plan, scope, where, allow_empty=allow_empty)
        refuse_unsupported(source, sink, part.plan.strategy)
        refuse_filter(part.plan, part.plan.rule.program(part.plan.load), pushes_where=source.source.pushes_where)
        found.append(part)
    return tuple(found)


def _part(plan: Plan, scope: Scope, where: Where, *, allow_empty: bool) -> Part:
    is_whole = isinstance(scope, Whole)
    strategy = _strategy(plan, scope)
    # a key that was named is meant, whatever share of its few rows vanishes
    guard = _FREE if allow_empty or isinstance(scope, Keys) else plan.load.guard
    load = replace(
        plan.load,
        where=(*plan.load.where, *where),
        newer=None,  # what the source has now is what shall be there, older or not
        bounds=None,
        guard=guard,
        reconcile=False,
        # a version history cannot be asked for the keys that a filter would have had
        absent=plan.load.absent if is_whole else Absent.KEEP,
    )
    checks = plan.checks if is_whole else tuple(c for c in plan.checks if not isinstance(c, RowCount | Freshness))
    landed = replace(plan, strategy=strategy, load=load, checks=checks, chunks=())
    return Part(landed, load.where, _expected(landed))


def _strategy(plan: Plan, scope: Scope) -> str:
    if plan.strategy == SCD2.name:
        return SCD2.name
    if plan.strategy == INCREMENTAL_APPEND.name and not plan.load.key:
        if isinstance(scope, Whole):
            return f"{plan.strategy} again"
        raise PlanError(
            f"{plan.pipeline} appends rows without a key, and {describe(scope)} may hold rows that a later run appends",
            code="replay.needs_key",
            hint="land the whole table again by --all, or give the strategy a key",
        )
    if isinstance(scope, Whole) and plan.rule.read in {Read.XMIN, Read.CHANGES}:
        return f"{plan.strategy} again"
    return SNAPSHOT_DIFF.name if plan.strategy in _BY_KEY else REPLACE.name


def _expected(plan: Plan) -> Rows | None:
    """The rows of the target that must be as many as are staged; None where a history or a policy keeps others."""
    program = plan.rule.program(plan.load)
    if plan.strategy == SCD2.name:
        return None
    match plan.load.deletes:
        case Flag(column=column) if isinstance(program[0], DeleteAbsent):
            return Rows((*plan.load.where, Condition(column, Compare.IS_NULL)))
        case Ignore() if isinstance(program[0], DeleteAbsent):
            return None
        case _:
            return Rows(plan.load.where)
