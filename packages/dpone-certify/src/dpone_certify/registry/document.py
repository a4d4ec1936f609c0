"""The document `dpone.run_registry.v1`: one run, hashed and judged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime  # noqa: TC002 - pydantic looks the annotation up when the model is made

from dpone.observe.record import read_record
from dpone_certify.documents.canonical import relative, sha256_of
from dpone_certify.documents.document import Artifact, Document, Part, Subject, now, verdict
from dpone_certify.documents.markdown import head, table
from dpone_certify.documents.reading import missing, read_document
from dpone_certify.registry.judge import judge
from dpone_certify.registry.report import RunResult

NAME = "run_result"


class DatasetRef(Part):
    namespace: str
    name: str


class RegisteredStream(Part):
    name: str
    strategy: str
    status: str
    reads: DatasetRef | None
    writes: DatasetRef | None
    plan_digest: str
    rows_staged: int
    inserted: int
    updated: int
    deleted: int
    rows_before: int
    rows_after: int
    error_code: str | None


class RunRegistryEntry(Document):
    """A run, and the files that belong to it."""

    schema_version: Literal["dpone.run_registry.v1"] = "dpone.run_registry.v1"
    run_id: str
    pipeline: str | None
    manifest_sha256: str | None
    status: str | None
    started_at: AwareDatetime | None
    finished_at: AwareDatetime | None
    run_result: Artifact
    artifacts: tuple[Artifact, ...]
    streams: tuple[RegisteredStream, ...]


def register(
    run_result: Path | None, artifacts: Mapping[str, Path], folder: Path, subject: Subject, producer: str
) -> RunRegistryEntry:
    """The entry of a run, as it will lie in `folder`; what is wrong with the run is among its blockers."""
    read = read_document(NAME, run_result, RunResult)
    blockers = list(read.blockers)
    result = _as_it_is_now(read.found, run_result)
    if result is not None:
        blockers += judge(result)
    files = []
    for name in sorted(artifacts):
        path = artifacts[name]
        there = path.is_file()
        files.append(Artifact(name=name, path=relative(path, folder), sha256=sha256_of(path) if there else None))
        blockers += () if there else (missing("artifact", path, name),)
    return RunRegistryEntry(
        created_at=now(),
        producer=producer,
        subject=subject,
        run_id=result.run_id if result else _id_of(run_result),
        pipeline=result.pipeline if result else None,
        manifest_sha256=result.manifest_sha256 if result else None,
        status=result.status if result else None,
        started_at=result.started_at if result else None,
        finished_at=result.finished_at if result else None,
        run_result=Artifact(name=NAME, path=relative(run_result, folder) if run_result else "", sha256=read.sha256),
        artifacts=tuple(files),
        streams=_streams(result) if result else (),
        **verdict(blockers),
    )


def _as_it_is_now(result: RunResult | None, path: Path | None) -> RunResult | None:
    """A record that still says `running` while its process is gone is of a lost run."""
    if result is None or path is None or result.status != "running" or path.stem != result.run_id:
        return result
    return result.model_copy(update={"status": read_record(path.parent, result.run_id)["status"]})


def _id_of(path: Path | None) -> str:
    return path.stem if path is not None else "unknown"


def _streams(result: RunResult) -> tuple[RegisteredStream, ...]:
    return tuple(
        RegisteredStream(
            name=s.name,
            strategy=s.strategy,
            status=s.status,
            reads=DatasetRef(namespace=s.reads.namespace, name=s.reads.name) if s.reads else None,
            writes=DatasetRef(namespace=s.writes.namespace, name=s.writes.name) if s.writes else None,
            plan_digest=s.plan_digest,
            rows_staged=s.rows_staged,
            inserted=s.inserted,
            updated=s.updated,
            deleted=s.deleted,
            rows_before=s.rows_before,
            rows_after=s.rows_after,
            error_code=s.error_code,
        )
        for s in result.reports()
    )


def markdown_of(entry: RunRegistryEntry) -> str:
    lines = head(f"Run {entry.run_id}", entry)
    lines += [f"Pipeline {entry.pipeline}: {entry.status}, from {entry.started_at} to {entry.finished_at}.", ""]
    titles = ("stream", "strategy", "status", "read", "inserted", "updated", "deleted", "before", "after", "target")
    lines += table(
        titles,
        (
            (
                *(s.name, s.strategy, s.status, s.rows_staged, s.inserted, s.updated, s.deleted),
                *(s.rows_before, s.rows_after, f"{s.writes.namespace} {s.writes.name}" if s.writes else ""),
            )
            for s in entry.streams
        ),
    )
    files = (entry.run_result, *entry.artifacts)
    lines += table(("file", "path", "sha256"), ((f.name, f.path, f.sha256 or "absent") for f in files))
    return "\n".join(lines)
