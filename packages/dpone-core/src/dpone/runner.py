"""One run of one plan: the order in which it reads, stages, validates, publishes, reconciles, saves and settles.

The order is law: validate the stage, finalise, reconcile, commit the state; nothing becomes visible before it is
validated and reconciled. Everything that talks to a server is behind the two protocols of `dpone.connector`.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime

from msgspec.structs import replace

from dpone import events
from dpone.connector import Chunk, KeptStage, Layout, Lease, Position
from dpone.errors import StateError
from dpone.plan import plain
from dpone.publishing import publish
from dpone.running import Run
from dpone.staging import Ready, adopt_load, stage_load
from dpone.strategies import Load, at_time

__all__ = ["Run", "execute"]


def execute(run: Run) -> None:
    """The plan is carried out; after an error the target and the stored position are those of the last commit."""
    with run.sink.lease(run.plan.target, run.plan.pipeline) as lease:
        tell_lease(run, lease)
        carry_out(run, lease)


def tell_lease(run: Run, lease: Lease) -> None:
    stored = lease.stored
    if stored is None:
        run.notify(events.LeaseTaken(0, None))
    else:
        run.notify(events.LeaseTaken(stored.generation, stored.position, stored.load_id))


def carry_out(run: Run, lease: Lease, kept: Mapping[str, KeptStage] | None = None) -> None:
    """The plan is carried out within the lease; a load whose stage was kept is published from it, without reading."""
    plan, stored = run.plan, lease.stored
    current = run.sink.inspect(plan.target)
    if stored and stored.position:
        settle_stored(run, stored.position, current)
    if plan.chunks:
        _chunks(run, lease, kept or {})
        return
    load = load_of(run, load_id_of(run), lease)
    _refuse_used(lease, load)
    with ExitStack() as stack:
        ready = adopted(run, lease, load, current, kept or {}, stack)
        if ready := ready or stage_load(run, lease, load, current, stored, stack):
            publish(run, ready, stored)


def load_id_of(run: Run, bounds: tuple[object, object] | None = None) -> str:
    """What the run's load is called, or that of one of its chunks."""
    chunk = "" if bounds is None else f".{chunk_name(bounds)}"
    return f"{run.id}{chunk}.{run.plan.pipeline}"


def load_of(run: Run, load_id: str, lease: Lease, bounds: tuple[object, object] | None = None) -> Load:
    """The plan's load, or one of its chunks, now and under this id."""
    template = run.plan.load if bounds is None else replace(run.plan.load, bounds=bounds)
    return at_time(replace(template, id=load_id, first=lease.stored is None), datetime.now(UTC))


def adopted(
    run: Run, lease: Lease, load: Load, current: Layout | None, kept: Mapping[str, KeptStage], stack: ExitStack
) -> Ready | None:
    """The stage that was kept of this load, where there is one that still fits its target."""
    found = kept.get(load.id)
    if found is None:
        return None
    ready = adopt_load(run, lease, load, current, found, stack)
    if ready is None and load.bounds is None:
        raise StateError(
            f"the target has another layout than when {load.id} was staged",
            code="replay.target_changed",
            hint="undo the change, or let `dpone run` read again",
        )
    return ready  # a chunk that was staged ahead of the one that made the target is read again


def _refuse_used(lease: Lease, load: Load) -> None:
    if lease.committed(load.id):
        raise StateError(
            f"the load {load.id} is already in the target",
            code="state.run_id_used",
            hint="leave --run-id away, or choose a new one",
        )


def settle_stored(run: Run, position: Position, current: Layout | None) -> None:
    """A run that died between commit and settle left the source unconfirmed; settling again changes nothing else."""
    prepared = run.prepared(run.plan.load, current, None)
    run.source.settle(prepared.request, position)
    run.notify(events.SourceSettled(position))


# -------------------------------------------------------------------- chunks


def _chunks(run: Run, lease: Lease, kept: Mapping[str, KeptStage]) -> None:
    """Each chunk is a load of its own: staged in parallel, published one after another, remembered until the last."""
    digest = run.plan.digest
    done = lease.chunks(digest)
    todo = [(bounds, name) for bounds in run.plan.chunks if (name := chunk_name(bounds)) not in done]
    for bounds in run.plan.chunks:
        if chunk_name(bounds) in done:
            run.notify(events.ChunkSkipped(chunk_name(bounds)))
    stored = lease.stored

    def stage(bounds: tuple[object, object]) -> tuple[Ready, ExitStack]:
        stack = ExitStack()
        with ExitStack() as undo:
            undo.callback(stack.close)
            load = load_of(run, load_id_of(run, bounds), lease, bounds)
            current = run.sink.inspect(run.plan.target)
            ready = adopted(run, lease, load, current, kept, stack)
            ready = ready or stage_load(run, lease, load, current, lease.stored, stack)
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
                    waiting.append(pool.submit(stage, following[0]))
                ready, stack = waiting.pop(0).result()
                with stack:
                    chunk = Chunk(digest, name, last=index == len(todo) - 1)
                    stored = publish(run, ready, stored, chunk)
                run.stop.check()
        finally:
            for future in waiting:  # staged ahead of a failure: dropped unpublished
                if not future.cancel() and future.exception() is None:
                    future.result()[1].close()


def chunk_name(bounds: tuple[object, object]) -> str:
    """A chunk by its bounds, the same in every run."""
    lo, hi = bounds
    return f"{plain(lo)}..{plain(hi)}"
