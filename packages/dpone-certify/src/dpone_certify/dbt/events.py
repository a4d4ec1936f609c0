"""A dbt run as OpenLineage events: what each node read and wrote, and what its tests found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from msgspec import Struct

from dpone.observe.openlineage import SPEC, Moment, facet, producer
from dpone_certify.dbt.artifacts import Manifest, Node, Result, RunResults
from dpone_certify.dbt.judge import PASSED
from dpone_certify.dbt.stitch import relation_name
from dpone_certify.registry.document import DatasetRef

Event = dict[str, Any]
_RUNS = uuid5(NAMESPACE_URL, "urn:dpone:dbt")
_BUILDS = {"model", "seed", "snapshot"}


class Job(Struct, frozen=True):
    """What dbt did in one invocation: a node that it built, or the tests of one."""

    name: str
    namespace: str
    kind: str
    invocation: str | None


class Graph(Struct, frozen=True):
    """A manifest whose datasets have names."""

    manifest: Manifest
    stitched: Mapping[str, DatasetRef]
    namespace: str  # of dbt's own relations

    def node(self, name: str) -> Node | None:
        for nodes in (self.manifest.nodes, self.manifest.sources, self.manifest.unit_tests):
            if name in nodes:
                return nodes[name]
        return None

    def dataset(self, name: str) -> DatasetRef | None:
        """The dataset of a node; None for one that is no relation."""
        if name in self.stitched:
            return self.stitched[name]
        node = self.node(name)
        if node is None or node.resource_type not in {*_BUILDS, "source"} or node.config.materialized == "ephemeral":
            return None
        adapter = self.manifest.metadata.adapter_type
        return DatasetRef(namespace=self.namespace, name=relation_name(adapter, node))

    def reads(self, node: Node) -> list[str]:
        """The relations that a node reads; an ephemeral model is read through."""
        found: dict[str, None] = {}
        waiting, met = list(reversed(node.depends_on.nodes)), set[str]()
        while waiting:
            name = waiting.pop()
            parent = self.node(name)
            if parent is None or name in met:
                continue
            met.add(name)
            if parent.config.materialized == "ephemeral":
                waiting += reversed(parent.depends_on.nodes)
            elif self.dataset(name) is not None:
                found[name] = None
        return list(found)


def events_of(graph: Graph, results: RunResults, namespace: str) -> Iterator[Event]:
    """START and COMPLETE or FAIL of every model, seed and snapshot, and of the tests of each relation."""
    by_node: dict[str, list[tuple[Node, Result]]] = {}
    at = results.metadata.generated_at
    for result in results.results:
        node = graph.node(result.unique_id)
        if node is None:
            continue
        if node.resource_type in _BUILDS:
            yield from _build(graph, node, result, results.metadata.invocation_id, namespace, at)
        elif node.resource_type == "test":
            tested = node.attached_node or next(iter(graph.reads(node)), None)
            if tested is not None:
                by_node.setdefault(tested, []).append((node, result))
    for name, tests in by_node.items():
        yield from _tests(graph, name, tests, results.metadata.invocation_id, namespace, at)


def _build(graph: Graph, node: Node, result: Result, run: str | None, namespace: str, at: str) -> Iterator[Event]:
    inputs = [{**_ref(graph, name), "facets": {}, "inputFacets": {}} for name in graph.reads(node)]
    facets: Event = {}
    if node.columns:
        fields = [{"name": c.name, **({"type": c.data_type} if c.data_type else {})} for c in node.columns.values()]
        facets["schema"] = facet("schema", fields=fields)
    outputs = [{**_ref(graph, node.unique_id), "facets": facets, "outputFacets": {}}]
    if graph.dataset(node.unique_id) is None:
        outputs = []
    times = [t for t in result.timing if t.started_at and t.completed_at]
    begun, ended = (times[0].started_at or at, times[-1].completed_at or at) if times else (at, at)
    failed = result.status not in PASSED
    job = Job(node.unique_id, namespace, node.resource_type.upper(), run)
    yield _event(Moment.START, begun, job, inputs=inputs, outputs=outputs)
    error = f"{node.unique_id} is {result.status}" if failed else None
    end = Moment.FAIL if failed else Moment.COMPLETE
    yield _event(end, ended, job, inputs=inputs, outputs=outputs, error=error)


def _tests(
    graph: Graph, name: str, tests: list[tuple[Node, Result]], run: str | None, namespace: str, at: str
) -> Iterator[Event]:
    if graph.dataset(name) is None:
        return
    assertions = [
        {
            "assertion": node.test_metadata.name if node.test_metadata else "custom_sql",
            "success": result.status in PASSED,
            "name": node.name,
            "severity": (node.config.severity or "error").lower(),
            "actual": f"{result.failures or 0} rows",
            **({"column": node.column_name} if node.column_name else {}),
        }
        for node, result in tests
    ]
    checked = {"dataQualityAssertions": facet("dataQualityAssertions", assertions=assertions)}
    inputs = [{**_ref(graph, name), "facets": {}, "inputFacets": checked}]
    job = Job(f"{name}.test", namespace, "TEST", run)
    red = [node.name for node, result in tests if result.status not in PASSED]
    yield _event(Moment.START, at, job, inputs=[{**_ref(graph, name), "facets": {}, "inputFacets": {}}], outputs=[])
    error = f"failed: {', '.join(red)}" if red else None
    yield _event(Moment.FAIL if red else Moment.COMPLETE, at, job, inputs=inputs, outputs=[], error=error)


def _ref(graph: Graph, name: str) -> Event:
    dataset = graph.dataset(name)
    return {"namespace": dataset.namespace, "name": dataset.name} if dataset else {}


def _event(
    moment: Moment, at: str, job: Job, *, inputs: list[Event], outputs: list[Event], error: str | None = None
) -> Event:
    facets = {}
    if error is not None:
        facets["errorMessage"] = facet("errorMessage", message=error, programmingLanguage="SQL")
    return {
        "eventType": moment.value,
        "eventTime": at,
        "producer": producer(),
        "schemaURL": SPEC,
        "run": {"runId": str(uuid5(_RUNS, f"{job.invocation}/{job.name}")), "facets": facets},
        "job": {
            "namespace": job.namespace,
            "name": job.name,
            "facets": {"jobType": facet("jobType", processingType="BATCH", integration="DBT", jobType=job.kind)},
        },
        "inputs": inputs,
        "outputs": outputs,
    }
