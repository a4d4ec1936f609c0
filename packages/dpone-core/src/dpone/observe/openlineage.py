"""A run as OpenLineage documents: plain JSON made of the record of a run, the same live and in an export.

Ids are computed from dpone's own run id, so that every process that speaks of a run means the same one. The published
schemas that each part follows are named in it by `_schemaURL`, as the specification asks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self
from uuid import NAMESPACE_URL, UUID, uuid5

from msgspec import Struct

from dpone.events import ColumnFlow, DatasetName
from dpone.observe.record import StreamReport

Json = dict[str, Any]

SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
FACETS = {
    "columnLineage": "1-2-0/ColumnLineageDatasetFacet",
    "dataQualityAssertions": "1-1-0/DataQualityAssertionsDatasetFacet",
    "errorMessage": "1-0-1/ErrorMessageRunFacet",
    "inputStatistics": "1-0-0/InputStatisticsInputDatasetFacet",
    "jobType": "2-0-4/JobTypeJobFacet",
    "outputStatistics": "1-0-2/OutputStatisticsOutputDatasetFacet",
    "parent": "1-2-0/ParentRunFacet",
    "processing_engine": "1-1-1/ProcessingEngineRunFacet",
    "schema": "1-2-0/SchemaDatasetFacet",
    "sourceCode": "1-0-1/SourceCodeJobFacet",
    "sourceCodeLocation": "1-1-0/SourceCodeLocationJobFacet",
}
DEFAULT_NAMESPACE = "dpone"
_RUNS = uuid5(NAMESPACE_URL, "urn:dpone:runs")


class Moment(Enum):
    """What an event says of its run."""

    START = "START"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    FAIL = "FAIL"
    ABORT = "ABORT"


ENDS = {"succeeded": Moment.COMPLETE, "failed": Moment.FAIL, "interrupted": Moment.ABORT, "lost": Moment.FAIL}


class Parent(Struct, frozen=True):
    """A run elsewhere that started this one."""

    namespace: str
    job: str
    run: UUID

    @classmethod
    def read(cls, text: str) -> Self | None:
        """The parent that `namespace/job/run id` names, as orchestrators pass it; None when it is not that."""
        namespace, _, rest = text.partition("/")
        job, _, run = rest.rpartition("/")
        try:
            return cls(namespace, job, UUID(run)) if namespace and job else None
        except ValueError:
            return None


class Origin(Struct, frozen=True):
    """The manifest of a run: its text where that is known, and where its file is."""

    text: str | None = None
    location: Json | None = None

    @classmethod
    def of(cls, path: Path, *, sha256: str | None = None) -> Self:
        """The manifest in this file; nothing when the file is gone, or is not the one of this digest."""
        try:
            content = path.read_bytes()
            text = content.decode()
        except (OSError, UnicodeDecodeError):
            return cls()
        if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
            return cls()
        return cls(text, {"type": "file", "url": path.resolve().as_uri()})


class Identity(Struct, frozen=True):
    """Which run, of which manifest, in which namespace of jobs."""

    run_id: str
    manifest: str
    namespace: str = DEFAULT_NAMESPACE
    parent: Parent | None = None
    origin: Origin = Origin()

    @property
    def uuid(self) -> UUID:
        """The run of the whole manifest."""
        return uuid5(_RUNS, self.run_id)

    def uuid_of(self, stream: str) -> UUID:
        return uuid5(_RUNS, f"{self.run_id}/{stream}")


def producer() -> str:
    """Who says so: this version of core."""
    return f"urn:dpone:dpone-core:{version('dpone-core')}"


def facet(name: str, /, **content: object) -> Json:
    """A facet with the names of its producer and schema; what is None is left out."""
    path, _, kind = FACETS[name].partition("/")
    schema = f"https://openlineage.io/spec/facets/{path}/{kind}.json#/$defs/{kind}"
    known = {key: value for key, value in content.items() if value is not None}
    return {"_producer": producer(), "_schemaURL": schema, **known}


def manifest_event(identity: Identity, moment: Moment, at: datetime, error: str | None = None) -> Json:
    """The event of a whole manifest, whose streams are the runs that do the work."""
    run = _run_facets(identity.parent)
    if error is not None:
        run["errorMessage"] = facet("errorMessage", message=error, programmingLanguage="PYTHON")
    return _event(identity, moment, at, identity.uuid, identity.manifest, "MANIFEST", run)


def stream_event(identity: Identity, moment: Moment, at: datetime, stream: StreamReport) -> Json:
    """The event of one stream: what is known of its datasets so far."""
    own = Parent(identity.namespace, identity.manifest, identity.uuid)
    run = _run_facets(own, identity.parent)
    if stream.error is not None:
        message = f"[{stream.error_code}] {stream.error}"
        run["errorMessage"] = facet("errorMessage", message=message, programmingLanguage="PYTHON")
    name = job_name(identity.manifest, stream.name)
    return {
        **_event(identity, moment, at, identity.uuid_of(stream.name), name, "STREAM", run),
        "inputs": _inputs(stream, moment),
        "outputs": _outputs(stream, moment),
    }


def job_name(manifest: str, stream: str) -> str:
    """A stream's job, beside its manifest's, as a task is named beside its flow."""
    return f"{manifest}.{stream}"


def _event(identity: Identity, moment: Moment, at: datetime, run: UUID, job: str, kind: str, facets: Json) -> Json:
    origin = identity.origin
    job_facets = {"jobType": facet("jobType", processingType="BATCH", integration="DPONE", jobType=kind)}
    if origin.text is not None:
        job_facets["sourceCode"] = facet("sourceCode", language="YAML", sourceCode=origin.text)
    if origin.location is not None:
        job_facets["sourceCodeLocation"] = facet("sourceCodeLocation", **origin.location)
    return {
        "eventType": moment.value,
        "eventTime": at.astimezone(UTC).isoformat(timespec="milliseconds"),
        "producer": producer(),
        "schemaURL": SPEC,
        "run": {"runId": str(run), "facets": facets},
        "job": {"namespace": identity.namespace, "name": job, "facets": job_facets},
        "inputs": [],
        "outputs": [],
    }


def _run_facets(parent: Parent | None, root: Parent | None = None) -> Json:
    engine = version("dpone-core")
    facets = {"processing_engine": facet("processing_engine", name="dpone", version=engine)}
    if parent is not None:
        above = root or parent
        facets["parent"] = facet("parent", **_ref(parent), root=_ref(above))
    return facets


def _ref(parent: Parent) -> Json:
    return {"run": {"runId": str(parent.run)}, "job": {"namespace": parent.namespace, "name": parent.job}}


def _inputs(stream: StreamReport, moment: Moment) -> list[Json]:
    if stream.reads is None:
        return []
    facets: Json = {}
    carried = [c for c in stream.columns if c.source is not None]
    if carried:
        facets["schema"] = facet("schema", fields=[{"name": c.source, "type": c.source_type} for c in carried])
    counted: Json = {}
    if moment is not Moment.START:
        counted["inputStatistics"] = facet("inputStatistics", rowCount=stream.rows_staged, size=stream.nbytes)
    if assertions := _assertions(stream):
        counted["dataQualityAssertions"] = facet("dataQualityAssertions", assertions=assertions)
    return [{**_named(stream.reads), "facets": facets, "inputFacets": counted}]


def _outputs(stream: StreamReport, moment: Moment) -> list[Json]:
    if stream.writes is None:
        return []
    facets: Json = {}
    if stream.columns:
        facets["schema"] = facet("schema", fields=[{"name": c.name, "type": c.type} for c in stream.columns])
        if stream.reads is not None:
            facets["columnLineage"] = _column_lineage(stream.reads, stream.columns, stream.decided_by)
    counted: Json = {}
    if moment is Moment.COMPLETE:
        counted["outputStatistics"] = facet("outputStatistics", rowCount=stream.inserted + stream.updated)
    return [{**_named(stream.writes), "facets": facets, "outputFacets": counted}]


def _named(dataset: DatasetName) -> Json:
    return {"namespace": dataset.namespace, "name": dataset.name}


def _column_lineage(reads: DatasetName, columns: Sequence[ColumnFlow], decided_by: Sequence[str]) -> Json:
    fields = {
        c.name: {"inputFields": [{**_named(reads), "field": c.source, "transformations": [_transformation(c)]}]}
        for c in columns
        if c.source is not None
    }
    chosen = {"type": "INDIRECT", "subtype": "FILTER", "description": "", "masking": False}
    whole = [{**_named(reads), "field": name, "transformations": [chosen]} for name in decided_by]
    return facet("columnLineage", fields=fields, dataset=whole or None)


def _transformation(column: ColumnFlow) -> Json:
    kind = "IDENTITY" if column.change is None else "TRANSFORMATION"
    masked = column.change in {"mask", "hash"}
    return {"type": "DIRECT", "subtype": kind, "description": column.change or "", "masking": masked}


def _assertions(stream: StreamReport) -> list[Json]:
    """The checks by name; the one that failed is the last that was asked."""
    sources = {c.name: c.source for c in stream.columns if c.source is not None}
    found = [_assertion(name, sources, actual) for name, _, actual in (text.partition(": ") for text in stream.checks)]
    if stream.failed_check is not None:
        found.append(_assertion(stream.failed_check, sources, stream.error or "", success=False))
    return found


def _assertion(name: str, sources: dict[str, str], actual: str, *, success: bool = True) -> Json:
    kind, _, inner = name.removesuffix(")").partition("(")
    known = {"assertion": kind, "success": success, "name": name, "actual": actual, "severity": "error"}
    return {**known, "column": sources[inner]} if inner in sources else known
