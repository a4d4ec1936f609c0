"""A load from the source into a sealed and validated stage; the target is untouched by all of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from itertools import chain
from threading import Event as Flag
from time import monotonic
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from dpone import events
from dpone.batch import Batch
from dpone.checks import Checksum, probe_of
from dpone.connector import (
    GoesOn,
    KeepsStages,
    KeptStage,
    Layout,
    Lease,
    Measures,
    Position,
    Reading,
    Stage,
    Staged,
    Stored,
)
from dpone.copying import Sent, batches_of, copy_split, refuse_excess, total
from dpone.errors import PlanError, StateError
from dpone.failpoints import hit
from dpone.keeping import Note, digest_of, note_of, read_note
from dpone.prepare import Prepared
from dpone.probes import Measurement, Probe
from dpone.running import Run, refuse_overtime
from dpone.strategies import Load, Read, at_time
from dpone.validation import refuse_shared, validate, validate_again


class Ready(Struct, frozen=True):
    """A validated stage, waiting to be published."""

    prepared: Prepared
    stage: Stage
    staged: Staged
    upto: Position | None
    note: Note


def stage_load(
    run: Run, lease: Lease, load: Load, current: Layout | None, since: Stored | None, stack: ExitStack
) -> Ready | None:
    """The source is read from `since` to its upper bound into a sealed and validated stage; the target is untouched.

    None when there is nothing new: then no stage is made, and nothing needs to be published.
    """
    begun = monotonic()
    prepared = run.prepared(load, current, since)
    refuse_shared(lease, prepared.program)
    run.notify(events.FormatChosen(prepared.choice))
    at_source: Measurement = {}
    with run.source.open(prepared.request) as reading:
        hit("after_open")
        run.notify(events.ReadingOpened(reading.schema, reading.upto, len(reading.splits)))
        if isinstance(reading, GoesOn) and (from_before := reading.continued) is not None:
            run.notify(events.ReadingContinued(from_before.parts, from_before.begun))
        sealing = replace(prepared.spec.sealing, changes=reading.changes)
        may_be_idle = _may_be_idle(run, prepared, reading, since)
        # a load that may turn out to be none is small, and is copied here
        elsewhere = None if may_be_idle else run.elsewhere
        writers = None if elsewhere else len(reading.splits)  # one of them may be tried again
        prepared = replace(prepared, spec=replace(prepared.spec, sealing=sealing, writers=writers))
        batches = {
            split.id: batches_of(run.source, prepared.request, split, prepared.columns, prepared.core_where)
            for split in reading.splits
        }
        if may_be_idle:
            (only,) = batches
            first = next(batches[only], None)
            if first is None:
                run.notify(events.NothingNew(reading.upto))
                return None
            batches[only] = chain((first,), batches[only])
        stage = stack.enter_context(run.sink.stage(prepared.spec))
        if elsewhere is None:
            sent, nbytes = _copy(run, batches, stage)
        else:
            sent, nbytes = elsewhere.copy(run, prepared, reading.splits, stage.ref)
        if probe := tuple(dict.fromkeys(m for c in run.plan.checks if isinstance(c, Checksum) for m in probe_of(c))):
            at_source = _measure_source(run, prepared, probe)
        upto = reading.upto
    hit("before_seal")
    staged = stage.seal()
    hit("after_seal")
    sealed = monotonic()
    run.notify(events.StageSealed(staged, load.id, sealed - begun))
    validate(run, prepared, stage, staged, sent, at_source)
    run.notify(events.StageValidated(load.id, monotonic() - sealed))
    note = note_of(run, prepared, lease.stored, upto, staged, nbytes=nbytes, seconds=monotonic() - begun)
    ready = Ready(prepared, stage, staged, upto, note)
    if run.keeps:
        _keep(run, ready)
    hit("after_keep")
    return ready


def _keep(run: Run, ready: Ready) -> None:
    """The stage outlives this process where its sink can do that; those that it takes the place of are gone."""
    sink = run.sink
    if not isinstance(sink, KeepsStages):
        return
    if sink.keep_stage(ready.stage, ready.note.to_json()):
        run.notify(events.StageKept(ready.note.load_id))
    for kept in sink.kept_stages(run.plan.target):
        if kept.pipeline == run.plan.pipeline and kept.note.get("run_id") != run.id:
            sink.drop_stage(run.plan.target, kept.load_id)


def adopt_load(
    run: Run, lease: Lease, load: Load, current: Layout | None, kept: KeptStage, stack: ExitStack
) -> Ready | None:
    """The sealed stage of an earlier process, validated again; None when the target has another layout since."""
    assert isinstance(run.sink, KeepsStages)  # it gave the stage
    begun = monotonic()
    note = read_note(kept)
    load = at_time(replace(load, first=note.first), note.at)
    prepared = run.prepared(load, current, lease.stored)
    refuse_shared(lease, prepared.program)
    sealing = replace(prepared.spec.sealing, changes=note.changes)
    prepared = replace(prepared, spec=replace(prepared.spec, sealing=sealing, writers=note.writers))
    if digest_of(prepared.spec) != note.spec_digest:
        return None
    stage, staged = stack.enter_context(run.sink.adopt_stage(prepared.spec))
    if staged != note.staged:
        raise StateError(
            f"the stage of {load.id} holds {staged}, and was sealed with {note.staged}",
            code="replay.stage_differs",
            hint="nothing was published; `dpone run` reads again",
        )
    run.notify(events.StageAdopted(load.id, staged))
    validate_again(run, prepared, stage, staged)
    run.notify(events.StageValidated(load.id, monotonic() - begun))
    return Ready(prepared, stage, staged, note.upto, note)


def _measure_source(run: Run, prepared: Prepared, probe: Probe) -> Measurement:
    if not isinstance(run.source, Measures):
        raise PlanError(
            f"{run.plan.source.connector} cannot compute a checksum of what it gives",
            code="plan.unsupported_check",
            hint="remove the checksum check; row counts and profiles are compared in any case",
        )
    return run.source.measure(prepared.request, probe)


def _may_be_idle(run: Run, prepared: Prepared, reading: Reading, since: Stored | None) -> bool:
    """True when a reading without rows would change nothing at all, not even what the next one reads."""
    if since is None or prepared.changes or prepared.spec.present or run.plan.checks:
        return False
    if len(reading.splits) != 1:
        return False
    match run.plan.rule.read:
        case Read.SCAN:
            return False
        case Read.SINCE:
            return True  # a position that moved over nothing is found again
        case Read.XMIN | Read.CHANGES:
            return reading.upto == since.position  # one that moved must be kept: the source waits for it


def _copy(run: Run, batches: Mapping[str, Iterator[Batch]], stage: Stage) -> Sent:
    """Every split is written to the stage; what was sent."""
    failed = Flag()
    if len(batches) == 1:
        ((split, only),) = batches.items()
        return _copy_split(run, split, only, stage, failed)
    with ThreadPoolExecutor(max(1, len(batches)), thread_name_prefix="dpone-split") as pool:
        futures = [pool.submit(_copy_split, run, split, each, stage, failed) for split, each in batches.items()]
        _wait(futures, failed)
    return total(future.result() for future in futures)


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


def _copy_split(run: Run, split: str, batches: Iterator[Batch], stage: Stage, failed: Flag) -> Sent:
    def check() -> None:
        run.stop.check()
        if failed.is_set():
            raise _Abandoned
        refuse_overtime(run)
        refuse_excess(run.plan.limits.memory_bytes)

    def tell(batch: Batch) -> None:
        run.notify(events.BatchStaged(split, batch.rows, batch.nbytes))

    return copy_split(run.sink, stage.ref, split, batches, check=check, tell=tell)
