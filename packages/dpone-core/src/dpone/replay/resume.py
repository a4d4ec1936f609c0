"""`dpone resume`: a run that stopped goes on from its sealed stage or at its next chunk; planned unless told to do it.

A stage that was not sealed is discarded and read again: the snapshot that it was read from died with its reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

from msgspec import Struct, field
from msgspec.structs import replace

from dpone import events
from dpone.api import REPLAYS, RUNS, digest, loaded, run_stream
from dpone.connector import Explains, KeepsStages, KeptStage, Lease
from dpone.errors import DponeError, UsageError
from dpone.manifest import Manifest, Stream
from dpone.names import print_name
from dpone.observe.listening import listening
from dpone.observe.record import ContinuedRecorder, read_record
from dpone.publishing import rehearse
from dpone.replay.account import Account
from dpone.replay.evidence import ReplayEvidence
from dpone.replay.refusals import (
    Entry,
    Record,
    changed,
    refuse_manifest,
    refuse_moved,
    refuse_other_note,
    refuse_other_plan,
    refuse_record,
    refuse_unkept,
)
from dpone.replay.writing import Heading, evidence_of, write_evidence
from dpone.runner import Run, adopted, carry_out, chunk_name, load_id_of, load_of, settle_stored, tell_lease
from dpone.signals import Interrupted, interruptible
from dpone.staging import Ready


def resume(
    run_id: str,
    *,
    manifest: str | Path | None = None,
    select: Sequence[str] = (),
    yes: bool = False,
    artifact_dir: Path = REPLAYS,
    observers: Sequence[events.Observer] = (),
) -> ReplayEvidence:
    """With `yes` the run is finished; without, nothing changed, and the evidence says what would be done.

    Whatever does not fit together is refused by name, and raised when the evidence is written.
    """
    record = read_record(RUNS, run_id)
    refuse_record(record)
    path = Path(manifest) if manifest is not None else Path(str(record["manifest"]))
    if not path.is_file():
        raise UsageError(
            f"the manifest of run {run_id} is not at {path}",
            code="replay.manifest_missing",
            hint="say where it is: --manifest",
        )
    whole = loaded(path)
    refuse_manifest(record, whole)
    entries = {str(e["name"]): e for e in record["streams"]}
    chosen = loaded(path, select) if select else whole
    streams = [s for s in chosen.streams if entries.get(s.name, {}).get("status") != "succeeded"]
    resuming = _Resumption(record, whole, executes=yes)
    words = ["resume", run_id]
    words += [] if manifest is None else ["--manifest", str(manifest)]
    words += [word for pattern in select for word in ("--select", pattern)]
    heading = _heading(record, path, streams, tuple(words), executes=yes)
    begun = monotonic()
    error = resuming.carry_out(streams, observers)
    evidence = evidence_of(heading, resuming.accounts, resuming.digests, monotonic() - begun, error)
    write_evidence(evidence, artifact_dir)
    if error is not None:
        raise error
    return evidence


def _heading(
    record: Record, path: Path, streams: Sequence[Stream], words: tuple[str, ...], *, executes: bool
) -> Heading:
    def each(values: list[str]) -> str:
        return ", ".join(dict.fromkeys(values))

    return Heading(
        action="resume",
        executes=executes,
        run_id=str(record["run_id"]),
        manifest=str(path),
        source=each([str(s.source.connection) for s in streams]),
        sink=each([str(s.sink.connection) for s in streams]),
        target=each([print_name(s.sink.options.target().name) for s in streams]),
        strategy=each([s.strategy.mode for s in streams]),
        scope="what the run left undone",
        words=words,
    )


class _Resumption(Struct):
    """Every stream of a run that did not succeed, one after another."""

    record: Record
    manifest: Manifest
    executes: bool
    accounts: list[Account] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    recorder: ContinuedRecorder | None = None

    def carry_out(self, streams: Sequence[Stream], observers: Sequence[events.Observer]) -> DponeError | None:
        """The first thing that went wrong; a stream that fails does not stop the others."""
        failures: list[DponeError] = []
        run_id = str(self.record["run_id"])
        try:
            with ExitStack() as stack:
                stop = stack.enter_context(interruptible())
                listeners: Sequence[events.Observer] = ()
                if self.executes:
                    listeners = stack.enter_context(listening(self.manifest, run_id, RUNS))
                for stream in streams:
                    one = _Stream(self, stream.name, failures)
                    self.accounts.append(one.account)
                    run_stream(stream, run_id, (one.listen, *listeners, *observers), stop, one)
        except Interrupted:
            self._finish("interrupted")
            raise
        except BaseException:
            self._finish("failed")
            raise
        self._finish("failed" if failures else "succeeded")
        return failures[0] if failures else None

    def entry(self, stream: str) -> Entry | None:
        return next((e for e in self.record["streams"] if e["name"] == stream), None)

    def open_record(self) -> ContinuedRecorder:
        """From here on the run's own record says what happens; until now nothing was changed."""
        if self.recorder is None:
            self.recorder = ContinuedRecorder(RUNS, self.record)
        return self.recorder

    def _finish(self, status: str) -> None:
        if self.recorder is None:
            return
        done = {s.name for s in self.recorder.report.streams if s.status == "succeeded"}
        if status == "succeeded" and not {s.name for s in self.manifest.streams} <= done:
            status = "failed"  # some streams were left out by --select
        self.recorder.finish(status)


class _Stream:
    """One stream of the run: what was found of it, and how it goes on."""

    def __init__(self, whole: _Resumption, name: str, failures: list[DponeError]) -> None:
        self.whole = whole
        self.account = Account(name)
        self.early: list[events.Event] = []
        self.is_open = False
        self.is_idle = False  # the source has nothing beyond the position
        self.failures = failures

    def listen(self, stream: str, event: events.Event) -> None:
        self.account(event)
        if isinstance(event, events.NothingNew):
            self.is_idle = True
            self.account.loads.clear()
            self.account.status("rows beyond the position", "none", "none")
        if isinstance(event, events.RunFinished) and event.cause is not None:
            self.account.failed = True
            self.failures.append(event.cause)
        if self.is_open:
            self.whole.open_record()(stream, event)
        else:
            self.early.append(event)

    def __call__(self, run: Run) -> None:
        self.whole.digests.append(run.plan.digest)
        found = self.whole.entry(self.account.stream)
        entry: Entry = found or {"target": "", "strategy": "", "plan_digest": ""}
        refuse_other_plan(self.account, entry, run.plan)
        if not entry["plan_digest"] and self.whole.record["manifest_sha256"] != digest(self.whole.manifest):
            raise changed(self.account.stream)  # nothing was planned yet that could be compared
        with run.sink.lease(run.plan.target, run.plan.pipeline) as lease:
            names = _names(run, lease)
            committed = [name for name in names if lease.committed(name)]
            kept = _kept(run, names)
            refuse_moved(self.account, entry, lease.stored, committed)
            refuse_unkept(self.account, entry, kept, committed)
            for stage in kept.values():
                if stage.load_id not in committed:
                    refuse_other_note(self.account, self.whole.record, entry, run.plan, stage)
            is_done = bool(names) and names[-1] in committed  # chunks are published in their order
            for name in names if not is_done else ():
                if name not in committed:
                    self.account.expect(name)
            if self.whole.executes:
                self._refuse_unfit(replace(run, notify=_nobody), lease, kept, is_done=is_done)
                self._open(run, is_fresh=not (committed or kept))
                tell_lease(run, lease)
                self._execute(run, lease, kept, is_done=is_done)
            elif not is_done:
                self._plan(run, lease, kept)
            self._conclude(lease, names, is_done=is_done)
        if self.whole.executes and not self.is_idle:
            self._look_again(run, names)

    def _open(self, run: Run, *, is_fresh: bool) -> None:
        recorder = self.whole.open_record()
        if is_fresh:
            recorder.forget(self.account.stream)  # what was read is read again, and not counted twice
        for event in self.early:
            recorder(self.account.stream, event)
        self.is_open = True

    def _execute(self, run: Run, lease: Lease, kept: dict[str, KeptStage], *, is_done: bool) -> None:
        self._explain(run, lease)
        if not is_done:
            carry_out(run, lease, kept)
            return
        stored = lease.stored
        assert stored is not None  # a load of the run is committed
        if stored.position:
            settle_stored(run, stored.position, run.sink.inspect(run.plan.target))
        run.notify(events.StateCommitted(stored.load_id, stored.generation, stored.position))

    def _refuse_unfit(self, run: Run, lease: Lease, kept: dict[str, KeptStage], *, is_done: bool) -> None:
        """Raises when the next stage cannot be published, while the record is still as it was."""
        name = next(iter(self.account.loads), None)
        if not is_done and name is not None and name in kept:
            with ExitStack() as stack:
                self._adopted(run, lease, name, kept, stack)

    def _adopted(self, run: Run, lease: Lease, name: str, kept: dict[str, KeptStage], stack: ExitStack) -> Ready | None:
        bounds = next((b for b in run.plan.chunks if load_id_of(run, b) == name), None)
        load = load_of(run, name, lease, bounds)
        return adopted(run, lease, load, run.sink.inspect(run.plan.target), kept, stack)

    def _plan(self, run: Run, lease: Lease, kept: dict[str, KeptStage]) -> None:
        """The next stage is published up to the commit, and taken back; what must be read is not read for a plan."""
        self._explain(run, lease)
        name = next(iter(self.account.loads))
        if name not in kept:
            return
        with ExitStack() as stack:
            ready = self._adopted(run, lease, name, kept, stack)
            if ready is not None:
                rehearse(run, ready, lease.stored)
                self.account.rehearsed()

    def _explain(self, run: Run, lease: Lease) -> None:
        """The statements of the next load."""
        name = next(iter(self.account.loads), None)
        if name is None or not isinstance(run.sink, Explains):
            return
        bounds = next((b for b in run.plan.chunks if load_id_of(run, b) == name), None)
        load = load_of(run, name, lease, bounds)
        prepared = run.prepared(load, run.sink.inspect(run.plan.target), lease.stored)
        self.account.loads[name].statements = tuple(run.sink.explain(prepared.spec, prepared.changes))

    def _conclude(self, lease: Lease, names: Sequence[str], *, is_done: bool) -> None:
        """Whether the ledger knows the loads that were to be published."""
        expected = "yes" if self.whole.executes or is_done else "no"
        for name in self.account.loads if not is_done else names[-1:]:
            self.account.status(f"{name}: committed", expected, "yes" if lease.committed(name) else "no")

    def _look_again(self, run: Run, names: Sequence[str]) -> None:
        """Under a lease of its own, so that what is stored is asked of the sink and not of this run."""
        with run.sink.lease(run.plan.target, run.plan.pipeline) as lease:
            self.account.status("stored load", names[-1], lease.stored.load_id if lease.stored else "nothing")


def _nobody(_event: events.Event) -> None:
    """Is told, and says nothing."""


def _names(run: Run, lease: Lease) -> list[str]:
    """The loads of the run, in their order; of a backfill, those chunks that an earlier run did not commit."""
    if not run.plan.chunks:
        return [load_id_of(run)]
    done = lease.chunks(run.plan.digest)
    own = [(b, load_id_of(run, b)) for b in run.plan.chunks]
    return [name for bounds, name in own if chunk_name(bounds) not in done or lease.committed(name)]


def _kept(run: Run, names: Sequence[str]) -> dict[str, KeptStage]:
    """The sealed stages that wait for these loads."""
    if not isinstance(run.sink, KeepsStages):
        return {}
    return {kept.load_id: kept for kept in run.sink.kept_stages(run.plan.target) if kept.load_id in names}
