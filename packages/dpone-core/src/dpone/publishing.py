"""The final act of a load: the target's layout, the program, the comparison, the position, and one commit of it all."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from dpone import events
from dpone.again import carried_through, was_stopped_for_another
from dpone.connector import (
    Applied,
    Chunk,
    Commit,
    CreateTarget,
    Json,
    Publication,
    SchemaChange,
    Stored,
)
from dpone.failpoints import hit
from dpone.oracle import Counts
from dpone.plan import Reconcile
from dpone.probes import Rows
from dpone.reconcile import profile_of, reflects_stage, refuse_difference, refuse_wrong_count
from dpone.running import Run
from dpone.staging import Ready

Inspect = Callable[[Publication], None]


def publish(
    run: Run, ready: Ready, expected: Stored | None, chunk: Chunk | None = None, *, inspect: Inspect | None = None
) -> Stored:
    """The stage is in the target together with its position, or nothing changed.

    A transaction that the server stopped for the sake of another one is carried out anew: the stage is still there.
    `inspect` may look at the target as it will be, and raise.
    """

    def attempt() -> Stored:
        said: list[events.Event] = []
        try:
            return _carry_out(run, ready, expected, chunk, said, inspect)
        except BaseException as error:
            if not was_stopped_for_another(error):
                _tell(run, said)
            raise

    return carried_through(attempt, run.stop.check)


def rehearse(
    run: Run, ready: Ready, expected: Stored | None, chunk: Chunk | None = None, *, inspect: Inspect | None = None
) -> None:
    """Everything of a publication but the position and the commit was done, told, and taken back."""
    said: list[events.Event] = []
    with run.sink.publication(ready.prepared.spec, ready.prepared.load) as publication:
        _fill(run, ready, publication, _changes(run, ready, expected, chunk), said, inspect)
    _tell(run, said)


def _tell(run: Run, said: list[events.Event]) -> None:
    for event in said:
        run.notify(event)
    said.clear()


def _carry_out(
    run: Run,
    ready: Ready,
    expected: Stored | None,
    chunk: Chunk | None,
    said: list[events.Event],
    inspect: Inspect | None,
) -> Stored:
    """One attempt at the final act; `said` is what to tell of it unless there is another one."""
    prepared = ready.prepared
    begun = monotonic()
    new = Stored(
        position=ready.upto or (expected.position if expected else None),
        generation=(expected.generation if expected else 0) + 1,
        load_id=prepared.load.id,
    )
    with run.sink.publication(prepared.spec, prepared.load) as publication:
        filled = _fill(run, ready, publication, _changes(run, ready, expected, chunk), said, inspect)
        record = ready.note.to_json() | filled | {"seconds_to_publish": round(monotonic() - begun, 6)}
        with run.stop.shield():  # a signal waits until it is known whether the commit happened
            reconciled = monotonic()
            publication.save_position(Commit(expected, new, run.id, chunk, record))
            hit("after_save_position")
            publication.commit()
            hit("after_commit")
            _tell(run, said)
            took = monotonic() - reconciled
            run.notify(events.StateCommitted(new.load_id, new.generation, new.position, took))
    hit("before_settle")
    if ready.upto is not None:
        run.source.settle(prepared.request, ready.upto)
        run.notify(events.SourceSettled(ready.upto))
    return new


def _fill(
    run: Run,
    ready: Ready,
    publication: Publication,
    changes: tuple[SchemaChange, ...],
    said: list[events.Event],
    inspect: Inspect | None,
) -> dict[str, Json]:
    """The target as it will be has the rows, and adds up; what was done to it, for the ledger."""
    prepared = ready.prepared
    begun = monotonic()
    publication.ensure(prepared.spec.layout, changes)
    hit("after_ensure")
    said.append(events.LayoutEnsured(prepared.spec.layout, changes))
    created = any(isinstance(c, CreateTarget) for c in changes)
    before = 0 if created else _rows(publication)
    applied = publication.apply(prepared.program, ready.stage)
    said += [events.OpApplied(op, c) for op, c in zip(prepared.program, applied.counts, strict=True)]
    finalised = monotonic()
    level, after = _reconcile(run, publication, ready, before, applied)
    if inspect is not None:
        inspect(publication)
    hit("after_reconcile")
    took = monotonic() - finalised
    said.append(events.Reconciled(level.value, before, after, finalised - begun, took))
    done = sum(applied.counts, Counts())
    return {
        "inserted": done.inserted,
        "updated": done.updated,
        "deleted": done.deleted,
        "rows_before": before,
        "rows_after": after,
    }


def _changes(run: Run, ready: Ready, expected: Stored | None, chunk: Chunk | None) -> tuple[SchemaChange, ...]:
    """A chunk was staged before its predecessor was published, perhaps before there was a target at all."""
    if chunk is None:
        return ready.prepared.changes
    return run.prepared(ready.prepared.load, run.sink.inspect(run.plan.target), expected).changes


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
