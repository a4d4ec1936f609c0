"""What a sealed stage must be before anything of it is published, and what a load may touch."""

from __future__ import annotations

from collections.abc import Sequence

from dpone import events
from dpone.checks import Check, Checksum, run_checks
from dpone.connector import Lease, Stage, Staged
from dpone.errors import DataError, StateError
from dpone.ops import Absent, DeleteAbsent, DeleteKeys, Ignore, Program, Recreate, ReplaceAll, Version, domain
from dpone.prepare import Prepared
from dpone.probes import Beyond, Measure, Measurement, Nulls, Rows
from dpone.running import Run
from dpone.stage import null_key, outside_bounds, outside_where
from dpone.strategies import Read


def refuse_shared(lease: Lease, program: Program) -> None:
    """Raises when the program would touch rows that another pipeline wrote."""
    if not lease.others:
        return
    for op in program:
        match op:
            case ReplaceAll(where=where) if where:
                continue
            case DeleteAbsent(within=within, how=how) if within or isinstance(how, Ignore):
                continue
            case Version(absent=Absent.KEEP):
                continue
            case Recreate() | ReplaceAll() | DeleteAbsent() | Version():
                raise StateError(
                    f"{type(op).__name__} would touch rows of other pipelines: {', '.join(lease.others)}",
                    code="state.target_shared",
                    hint="give each pipeline a target of its own, or a `where` that holds its rows alone",
                )
            case _:
                pass


def validate(
    run: Run, prepared: Prepared, stage: Stage, staged: Staged, sent: int | None, at_source: Measurement
) -> None:
    """Raises when the stage must not be published."""
    if sent is not None and sent != staged.received:
        raise DataError(
            f"{sent} rows were sent to the stage, which received {staged.received}",
            code="stage.rows_lost",
            hint="nothing was published; run again, and report it if it happens twice",
        )
    _refuse_unfit(run, prepared, stage, staged, run.plan.checks, at_source)


def validate_again(run: Run, prepared: Prepared, stage: Stage, staged: Staged) -> None:
    """The same of a stage that was validated before; what its source said of it then is not asked again."""
    _refuse_unfit(run, prepared, stage, staged, [c for c in run.plan.checks if not isinstance(c, Checksum)], {})


def _refuse_unfit(
    run: Run, prepared: Prepared, stage: Stage, staged: Staged, checks: Sequence[Check], at_source: Measurement
) -> None:
    _refuse_deletes(run, prepared, staged)
    _refuse_outside(prepared, stage)
    for name, found in run_checks(checks, stage.measure, lambda _: at_source, prepared.load.at):
        run.notify(events.CheckPassed(name, found))


def _refuse_deletes(run: Run, prepared: Prepared, staged: Staged) -> None:
    """Raises when the source says that rows are gone and the program has no way to carry that out."""
    if run.plan.rule.read is Read.SCAN or not (staged.dead or staged.cleared):
        return
    if not any(isinstance(op, DeleteKeys | DeleteAbsent) for op in prepared.program) and not isinstance(
        prepared.load.deletes, Ignore
    ):
        raise DataError(
            f"the source deleted {staged.dead} keys, which {run.plan.strategy} cannot carry out",
            code="stage.unexpected_deletes",
            hint="use incremental_merge or cdc, or say `deletes: ignore`",
        )


def _refuse_outside(prepared: Prepared, stage: Stage) -> None:
    """Raises when a staged row is outside the domain of the program."""
    limits = domain(prepared.program)
    required = tuple(dict.fromkeys((*limits.not_null, *prepared.load.key)))
    asked: list[Measure] = [Nulls(c) for c in required]
    if limits.where:
        asked += [Rows(), Rows(limits.where)]
    if limits.bounds:
        asked.append(Beyond(*limits.bounds))
    if not asked:
        return
    found = stage.measure(tuple(asked))
    for column in required:
        if rows := found[Nulls(column)]:
            raise null_key(column, rows)
    if limits.where and found[Rows()] != found[Rows(limits.where)]:
        raise outside_where()
    if limits.bounds and (rows := found[Beyond(*limits.bounds)]):
        raise outside_bounds(rows)
