"""The document `dpone.dbt_lineage.v1`: a dbt run's nodes, edges and tests, and whether all of them passed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from dpone_certify.dbt.artifacts import MOST_BYTES, Kind, Manifest, Result, RunResults, understand
from dpone_certify.dbt.events import Graph, events_of
from dpone_certify.dbt.judge import executable, judge
from dpone_certify.dbt.stitch import namespace_of, stitched
from dpone_certify.documents.canonical import canonical, relative, sha256
from dpone_certify.documents.document import Artifact, Blocker, Document, Part, Subject, now, verdict
from dpone_certify.documents.markdown import head, table
from dpone_certify.documents.reading import read_document, read_json
from dpone_certify.registry.document import DatasetRef, RegisteredStream, RunRegistryEntry

EVENTS = "dbt_openlineage.json"


class DbtNode(Part):
    """`status` is null for what has none: a source, an ephemeral model, a node that was not run."""

    id: str
    kind: str
    name: str
    dataset: DatasetRef | None
    status: str | None
    seconds: float | None


class DbtTest(Part):
    id: str
    name: str
    checks: str | None
    column: str | None
    status: str | None
    failures: int | None


class Edge(Part):
    reads: str
    node: str


class Stitch(Part):
    """A dbt source that is a target of dpone."""

    source: str
    dataset: DatasetRef
    run_id: str


class DbtLineage(Document):
    schema_version: Literal["dpone.dbt_lineage.v1"] = "dpone.dbt_lineage.v1"
    project: str | None
    adapter: str | None
    dbt_version: str | None
    invocation_id: str | None
    inputs: tuple[Artifact, ...]
    events: Artifact
    statuses: Mapping[str, int]
    nodes: tuple[DbtNode, ...]
    edges: tuple[Edge, ...]
    tests: tuple[DbtTest, ...]
    stitched: tuple[Stitch, ...]


def lineage_of(
    files: Mapping[Kind, Path | None],
    entry: Path | None,
    folder: Path,
    subject: Subject,
    *,
    namespace: str,
    dataset_namespace: str | None = None,
) -> tuple[DbtLineage, str]:
    """The document as it will lie in `folder`, and the text of its events."""
    inputs: list[Artifact] = []
    blockers: list[Blocker] = []
    found: dict[Kind, Manifest | RunResults | None] = {}
    for kind, path in files.items():
        value, digest, wrong = read_json(kind, path, MOST_BYTES)
        if not wrong:
            found[kind], wrong = understand(kind, value)
        inputs.append(Artifact(name=kind, path=relative(path, folder) if path else "", sha256=digest))
        blockers += wrong
    run_id, streams = "", tuple[RegisteredStream, ...]()
    if entry is not None:
        read = read_document("run_registry_entry", entry, RunRegistryEntry)
        inputs.append(Artifact(name="run_registry_entry", path=relative(entry, folder), sha256=read.sha256))
        blockers += read.blockers
        if read.found is not None:
            run_id, streams = read.found.run_id, read.found.streams
            if not read.found.passed:
                action = "run dpone again, register it, and then dbt"
                blockers.append(
                    Blocker(code="run_registry_entry.not_passed", message=f"{entry} does not pass", action=action)
                )
    manifest, results = found.get("dbt_manifest"), found.get("dbt_run_results")
    manifest = manifest if isinstance(manifest, Manifest) else None
    results = results if isinstance(results, RunResults) else None
    if manifest is not None and results is not None:
        blockers += judge(manifest, results)
    links = stitched(manifest, streams) if manifest else {}
    graph = Graph(manifest, links, namespace_of(manifest, dataset_namespace, links)) if manifest else None
    text = canonical(list(events_of(graph, results, namespace)) if graph and results else [])
    by_id = {r.unique_id: r for r in results.results} if results else {}
    counts: dict[str, int] = {}
    for result in by_id.values():
        counts[result.status] = counts.get(result.status, 0) + 1
    document = DbtLineage(
        created_at=now(),
        producer="dpone ops dbt-lineage",
        subject=subject,
        project=manifest.metadata.project_name if manifest else None,
        adapter=manifest.metadata.adapter_type if manifest else None,
        dbt_version=manifest.metadata.dbt_version if manifest else None,
        invocation_id=results.metadata.invocation_id if results else None,
        inputs=tuple(inputs),
        events=Artifact(name="openlineage", path=EVENTS, sha256=sha256(text)),
        statuses=counts,
        nodes=_nodes(graph, by_id) if graph else (),
        edges=_edges(graph) if graph else (),
        tests=_tests(graph, by_id) if graph else (),
        stitched=tuple(Stitch(source=s, dataset=d, run_id=run_id) for s, d in sorted(links.items())),
        **verdict(blockers),
    )
    return document, text


def folder_of(entry: Path | None, manifest: Path | None) -> str:
    """The name of the documents' folder: the pipeline that loaded dbt's sources, or else what the project calls itself;
    `unknown` where neither can be read.
    """
    loaded = read_document("run_registry_entry", entry, RunRegistryEntry).found if entry is not None else None
    if loaded is not None and loaded.pipeline:
        return loaded.pipeline
    value, _, _ = read_json("dbt_manifest", manifest, MOST_BYTES)
    found = understand("dbt_manifest", value)[0] if value is not None else None
    return found.metadata.project_name or "unknown" if isinstance(found, Manifest) else "unknown"


def _nodes(graph: Graph, results: Mapping[str, Result]) -> tuple[DbtNode, ...]:
    manifest = graph.manifest
    nodes = {
        **manifest.sources,
        **{name: node for name, node in manifest.nodes.items() if node.resource_type in {"model", "seed", "snapshot"}},
        **manifest.exposures,
    }
    return tuple(
        DbtNode(
            id=name,
            kind=nodes[name].resource_type,
            name=nodes[name].name,
            dataset=graph.dataset(name),
            status=results[name].status if name in results else None,
            seconds=round(results[name].execution_time, 6) if name in results else None,
        )
        for name in sorted(nodes)
    )


def _edges(graph: Graph) -> tuple[Edge, ...]:
    manifest = graph.manifest
    nodes = {**manifest.nodes, **manifest.unit_tests, **manifest.exposures}
    return tuple(
        Edge(reads=parent, node=name) for name in sorted(nodes) for parent in sorted(nodes[name].depends_on.nodes)
    )


def _tests(graph: Graph, results: Mapping[str, Result]) -> tuple[DbtTest, ...]:
    tests = {n: t for n, t in executable(graph.manifest).items() if t.resource_type in {"test", "unit_test"}}
    return tuple(
        DbtTest(
            id=name,
            name=tests[name].name,
            checks=tests[name].attached_node or next(iter(tests[name].depends_on.nodes), None),
            column=tests[name].column_name,
            status=results[name].status if name in results else None,
            failures=results[name].failures if name in results else None,
        )
        for name in sorted(tests)
    )


def markdown_of(document: DbtLineage) -> str:
    lines = head(f"dbt project {document.project}", document)
    counts = ", ".join(f"{count} {status}" for status, count in sorted(document.statuses.items()))
    lines += [f"dbt {document.dbt_version}, {document.adapter}: {counts or 'no result'}.", ""]
    rows = (
        (n.id, n.status or "", f"{n.dataset.namespace} {n.dataset.name}" if n.dataset else "") for n in document.nodes
    )
    lines += table(("node", "status", "dataset"), rows)
    tests = ((t.name, t.checks or "", t.column or "", t.status or "not run", t.failures or 0) for t in document.tests)
    lines += table(("test", "of", "column", "status", "rows"), tests)
    links = ((s.source, f"{s.dataset.namespace} {s.dataset.name}", s.run_id) for s in document.stitched)
    lines += table(("source", "loaded by dpone as", "in run"), links)
    return "\n".join(lines)
