"""dpone from Python: a manifest is run or planned as the command line does it.

report = dpone.run("orders.yaml")
assert report.succeeded and report.streams[0].inserted == 3
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from time import monotonic
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from dpone import events
from dpone.compile import compile_plan
from dpone.connector import Dataset, Discovers, Explains, KeepsRecords, Layout, Remarks, Sink, Source
from dpone.errors import DponeError, PlanError, UsageError
from dpone.keeping import label_of
from dpone.manifest import Manifest, SourceEnd, Stream
from dpone.observe.datasets import dataset_of, deciding, flows, named, refuse_itself
from dpone.observe.listening import listening
from dpone.observe.record import Recorder, RunReport, refuse_bad_run_id
from dpone.plan import Plan
from dpone.prepare import Prepared, prepare
from dpone.runner import Run, execute
from dpone.running import Elsewhere
from dpone.shards import WHOLE, Shard
from dpone.signals import Interrupted, Stop, interruptible

if TYPE_CHECKING:
    from dpone.replay.evidence import ReplayEvidence
    from dpone.replay.scope import Scope

RUNS = Path(".dpone/runs")
REPLAYS = Path(".dpone/replay")


def new_run_id() -> str:
    """An id that sorts by time and that no two runs share."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{token_hex(4)}"


@contextmanager
def opened(stream: Stream) -> Iterator[tuple[Source, Sink]]:
    """The two ends of a stream, connected; secrets are resolved here and not before."""
    source, sink = stream.source, stream.sink
    assert source.connector.source is not None  # the loader refuses a stream whose connector is not that end
    assert sink.connector.sink is not None
    read, written = source.connection.resolve(), sink.connection.resolve()
    refuse_itself(dataset_of(source, read), dataset_of(sink, written))
    with (
        source.connector.source.open(read) as opened_source,
        sink.connector.sink.open(written) as opened_sink,
    ):
        yield opened_source, opened_sink


def run(
    manifest: str | Path | Manifest,
    *,
    select: Sequence[str] = (),
    run_id: str | None = None,
    runs: Path = RUNS,
    shard: Shard = WHOLE,
    executor: str = "threads",
    observers: Sequence[events.Observer] = (),
) -> RunReport:
    """Every selected stream is carried out; one that fails does not stop the others, and the report says so.

    Of several processes that run the same manifest, each takes the streams of its `shard`. `executor` is `threads`, or
    a cluster (`dask://host:port`) whose workers read and stage.
    """
    found = loaded(manifest, select)
    found = found.model_copy(update={"streams": tuple(s for s in found.streams if shard.takes(s.name))})
    run_id = run_id or new_run_id()
    refuse_bad_run_id(run_id)
    recorder = Recorder(runs, run_id, str(found.path or found.name), name=found.name, manifest_sha256=digest(found))
    status = "failed"
    try:
        with (
            listening(found, run_id, runs) as listeners,
            interruptible() as stop,
            carriers(executor) as elsewhere,
        ):
            status = _run_all(found, run_id, (recorder, *listeners, *observers), stop, elsewhere)
    except Interrupted:
        status = "interrupted"
        raise
    finally:
        report = recorder.finish(status)
    return report


Carriers = Callable[[Stream], Elsewhere | None]


@contextmanager
def carriers(executor: str) -> Iterator[Carriers]:
    """Who copies the splits of each stream: None for threads of this process, or the workers of a cluster."""
    if executor == "threads":
        yield _here
        return
    from dpone.cluster import connected  # an extra

    with connected(executor) as cluster:
        yield cluster.carrying


def _here(_stream: Stream) -> None:
    return None


def digest(manifest: Manifest) -> str | None:
    """One hash over the manifest's file; None where there is none."""
    try:
        return hashlib.sha256(manifest.path.read_bytes()).hexdigest() if manifest.path else None
    except OSError:
        return None


def _run_all(
    manifest: Manifest, run_id: str, observers: Sequence[events.Observer], stop: Stop, elsewhere: Carriers
) -> str:
    """The status of the whole: succeeded only when every stream did."""

    def one(stream: Stream) -> bool:
        return run_stream(stream, run_id, observers, stop, elsewhere=elsewhere)

    workers = min(manifest.parallel, len(manifest.streams))
    if workers <= 1:
        done = [one(stream) for stream in manifest.streams]
    else:
        with ThreadPoolExecutor(workers, thread_name_prefix="dpone-stream") as pool:
            done = list(pool.map(one, manifest.streams))
    return "succeeded" if all(done) else "failed"


def run_stream(
    stream: Stream,
    run_id: str,
    observers: Sequence[events.Observer],
    stop: Stop,
    carry_out: Callable[[Run], None] = execute,
    *,
    elsewhere: Carriers = _here,
) -> bool:
    """True when the stream was carried out; why not is told with the event that it finished."""
    begun = monotonic()

    def notify(event: events.Event) -> None:
        for observer in observers:
            observer(stream.name, event)

    def finish(status: str, error: DponeError | None = None) -> bool:
        code, message = (error.code, error.message) if error else (None, None)
        notify(events.RunFinished(status, monotonic() - begun, code, message, error))
        return error is None

    notify(
        events.RunStarted(
            run_id,
            stream.name,
            str(stream.source.connection),
            str(stream.sink.connection),
            stream.strategy.mode,
            named(stream.source),
            named(stream.sink),
        )
    )
    try:
        with opened(stream) as (source, sink):
            plan = compile_plan(stream, source.describe(stream.source.options.dataset()))
            notify(events.Planned(plan.digest, flows(stream, plan), deciding(plan), label_of(plan)))
            limit = plan.limits.run_timeout
            carry_out(
                Run(
                    id=run_id,
                    plan=plan,
                    source=source,
                    sink=sink,
                    source_connector=stream.source.connector,
                    sink_connector=stream.sink.connector,
                    notify=notify,
                    stop=stop,
                    deadline=None if limit is None else begun + limit.total_seconds(),
                    elsewhere=elsewhere(stream),
                )
            )
    except DponeError as error:
        return finish("failed", error)
    except Interrupted:
        finish("interrupted")
        raise
    except Exception as error:
        # a foreign exception may quote what it was given, a password among it: only its kind is recorded
        finish("failed", DponeError(f"internal error: {type(error).__name__}", code="internal"))
        raise
    return finish("succeeded")


class Preview(Struct, frozen=True):
    """What a run of a stream would do now."""

    plan: Plan
    prepared: Prepared
    current: Layout | None
    statements: tuple[str, ...]
    remarks: tuple[str, ...] = ()  # of the source, on how it would read
    unapplied: tuple[str, ...] = ()  # options of the sink that are for a new target, where there is one


def preview(manifest: str | Path | Manifest, *, select: Sequence[str] = ()) -> tuple[Preview, ...]:
    """What a run would do with each selected stream, target and position being as they are now. Nothing is written."""
    return tuple(_preview(stream) for stream in loaded(manifest, select).streams)


def _preview(stream: Stream) -> Preview:
    with opened(stream) as (source, sink):
        compiled = compile_plan(stream, source.describe(stream.source.options.dataset()))
        current = sink.inspect(compiled.target)
        load = replace(compiled.load, id="<load id>", bounds=compiled.load.bounds, first=current is None)
        prepared = prepare(compiled, load, stream.source.connector, stream.sink.connector, current, None)
        statements: Sequence[str] = ()
        if isinstance(sink, Explains):
            statements = sink.explain(prepared.spec, prepared.changes)
        remarks = source.remarks(prepared.request) if isinstance(source, Remarks) else ()
        options = stream.sink.options
        unapplied = () if current is None else tuple(sorted(options.of_new & options.model_fields_set))
        return Preview(compiled, prepared, current, tuple(statements), tuple(remarks), unapplied)


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
    """A scope of one stream is landed again; without `yes`, it is only shown what that would do.

    from dpone.replay.scope import Keys
    evidence = api.resync("orders.yaml", Keys(((17,), (23,))), yes=True)
    """
    from dpone.replay import resync as engine  # pydantic models of evidence, which a run never needs

    return engine.resync(
        manifest,
        scope,
        select=select,
        run_id=run_id,
        yes=yes,
        allow_empty=allow_empty,
        artifact_dir=artifact_dir,
        observers=observers,
    )


def resume(
    run_id: str,
    *,
    manifest: str | Path | None = None,
    select: Sequence[str] = (),
    yes: bool = False,
    artifact_dir: Path = REPLAYS,
    observers: Sequence[events.Observer] = (),
) -> ReplayEvidence:
    """A run that stopped goes on; without `yes`, it is only shown how. The manifest is where it was, if not named."""
    from dpone.replay import resume as engine  # as above

    return engine.resume(
        run_id, manifest=manifest, select=select, yes=yes, artifact_dir=artifact_dir, observers=observers
    )


def ledger(
    manifest: str | Path | Manifest, *, select: Sequence[str] = (), run_id: str | None = None
) -> list[dict[str, Any]]:
    """The records of committed loads that the sinks of the manifest hold, each stream's newest first."""
    found: list[dict[str, Any]] = []
    for stream in loaded(manifest, select).streams:
        end = stream.sink
        assert end.connector.sink is not None  # the loader refuses a stream whose connector is no sink
        with end.connector.sink.open(end.connection.resolve()) as sink:
            if not isinstance(sink, KeepsRecords):
                raise PlanError(
                    f"the ledger of {end.type} keeps no records",
                    code="plan.no_records",
                    hint="`dpone runs list` shows those of this machine",
                )
            records = sink.records(end.options.target(), run_id)
        found += [dict(record) for record in records if record["pipeline"] == stream.name]
    return found


def sweep(
    manifest: str | Path | Manifest, *, select: Sequence[str] = (), older_than: timedelta = timedelta(days=1)
) -> dict[str, tuple[str, ...]]:
    """What was removed from each connection that the manifest writes to: stages of runs that died, old enough."""
    removed: dict[str, tuple[str, ...]] = {}
    for stream in loaded(manifest, select).streams:
        end = stream.sink
        if str(end.connection) in removed:
            continue
        assert end.connector.sink is not None  # the loader refuses a stream whose connector is no sink
        with end.connector.sink.open(end.connection.resolve()) as sink:
            removed[str(end.connection)] = tuple(sink.sweep(older_than))
    return removed


def loaded(manifest: str | Path | Manifest, select: Sequence[str] = ()) -> Manifest:
    """The manifest with its wildcards expanded and the selected streams alone."""
    from dpone import manifest as manifests
    from dpone import registry

    found = manifest if isinstance(manifest, Manifest) else manifests.load(manifest, registry.load)
    return manifests.select(manifests.expand(found, _discover), select)


def only_stream(manifest: Manifest) -> Stream:
    """The one stream of the selection."""
    if len(manifest.streams) != 1:
        raise UsageError(
            f"{len(manifest.streams)} streams are selected, and this is done to one at a time",
            code="usage.one_stream",
            hint=f"--select one of {', '.join(s.name for s in manifest.streams)}",
        )
    return manifest.streams[0]


def _discover(end: SourceEnd, pattern: tuple[str, ...]) -> Sequence[Dataset]:
    """The tables of a source that a wildcard may mean."""
    assert end.connector.source is not None  # the loader refuses a source that is none
    with end.connector.source.open(end.connection.resolve()) as source:
        if not isinstance(source, Discovers):
            raise PlanError(
                f"{end.type} cannot list what it holds",
                code="plan.no_wildcards",
                hint="name each stream under `streams:`",
            )
        return source.discover(pattern)
