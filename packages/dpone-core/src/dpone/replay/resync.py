"""`dpone resync`: rows that have landed are landed again by the strategy's own code; only planned unless told to do it.

A plan reads and stages the rows, carries out the program, counts, and takes it all back: its effect is what would
happen, and not an estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

from msgspec import Struct
from msgspec.structs import replace

from dpone import events
from dpone.api import REPLAYS, RUNS, digest, loaded, new_run_id, only_stream, run_stream
from dpone.connector import Explains, Lease, Publication
from dpone.errors import DataError, DponeError, StateError
from dpone.evidence.canonical import write
from dpone.manifest import Manifest, Stream
from dpone.names import print_name
from dpone.observe.listening import listening
from dpone.observe.record import Recorder, refuse_bad_run_id, run_id_used
from dpone.publishing import publish, rehearse
from dpone.replay.account import Account
from dpone.replay.evidence import ReplayEvidence
from dpone.replay.relanding import Part, plan_resync
from dpone.replay.scope import Keys, Scope, describe, options_of, spell_key
from dpone.replay.writing import Heading, evidence_of, write_evidence
from dpone.runner import Run, load_id_of, load_of, settle_stored, tell_lease
from dpone.signals import interruptible
from dpone.staging import Ready, stage_load

TYPED_KEYS = 100  # in a command line


class Request(Struct, frozen=True):
    """What is to be landed again, and whether it really is."""

    scope: Scope
    executes: bool
    allow_empty: bool = False


def resync(
    manifest: str | Path | Manifest,
    scope: Scope,
    *,
    select: Sequence[str] = (),
    run_id: str | None = None,
    yes: bool = False,
    allow_empty: bool = False,
    artifact_dir: Path = REPLAYS,
    observers: Sequence[events.Observer] = (),
) -> ReplayEvidence:
    """With `yes` the scope of one stream was landed again; without, nothing changed, and the evidence says what would.

    Evidence is written either way, and what went wrong is raised after that.
    """
    found = loaded(manifest, select)
    stream = only_stream(found)
    run_id = run_id or new_run_id()
    refuse_bad_run_id(run_id)
    request = Request(scope, yes, allow_empty)
    heading = Heading(
        action="resync",
        executes=yes,
        run_id=run_id,
        manifest=str(found.path or found.name),
        source=str(stream.source.connection),
        sink=str(stream.sink.connection),
        target=print_name(stream.sink.options.target().name),
        strategy=stream.strategy.mode,
        scope=describe(scope),
        words=(
            "resync",
            str(found.path or found.name),
            "--select",
            stream.name,
            *_naming(scope, artifact_dir / f"resync_{run_id}_keys.txt"),
            *_allowing(allow_empty),
        ),
    )
    account = Account(stream.name)
    begun = monotonic()
    resyncing = _Resyncing(request, account)
    if yes:
        error = _recorded(found, stream, run_id, observers, resyncing)
    else:
        error = _carried_out(stream, run_id, observers, resyncing)
    account.failed = error is not None
    evidence = evidence_of(heading, (account,), resyncing.digests, monotonic() - begun, error)
    write_evidence(evidence, artifact_dir)
    if error is not None:
        raise error
    return evidence


def _naming(scope: Scope, path: Path) -> tuple[str, ...]:
    """The words of the command that name the scope; more keys than a person types are in a file beside the evidence."""
    if not isinstance(scope, Keys) or len(scope.keys) <= TYPED_KEYS:
        return options_of(scope)
    write(path, "".join(f"{spell_key(key)}\n" for key in scope.keys))
    return ("--keys-from", str(path))


def _allowing(allow_empty: bool) -> tuple[str, ...]:  # noqa: FBT001 - a word of the command, or none
    return ("--allow-empty",) if allow_empty else ()


def _recorded(
    manifest: Manifest,
    stream: Stream,
    run_id: str,
    observers: Sequence[events.Observer],
    resyncing: _Resyncing,
) -> DponeError | None:
    """Like a run, it leaves a record and is told to whoever listens."""
    recorder = Recorder(
        RUNS,
        run_id,
        str(manifest.path or manifest.name),
        name=manifest.name,
        manifest_sha256=digest(manifest),
        action="resync",
    )
    status = "interrupted"
    try:
        with listening(manifest, run_id, RUNS) as listeners:
            error = _carried_out(stream, run_id, (recorder, *listeners, *observers), resyncing)
            status = "succeeded" if error is None else "failed"
    finally:
        recorder.finish(status)
    return error


def _carried_out(
    stream: Stream, run_id: str, observers: Sequence[events.Observer], resyncing: _Resyncing
) -> DponeError | None:
    """What went wrong, if anything did."""
    failures: list[DponeError] = []

    def listen(_stream: str, event: events.Event) -> None:
        resyncing.account(event)
        if isinstance(event, events.RunFinished) and event.cause is not None:
            failures.append(event.cause)

    with interruptible() as stop:
        run_stream(stream, run_id, (*observers, listen), stop, resyncing)
    return failures[0] if failures else None


class _Resyncing(Struct):
    """Carries out what was requested, once the ends are connected and the plan is compiled."""

    request: Request
    account: Account
    digests: tuple[str, ...] = ()

    def __call__(self, run: Run) -> None:
        request = self.request
        parts = plan_resync(
            run.plan, request.scope, run.source_connector, run.sink_connector, allow_empty=request.allow_empty
        )
        self.digests = tuple(part.plan.digest for part in parts)
        run = replace(run, keeps=False)  # it is run again as a whole
        ids = [run.id] if len(parts) == 1 else [f"{run.id}.{number}" for number in range(1, len(parts) + 1)]
        names = [load_id_of(replace(run, id=each)) for each in ids]
        for name in names:
            self.account.expect(name)
        with run.sink.lease(run.plan.target, run.plan.pipeline) as lease:
            tell_lease(run, lease)
            self._land(run, lease, list(zip(parts, names, strict=True)))
        if request.executes:
            self._look_again(run, names[-1])

    def _land(self, run: Run, lease: Lease, parts: list[tuple[Part, str]]) -> None:
        stored, current = lease.stored, run.sink.inspect(run.plan.target)
        if stored is None or current is None:
            raise StateError(
                f"{run.plan.pipeline} has landed nothing in {print_name(run.plan.target.name)} yet",
                code="replay.never_loaded",
                hint="`dpone run` loads it for the first time",
            )
        if any(lease.committed(name) for _, name in parts):
            raise run_id_used(run.id)
        if self.request.executes and stored.position and not any(part.reads_anew for part, _ in parts):
            settle_stored(run, stored.position, current)
        for part, name in parts:
            landing = replace(run, plan=part.plan if self.request.executes else part.rehearsal)
            load = load_of(landing, name, lease)
            since = None if part.reads_anew else stored
            if isinstance(run.sink, Explains):
                prepared = landing.prepared(load, current, since)
                self.account.loads[name].statements = tuple(run.sink.explain(prepared.spec, prepared.changes))
            with ExitStack() as stack:
                ready = stage_load(landing, lease, load, current, since, stack)
                assert ready is not None  # a scan, or a first reading, always says something
                if not self.request.executes:
                    rehearse(landing, ready, stored, inspect=self._scope_check(part, name, ready))
                    self.account.rehearsed()
                    continue
                before, stored = stored, publish(landing, ready, stored, inspect=self._scope_check(part, name, ready))
            self.account.status(f"{name}: committed", "yes", "yes" if lease.committed(name) else "no")
            self.account.status(f"{name}: generation", before.generation + 1, stored.generation)
            current = run.sink.inspect(run.plan.target)

    def _scope_check(self, part: Part, name: str, ready: Ready) -> _Look:
        return _Look(self.account, part, name, ready.staged.live)

    def _look_again(self, run: Run, last: str) -> None:
        """Under a lease of its own, so that what is stored is asked of the sink and not of this run."""
        with run.sink.lease(run.plan.target, run.plan.pipeline) as lease:
            self.account.status("stored load", last, lease.stored.load_id if lease.stored else "nothing")


class _Look(Struct, frozen=True):
    """Looks at the target as it will be: within the scope it has the rows that were staged, and no others."""

    account: Account
    part: Part
    name: str
    staged: int

    def __call__(self, publication: Publication) -> None:
        expects = self.part.expects
        if expects is None:
            return
        found = publication.measure((expects,))[expects]
        assert isinstance(found, int)
        if not self.account.rows(f"{self.name}: rows in scope", self.staged, found):
            raise DataError(
                f"the scope would hold {found} rows, and {self.staged} were staged for it",
                code="replay.scope_differs",
                hint="nothing was published; a trigger, another writer or a fault of the sink changed the count",
            )
