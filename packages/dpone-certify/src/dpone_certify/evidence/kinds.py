"""The kinds of documents that can be judged: the model of each, what it rests on, and how its verdict is recomputed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, get_args

from msgspec import Struct

from dpone.diff.report import DiffReport
from dpone.replay.evidence import ReplayEvidence
from dpone_certify.baseline.document import BenchmarkBaseline
from dpone_certify.benchmark.document import BenchmarkMetrics, targets_told
from dpone_certify.bundles.documents import SCHEMAS as BUNDLED
from dpone_certify.bundles.documents import EvidenceBundle, StrategyBundle
from dpone_certify.certification.document import BehaviorArtifact, CertificationReport
from dpone_certify.conformance.document import ConnectorCertification
from dpone_certify.dbt.artifacts import MOST_BYTES as DBT_MOST_BYTES
from dpone_certify.dbt.document import DbtLineage
from dpone_certify.documents.document import Artifact
from dpone_certify.evidence import recomputing
from dpone_certify.evidence.tree import Evidence, Flaw, Reference
from dpone_certify.lineage.document import LineageReport
from dpone_certify.mutation.document import CertificationMutation
from dpone_certify.registry.document import RunRegistryEntry
from dpone_certify.registry.report import RunResult
from dpone_certify.suite.document import SCHEMAS, CertificationSuite

if TYPE_CHECKING:
    from pydantic import BaseModel


class Kind(Struct, frozen=True):
    """`is_raw`: measured or read by the process that wrote it, so that only its own signature vouches for it."""

    model: type[BaseModel]
    judge: Callable[[Evidence], Iterator[Flaw]]
    parts: Callable[[Any], Iterable[Reference]] = lambda _: ()
    is_raw: bool = False
    sums_up: Callable[[Any], str] = lambda _: ""


def of_artifact(artifact: Artifact, *, is_data: bool = False, most_bytes: int | None = None) -> Reference:
    return Reference(artifact.name, artifact.path, artifact.sha256, is_data=is_data, most_bytes=most_bytes)


def _of_report(report: CertificationReport) -> Iterator[Reference]:
    for result in report.results:
        if result.artifact_path is not None:
            yield Reference(result.case_id, result.artifact_path)


def _of_baseline(document: BenchmarkBaseline) -> Iterator[Reference]:
    if document.metrics is not None:
        yield of_artifact(document.metrics)


def _of_lineage(report: LineageReport) -> Iterator[Reference]:
    yield of_artifact(report.events, is_data=True)
    yield from map(of_artifact, report.inputs)


def _of_dbt(document: DbtLineage) -> Iterator[Reference]:
    for artifact in document.inputs:
        is_dbts = artifact.name != "run_registry_entry"
        yield of_artifact(artifact, is_data=is_dbts, most_bytes=DBT_MOST_BYTES if is_dbts else None)


def _of_run(entry: RunRegistryEntry) -> Iterator[Reference]:
    yield of_artifact(entry.run_result)
    yield from map(of_artifact, entry.artifacts)


def _of_strategy_bundle(bundle: StrategyBundle) -> Iterator[Reference]:
    return (Reference(i.name, i.path, i.sha256, expected=BUNDLED[i.kind]) for i in bundle.items)


def _of_evidence_bundle(bundle: EvidenceBundle) -> Iterator[Reference]:
    return (Reference(item.name, item.path, item.sha256) for item in bundle.items)


def _of_suite(suite: CertificationSuite) -> Iterator[Reference]:
    for item in suite.items:
        if item.path is not None:
            yield Reference(item.name, item.path, item.sha256, expected=SCHEMAS.get(item.name, frozenset()))


def _passing(items: Sequence[Any], what: str) -> str:
    return f"{sum(item.passed for item in items)} of {len(items)} {what}"


_ALL = (
    Kind(
        CertificationReport,
        recomputing.of_report,
        _of_report,
        is_raw=True,
        sums_up=lambda r: (
            f"{_passing(r.results, 'cases passed')}, {r.profile}, "
            f"{r.executed_count} executed, {r.contract_count} by contract"
        ),
    ),
    Kind(
        ConnectorCertification,
        recomputing.of_connectors,
        is_raw=True,
        sums_up=lambda c: _passing(c.connectors, "connectors passed"),
    ),
    Kind(
        CertificationMutation,
        recomputing.of_mutation,
        is_raw=True,
        sums_up=lambda m: f"{m.killed_count} of {m.mutant_count} mutants noticed, score {m.score:.3f}",
    ),
    Kind(BehaviorArtifact, recomputing.of_nothing, sums_up=lambda b: f"{b.result.case_id}: {b.result.state}"),
    Kind(
        BenchmarkMetrics,
        recomputing.of_metrics,
        is_raw=True,
        sums_up=lambda m: (
            f"{m.throughput_rows_per_second:,.0f} rows/s, {m.ratio_to_control:.2f} × the control"
            f"{targets_told(m.missed)}"
        ),
    ),
    Kind(
        BenchmarkBaseline,
        recomputing.of_baseline,
        _of_baseline,
        sums_up=lambda b: f"{_passing(b.items, 'metrics hold')}, {b.provenance}{targets_told(b.targets_missed)}",
    ),
    Kind(
        LineageReport,
        recomputing.of_lineage,
        _of_lineage,
        sums_up=lambda r: f"run {r.run_id}: {len(r.jobs)} jobs, {r.event_count} events",
    ),
    Kind(
        DbtLineage,
        recomputing.of_dbt,
        _of_dbt,
        is_raw=True,
        sums_up=lambda d: ", ".join(f"{count} {status}" for status, count in sorted(d.statuses.items())),
    ),
    Kind(
        RunRegistryEntry,
        recomputing.of_run,
        _of_run,
        is_raw=True,
        sums_up=lambda e: f"run {e.run_id} of {e.pipeline}: {e.status}",
    ),
    Kind(RunResult, recomputing.of_record, is_raw=True, sums_up=lambda r: f"run {r.run_id}: {r.status}"),
    Kind(
        ReplayEvidence,
        recomputing.of_replay,
        is_raw=True,
        sums_up=lambda r: f"{r.action} of {r.target}, {r.mode}, {len(r.operations)} operations",
    ),
    Kind(
        DiffReport,
        recomputing.of_diff,
        is_raw=True,
        sums_up=lambda d: f"{sum(s.equal for s in d.streams)} of {len(d.streams)} streams equal",
    ),
    Kind(
        StrategyBundle,
        recomputing.of_bundle,
        _of_strategy_bundle,
        sums_up=lambda b: _passing(b.items, "items passed"),
    ),
    Kind(
        EvidenceBundle,
        recomputing.of_bundle,
        _of_evidence_bundle,
        sums_up=lambda b: _passing(b.items, "files passed"),
    ),
    Kind(
        CertificationSuite,
        recomputing.of_bundle,
        _of_suite,
        sums_up=lambda s: f"suite {s.suite_id}: {_passing(s.items, 'passed')}",
    ),
)
# A document says which it is by the only schema version that its model takes.
KINDS: dict[str, Kind] = {get_args(kind.model.model_fields["schema_version"].annotation)[0]: kind for kind in _ALL}


def kind_of(document: BaseModel) -> Kind:
    """The kind that a document says it is; there are no others in evidence."""
    return KINDS[getattr(document, "schema_version", "")]


def summary_of(evidence: Evidence) -> str:
    """One line about what the document holds; about an opaque file, that it is one."""
    document = evidence.document
    if document is None:
        return "not judged: no document of dpone" if evidence.is_opaque else evidence.flaws[0].message
    return kind_of(document).sums_up(document)
