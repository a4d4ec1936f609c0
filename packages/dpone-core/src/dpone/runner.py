"""One run of one plan: the order in which it reads, stages, validates, publishes, reconciles, saves and settles.

The order is law: validate the stage, finalise, reconcile, commit the state; nothing becomes visible before it is
validated and reconciled. Everything that talks to a server is behind the two protocols of `dpone.connector`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from threading import Event as Flag
from time import monotonic
from typing import Any

from dpone import events
from dpone.again import carried_through, was_stopped_for_another
from dpone.batch import Batch
from dpone.checks import Checksum, probe_of, run_checks
from dpone.connector import (
    Applied,
    Chunk,
    Commit,
    Connector,
    CreateTarget,
    Layout,
    Lease,
    Measures,
    Position,
    Publication,
    Reading,
    SchemaChange,
    Sink,
    Source,
    Split,
    Stage,
    Staged,
    Stored,
)
from dpone.errors import DataError, PlanError, StateError
from dpone.failpoints import hit
from dpone.ops import Absent, DeleteAbsent, DeleteKeys, Ignore, Program, Recreate, ReplaceAll, Version, domain
from dpone.plan import Plan, Reconcile, plain
from dpone.prepare import Prepared, prepare
from dpone.probes import Beyond, Measure, Measurement, Nulls, Probe, Rows
from dpone.reconcile import profile_of, reflects_stage, refuse_difference, refuse_wrong_count
from dpone.signals import Stop
from dpone.strategies import Load, Read


@dataclass(frozen=True, slots=True)
class Run:
    """A plan with its two connected ends, and who is told what happens."""

    id: str
    plan: Plan
    source: Source
    sink: Sink
    source_connector: Connector[Any]
    sink_connector: Connector[Any]
    notify: Callable[[events.Event], None]
    stop: Stop
    deadline: float | None = None


def execute(run: Run) -> None:
    """The plan is carried out; after an error the target and the stored position are those of the last commit."""
    plan = run.plan
    with run.sink.lease(plan.target, plan.pipeline) as lease:
        stored = lease.stored
        run.notify(events.LeaseTaken(stored.generation if stored else 0, stored.position if stored else None))
        current = run.sink.inspect(plan.target)
        if stored and stored.position:
            _settle_stored(run, stored.position, current)
        if plan.chunks:
            _chunks(run, lease)
        else:
            load = _load(run, run.id, lease)
            _refuse_used(lease, load)
            with ExitStack() as stack:
                if ready := _stage(run, lease, load, current, stack):
                    _publish(run, ready, stored, None)


def _load(run: Run, load_id: str, lease: Lease) -> Load:
    template = run.plan.load
    return replace(template, id=f"{load_id}.{run.plan.pipeline}", at=datetime.now(UTC), first=lease.stored is None)


def _refuse_used(lease: Lease, load: Load) -> None:
    if lease.committed(load.id):
        raise StateError(
            f"the load {load.id} is already in the target",
            code="state.run_id_used",
            hint="leave --run-id away, or choose a new one",
        )


def _settle_stored(run: Run, position: Position, current: Layout | None) -> None:
    """A run that died between commit and settle left the source unconfirmed; settling again changes nothing else."""
    prepared = _prepare(run, run.plan.load, current, None)
    run.source.settle(prepared.request, position)
    run.notify(events.SourceSettled(position))


def _prepare(run: Run, load: Load, current: Layout | None, stored: Stored | None) -> Prepared:
    return prepare(run.plan, load, run.source_connector, run.sink_connector, current, stored)


# ------------------------------------------------------------------- staging


@dataclass(frozen=True, slots=True)
class Ready:
    """A validated stage, waiting to be published."""

    prepared: Prepared
    stage: Stage
    staged: Staged
    upto: Position | None


def _stage(run: Run, lease: Lease, load: Load, current: Layout | None, stack: ExitStack) -> Ready | None:
    """The source is read to its upper bound into a sealed and validated stage; the target is untouched.

    None when there is nothing new: then no stage is made, and nothing needs to be published.
    """
    prepared = _prepare(run, load, current, lease.stored)
    _refuse_shared(lease, prepared.program)
    run.notify(events.FormatChosen(prepared.choice))
    at_source: Measurement = {}
    with run.source.open(prepared.request) as reading:
        hit("after_open")
        run.notify(events.ReadingOpened(reading.schema, reading.upto, len(reading.splits)))
        sealing = replace(prepared.spec.sealing, changes=reading.changes)
        prepared = replace(prepared, spec=replace(prepared.spec, sealing=sealing, writers=len(reading.splits)))
        batches = {split.id: _batches(run, prepared, split) for split in reading.splits}
        if _may_be_idle(run, prepared, reading, lease):
            (only,) = batches
            first = next(batches[only], None)
            if first is None:
                run.notify(events.NothingNew(reading.upto))
                return None
            batches[only] = chain((first,), batches[only])
        stage = stack.enter_context(run.sink.stage(prepared.spec))
        sent = _copy(run, batches, stage)
        if probe := tuple(dict.fromkeys(m for c in run.plan.checks if isinstance(c, Checksum) for m in probe_of(c))):
            at_source = _measure_source(run, prepared, probe)
        upto = reading.upto
    hit("before_seal")
    staged = stage.seal()
    hit("after_seal")
    run.notify(events.StageSealed(staged))
    _validate(run, prepared, stage, staged, sent, at_source)
    return Ready(prepared, stage, staged, upto)


def _measure_source(run: Run, prepared: Prepared, probe: Probe) -> Measurement:
    if not isinstance(run.source, Measures):
        raise PlanError(
            f"{run.plan.source.connector} cannot compute a checksum of what it gives",
            code="plan.unsupported_check",
            hint="remove the checksum check; row counts and profiles are compared in any case",
        )
    return run.source.measure(prepared.request, probe)


def _may_be_idle(run: Run, prepared: Prepared, reading: Reading, lease: Lease) -> bool:
    """True when a reading without rows would change nothing at all, not even what the next one reads."""
    if lease.stored is None or prepared.changes or prepared.spec.present or run.plan.checks:
        return False
    if len(reading.splits) != 1:
        return False
    match run.plan.rule.read:
        case Read.SCAN:
            return False
        case Read.SINCE:
            return True  # a position that moved over nothing is found again
        case Read.XMIN | Read.CHANGES:
            return reading.upto == lease.stored.position  # one that moved must be kept: the source waits for it


def _copy(run: Run, batches: Mapping[str, Iterator[Batch]], stage: Stage) -> int | None:
    """Every split is written to the stage; the number of rows sent, or None where batches were not counted."""
    failed = Flag()
    if len(batches) == 1:
        ((split, only),) = batches.items()
        return _copy_split(run, split, only, stage, failed)
    with ThreadPoolExecutor(max(1, len(batches)), thread_name_prefix="dpone-split") as pool:
        futures = [pool.submit(_copy_split, run, split, each, stage, failed) for split, each in batches.items()]
        _wait(futures, failed)
    counts = [future.result() for future in futures]
    return None if any(c is None for c in counts) else sum(c for c in counts if c is not None)


def _wait(futures: list[Future[Any]], failed: Flag) -> None:
    """Returns when all are done; the first failure, or a signal, makes the others end at their next batch."""
    try:
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        if any(future.exception() for future in done):
            failed.set()
    except BaseException:
        failed.set()
        raise
    for future in futures:
        if not future.cancelled() and (error := future.exception()) and not isinstance(error, _Abandoned):
            raise error


class _Abandoned(Exception):
    """This split was given up because another one failed."""


def _copy_split(run: Run, split: str, batches: Iterator[Batch], stage: Stage, failed: Flag) -> int | None:
    sent: int | None = 0
    first = True
    with run.sink.writer(stage.ref, split) as writer:
        for batch in batches:
            run.stop.check()
            if failed.is_set():
                raise _Abandoned
            _refuse_excess(run)
            writer.write(batch)
            if first:
                hit("after_first_batch")
                first = False
            sent = None if sent is None or batch.rows is None else sent + batch.rows
            run.notify(events.BatchStaged(split, batch.rows, batch.nbytes))
    return sent


def _batches(run: Run, prepared: Prepared, split: Split) -> Iterator[Batch]:
    batches = run.source.read(prepared.request, split)
    changed = any(c.change for c in prepared.columns)
    if not changed and not prepared.core_where:
        return batches
    from dpone.transform import through_core

    return through_core(batches, prepared.columns, prepared.core_where)


def _refuse_excess(run: Run) -> None:
    """Raises when the run has used up its time or its memory."""
    if run.deadline is not None and monotonic() > run.deadline:
        raise DataError(
            f"the run took longer than {run.plan.limits.run_timeout}",
            code="limits.run_timeout",
            hint="raise `limits: {run_timeout: ...}`; nothing of this load was published",
        )
    limit = run.plan.limits.memory_bytes
    if limit is not None and _resident() > limit:
        raise DataError(
            f"the process holds more than {limit >> 20} MiB",
            code="limits.memory",
            hint="raise `limits: {memory: ...}` or lower the number of splits; nothing of this load was published",
        )


def _resident() -> int:
    """Bytes that the process holds now; zero where the platform does not say."""
    if not sys.platform.startswith("linux"):
        return 0
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 -- read for every batch; Path costs more than the read
        return int(statm.read().split()[1]) * 4096


# ---------------------------------------------------------------- validation


def _refuse_shared(lease: Lease, program: Program) -> None:
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


def _validate(
    run: Run, prepared: Prepared, stage: Stage, staged: Staged, sent: int | None, at_source: Measurement
) -> None:
    if sent is not None and sent != staged.received:
        raise DataError(
            f"{sent} rows were sent to the stage, which received {staged.received}",
            code="stage.rows_lost",
            hint="nothing was published; run again, and report it if it happens twice",
        )
    _refuse_deletes(run, prepared, staged)
    _refuse_outside(prepared, stage)
    now = prepared.load.at
    for name, found in run_checks(run.plan.checks, stage.measure, lambda _: at_source, now):
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
        if found[Nulls(column)]:
            raise _outside("stage.null_key", f"{found[Nulls(column)]} staged rows hold NULL in {column}")
    if limits.where and found[Rows()] != found[Rows(limits.where)]:
        raise _outside("stage.outside_where", "staged rows do not match the filter of the load")
    if limits.bounds and found[Beyond(*limits.bounds)]:
        rows = found[Beyond(*limits.bounds)]
        raise _outside("stage.outside_bounds", f"{rows} staged rows lie outside the bounds of the load")


def _outside(code: str, message: str) -> DataError:
    return DataError(
        message, code=code, hint="nothing was published; correct the rows at the source, or filter them out"
    )


# ---------------------------------------------------------------- publishing


def _publish(run: Run, ready: Ready, expected: Stored | None, chunk: Chunk | None) -> Stored:
    """The stage is in the target together with its position, or nothing changed.

    A transaction that the server stopped for the sake of another one is carried out anew: the stage is still there.
    """

    def attempt() -> Stored:
        said: list[events.Event] = []
        try:
            return _carry_out(run, ready, expected, chunk, said)
        except BaseException as error:
            if not was_stopped_for_another(error):
                _tell(run, said)
            raise

    return carried_through(attempt, run.stop.check)


def _tell(run: Run, said: list[events.Event]) -> None:
    for event in said:
        run.notify(event)
    said.clear()


def _carry_out(
    run: Run, ready: Ready, expected: Stored | None, chunk: Chunk | None, said: list[events.Event]
) -> Stored:
    """One attempt at the final act; `said` is what to tell of it unless there is another one."""
    prepared = ready.prepared
    # a chunk was staged before its predecessor was published, perhaps before there was a target at all
    changes = prepared.changes if chunk is None else _changes_now(run, prepared, expected)
    new = Stored(
        position=ready.upto or (expected.position if expected else None),
        generation=(expected.generation if expected else 0) + 1,
        load_id=prepared.load.id,
    )
    with run.sink.publication(prepared.spec, prepared.load) as publication:
        publication.ensure(prepared.spec.layout, changes)
        hit("after_ensure")
        said.append(events.LayoutEnsured(prepared.spec.layout, changes))
        created = any(isinstance(c, CreateTarget) for c in changes)
        before = 0 if created else _rows(publication)
        applied = publication.apply(prepared.program, ready.stage)
        said += [events.OpApplied(op, c) for op, c in zip(prepared.program, applied.counts, strict=True)]
        level, after = _reconcile(run, publication, ready, before, applied)
        hit("after_reconcile")
        said.append(events.Reconciled(level.value, before, after))
        with run.stop.shield():  # a signal waits until it is known whether the commit happened
            publication.save_position(Commit(expected, new, run.id, chunk))
            hit("after_save_position")
            publication.commit()
            hit("after_commit")
            _tell(run, said)
            run.notify(events.StateCommitted(new.load_id, new.generation, new.position))
    hit("before_settle")
    if ready.upto is not None:
        run.source.settle(prepared.request, ready.upto)
        run.notify(events.SourceSettled(ready.upto))
    return new


def _changes_now(run: Run, prepared: Prepared, stored: Stored | None) -> tuple[SchemaChange, ...]:
    return _prepare(run, prepared.load, run.sink.inspect(run.plan.target), stored).changes


def _rows(publication: Publication) -> int:
    rows = publication.measure((Rows(),))[Rows()]
    assert isinstance(rows, int)
    return rows


def _reconcile(
    run: Run, publication: Publication, ready: Ready, before: int, applied: Applied
) -> tuple[Reconcile, int]:
    """How much was compared, and the rows of the target; raises when something does not add up."""
    prepared = ready.prepared
    whole = reflects_stage(prepared.program) and not ready.staged.present  # present rows are there, and not staged
    if run.plan.reconcile is Reconcile.PROFILE and whole and not applied.adopted:
        level = Reconcile.PROFILE
        probe = profile_of(prepared.spec.layout, prepared.load.columns)
        landed = publication.measure(probe)
        refuse_difference(ready.stage.measure(probe), landed)
        after = landed[Rows()]
        assert isinstance(after, int)
    else:
        level, after = Reconcile.COUNTS, _rows(publication)
    refuse_wrong_count(before, applied.counts, after)
    return level, after


# -------------------------------------------------------------------- chunks


def _chunks(run: Run, lease: Lease) -> None:
    """Each chunk is a load of its own: staged in parallel, published one after another, remembered until the last."""
    digest = run.plan.digest
    done = lease.chunks(digest)
    todo = [(bounds, name) for bounds in run.plan.chunks if (name := chunk_name(bounds)) not in done]
    for bounds in run.plan.chunks:
        if chunk_name(bounds) in done:
            run.notify(events.ChunkSkipped(chunk_name(bounds)))
    stored = lease.stored

    def stage(bounds: tuple[object, object], name: str) -> tuple[Ready, ExitStack]:
        stack = ExitStack()
        with ExitStack() as undo:
            undo.callback(stack.close)
            load = replace(_load(run, f"{run.id}.{name}", lease), bounds=bounds)
            ready = _stage(run, lease, load, run.sink.inspect(run.plan.target), stack)
            assert ready is not None  # a chunk is a scan, which always says something
            undo.pop_all()
        return ready, stack

    workers = max(1, min(run.plan.workers, len(todo)))
    with ThreadPoolExecutor(workers, thread_name_prefix="dpone-chunk") as pool:
        waiting: list[Future[tuple[Ready, ExitStack]]] = []
        ahead = iter(todo)
        try:
            for index, (_, name) in enumerate(todo):
                while len(waiting) < workers and (following := next(ahead, None)) is not None:
                    waiting.append(pool.submit(stage, *following))
                ready, stack = waiting.pop(0).result()
                with stack:
                    chunk = Chunk(digest, name, last=index == len(todo) - 1)
                    stored = _publish(run, ready, stored, chunk)
                run.stop.check()
        finally:
            for future in waiting:  # staged ahead of a failure: dropped unpublished
                if not future.cancel() and future.exception() is None:
                    future.result()[1].close()


def chunk_name(bounds: tuple[object, object]) -> str:
    """A chunk by its bounds, the same in every run."""
    lo, hi = bounds
    return f"{plain(lo)}..{plain(hi)}"
