"""The document `dpone.openlineage_report.v1`: which events a run's record gives, and whether all of them end well."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from dpone.observe.openlineage import ENDS, Identity, Moment, Origin, manifest_event, stream_event
from dpone.observe.record import StreamReport
from dpone_certify.documents.canonical import canonical, relative, sha256
from dpone_certify.documents.document import Artifact, Blocker, Document, Part, Subject, now, verdict
from dpone_certify.documents.markdown import head, table
from dpone_certify.documents.reading import invalid, read_document
from dpone_certify.registry.document import NAME, DatasetRef, RunRegistryEntry
from dpone_certify.registry.judge import judge
from dpone_certify.registry.report import RunResult

Event = dict[str, Any]


class JobLineage(Part):
    """One job: its run, its first and its last word."""

    job: str
    run: str
    begin: str | None
    end: str | None
    inputs: tuple[DatasetRef, ...]
    outputs: tuple[DatasetRef, ...]


class LineageReport(Document):
    schema_version: Literal["dpone.openlineage_report.v1"] = "dpone.openlineage_report.v1"
    run_id: str
    pipeline: str | None
    namespace: str
    inputs: tuple[Artifact, ...]
    events: Artifact
    event_count: int
    jobs: tuple[JobLineage, ...]


class Registered(Part):
    """What was found under a registry entry or a run id."""

    run_id: str
    result: RunResult | None
    blockers: tuple[Blocker, ...] = ()
    name: str = "run_registry_entry"  # what the run was known by
    path: Path | None = None
    sha256: str | None = None


def of_entry(path: Path) -> Registered:
    """The run of a registry entry; its record must still be the one that was registered."""
    read = read_document("run_registry_entry", path, RunRegistryEntry)
    entry = read.found
    if entry is None:
        return Registered(
            run_id=path.name.removesuffix(".json").removesuffix("__run_registry"),
            result=None,
            blockers=read.blockers,
            path=path,
            sha256=read.sha256,
        )
    blockers: list[Blocker] = []
    if not entry.passed:
        action = "look at its blockers; a run that did not succeed has no complete lineage"
        blockers.append(Blocker(code="run_registry_entry.not_passed", message=f"{path} does not pass", action=action))
    record = path.parent / entry.run_result.path
    found = read_document(NAME, record, RunResult)
    blockers += found.blockers
    if found.sha256 != entry.run_result.sha256 and not found.blockers:
        blockers.append(invalid(NAME, record, "it is not the file that was registered"))
    return Registered(run_id=entry.run_id, result=found.found, blockers=tuple(blockers), path=path, sha256=read.sha256)


def of_record(path: Path) -> Registered:
    """The run of a record under .dpone/runs."""
    read = read_document(NAME, path, RunResult)
    return Registered(
        run_id=path.stem, result=read.found, blockers=read.blockers, name=NAME, path=path, sha256=read.sha256
    )


def events_of(result: RunResult, namespace: str) -> list[Event]:
    """The begin and the end of the manifest and of each of its streams, as they were told live."""
    origin = Origin.of(Path(result.manifest), sha256=result.manifest_sha256) if result.manifest_sha256 else Origin()
    identity = Identity(result.run_id, result.pipeline, namespace, None, origin)
    ended = result.finished_at or result.started_at
    found = [manifest_event(identity, Moment.START, result.started_at)]
    for stream in result.reports():
        begun = StreamReport(stream.name, reads=stream.reads, writes=stream.writes)
        found.append(stream_event(identity, Moment.START, result.started_at, begun))
        if (end := ENDS.get(stream.status)) is not None:
            found.append(stream_event(identity, end, ended, stream))
    if (whole := ENDS.get(result.status)) is not None:
        found.append(manifest_event(identity, whole, ended))
    return found


def judge_events(events: Sequence[Event]) -> tuple[list[JobLineage], list[Blocker]]:
    """What the events themselves say of each job: passed is only one that started and is COMPLETE."""
    jobs: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        jobs.setdefault((event["job"]["name"], event["run"]["runId"]), []).append(event)
    found, blockers = [], []
    for (job, run), own in jobs.items():
        kinds = [event["eventType"] for event in own]
        begins = [kind for kind in kinds if kind == Moment.START.value]
        ends = [kind for kind in kinds if kind in {m.value for m in ENDS.values()}]
        last = own[-1]
        found.append(
            JobLineage(
                job=job,
                run=run,
                begin=begins[0] if begins else None,
                end=ends[-1] if ends else None,
                inputs=tuple(DatasetRef(namespace=d["namespace"], name=d["name"]) for d in last["inputs"]),
                outputs=tuple(DatasetRef(namespace=d["namespace"], name=d["name"]) for d in last["outputs"]),
            )
        )
        if len(begins) != 1 or ends != [Moment.COMPLETE.value]:
            said = ", ".join(kinds)
            blockers.append(
                Blocker(
                    code=f"lineage.not_complete:{job}",
                    message=f"{job} says {said}, where one START and one COMPLETE are expected",
                    action="make the run succeed; its lineage follows",
                )
            )
    if not jobs:
        action = "run the pipeline, and name its record or its registry entry"
        blockers.append(Blocker(code="lineage.empty", message="there is not one event", action=action))
    return found, blockers


def export(run: Registered, namespace: str, events_path: Path, subject: Subject) -> tuple[LineageReport, str]:
    """The report as it will lie beside its events, and their text."""
    events = events_of(run.result, namespace) if run.result else []
    text = canonical(events)
    jobs, blockers = judge_events(events)
    own = list(judge(run.result)) if run.result else []
    inputs: tuple[Artifact, ...] = ()
    if run.path is not None:
        inputs = (Artifact(name=run.name, path=relative(run.path, events_path.parent), sha256=run.sha256),)
    report = LineageReport(
        created_at=now(),
        producer="dpone ops lineage-export",
        subject=subject,
        run_id=run.run_id,
        pipeline=run.result.pipeline if run.result else None,
        namespace=namespace,
        inputs=inputs,
        events=Artifact(name="openlineage", path=events_path.name, sha256=sha256(text)),
        event_count=len(events),
        jobs=tuple(jobs),
        **verdict([*run.blockers, *own, *blockers]),
    )
    return report, text


def markdown_of(report: LineageReport) -> str:
    lines = head(f"Lineage of run {report.run_id}", report)
    rows = (
        (
            *(j.job, j.begin or "", j.end or ""),
            ", ".join(f"{d.namespace} {d.name}" for d in j.inputs),
            ", ".join(f"{d.namespace} {d.name}" for d in j.outputs),
        )
        for j in report.jobs
    )
    lines += table(("job", "begin", "end", "reads", "writes"), rows)
    return "\n".join(lines)
