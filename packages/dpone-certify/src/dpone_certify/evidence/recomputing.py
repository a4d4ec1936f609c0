"""The verdict of each kind of document, recomputed from the raw results under it: no `passed` is believed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter, truediv
from statistics import median
from typing import Any

from dpone.diff.report import DiffReport
from dpone.diff.report import blockers_of as diff_blocked
from dpone.replay.evidence import ReplayEvidence, objections
from dpone_certify.baseline.document import BenchmarkBaseline
from dpone_certify.baseline.judge import compare
from dpone_certify.benchmark.document import BenchmarkMetrics, Comparison, Contestant
from dpone_certify.benchmark.document import judge as judge_target
from dpone_certify.benchmark.targets import CONTROL, DPONE, TARGETS
from dpone_certify.bundles.documents import EvidenceBundle, EvidenceItem, StrategyBundle
from dpone_certify.certification.document import NAME, BehaviorArtifact, CertificationReport, Result
from dpone_certify.certification.judge import blockers_of
from dpone_certify.conformance.document import NAME as CONNECTORS
from dpone_certify.conformance.document import ConnectorCertification
from dpone_certify.conformance.judge import blockers_of as connectors_blocked
from dpone_certify.dbt.artifacts import Kind, Manifest, RunResults, understand
from dpone_certify.dbt.document import DbtLineage
from dpone_certify.dbt.judge import judge as judge_dbt
from dpone_certify.documents.document import Blocker
from dpone_certify.evidence.tree import Evidence, Flaw
from dpone_certify.lineage.document import LineageReport, events_of, judge_events
from dpone_certify.mutation.document import CertificationMutation
from dpone_certify.mutation.judge import blockers_of as mutants_blocked
from dpone_certify.registry.judge import judge as judge_run
from dpone_certify.registry.report import RunResult
from dpone_certify.suite.document import CertificationSuite

_AGAIN = "produce it again; do not change it by hand"
_NEAR = 0.02  # medians of rounded numbers beside rounded medians
_OF_FORM = (
    "coverage_missing",
    "connector_missing",
    "unknown_case",
    "duplicate_case",
    "count_differs",
    "invalid",
    "empty",
)


def of_nothing(_evidence: Evidence) -> Iterator[Flaw]:
    """Its model says all that there is to say, and what it rests on is judged beside it."""
    yield from ()


def of_report(evidence: Evidence) -> Iterator[Flaw]:
    """The cases decide; and the artifact of each case says of it what the report says."""
    report = evidence.document
    assert isinstance(report, CertificationReport)
    for blocker in blockers_of(report):
        said = blocker.code.removeprefix(f"{NAME}.")
        detail = blocker if said.startswith((*_OF_FORM, "registry_differs")) else None
        yield Flaw("not_passed", f"{blocker.code}: {blocker.message}", blocker.action, detail)
    found = {part.name: part.document for part in evidence.parts}
    for result in report.results:
        if result.artifact_path is None:
            yield Flaw("not_passed", f"{result.case_id} has no artifact", _AGAIN)
        artifact = found.get(result.case_id)
        if isinstance(artifact, BehaviorArtifact) and _facts(artifact.result) != _facts(result):
            message = f"{result.artifact_path} says something else of {result.case_id} than the report"
            code = f"{NAME}.artifact_differs:{result.case_id}"
            yield Flaw("invalid", message, _AGAIN, Blocker(code=code, message=message, action=_AGAIN))


def of_connectors(evidence: Evidence) -> Iterator[Flaw]:
    """The tests decide."""
    certification = evidence.document
    assert isinstance(certification, ConnectorCertification)
    for blocker in connectors_blocked(certification):
        said = blocker.code.removeprefix(f"{CONNECTORS}.")
        message, code = f"{blocker.code}: {blocker.message}", f"{NAME}.{said}"
        detail = Blocker(code=code, message=blocker.message, action=blocker.action)
        yield Flaw("not_passed", message, blocker.action, detail if said.startswith(_OF_FORM) else None)


def of_mutation(evidence: Evidence) -> Iterator[Flaw]:
    """The mutants decide."""
    report = evidence.document
    assert isinstance(report, CertificationMutation)
    for blocker in mutants_blocked(report):
        yield Flaw("not_passed", f"{blocker.code}: {blocker.message}", blocker.action)


def _facts(result: Result) -> dict[str, Any]:
    """What must be the same wherever the artifact lies by now."""
    return result.model_dump(exclude={"artifact_path", "repro"})


def of_metrics(evidence: Evidence) -> Iterator[Flaw]:
    """Medians follow from the turns, and targets from the medians."""
    metrics = evidence.document
    assert isinstance(metrics, BenchmarkMetrics)
    comparisons = {c.name: c for c in metrics.comparisons}
    copies = [(c.rows, c) for c in metrics.comparisons if c.rows]
    wrong = [reason for comparison in metrics.comparisons for reason in _wrong_comparison(comparison)]
    if copies:
        rows, largest = max(copies, key=itemgetter(0))
        wrong += _wrong_totals(metrics, rows, largest.contestants.get(DPONE))
    else:
        wrong.append("it measured no copy")
    yield from _contradictions(evidence, wrong or _wrong_targets(metrics, comparisons))


def _wrong_totals(metrics: BenchmarkMetrics, rows: int, ours: Contestant | None) -> Iterator[str]:
    """The numbers at the top are those of dpone in the largest copy."""
    if ours is None:
        yield "dpone did not take part"
        return
    rate = rows / ours.wall_seconds if ours.wall_seconds else math.inf
    if not _near(rate, metrics.throughput_rows_per_second):
        yield "its throughput is not that of its turns"
    if ours.wall_ratio is not None and not _near(ours.wall_ratio.median, metrics.ratio_to_control):
        yield "its ratio to the control is not that of its turns"


def _wrong_targets(metrics: BenchmarkMetrics, comparisons: Mapping[str, Comparison]) -> Iterator[str]:
    """Every target is told as it follows from the medians, and met where the measurement required it."""
    said = {target.name: target.met for target in metrics.targets}
    for target in TARGETS:
        met = judge_target(target, comparisons).met
        if target.name not in said or said[target.name] is not met:
            yield f"it does not say truthfully whether the target {target.name} is met"
        if metrics.targets_required and met is False:
            yield f"the target {target.name} is missed"


def _wrong_comparison(comparison: Comparison) -> Iterator[str]:
    """Everybody took turns, and all but the control are told beside it."""
    control = comparison.contestants.get(CONTROL)
    if control is None:
        yield f"{comparison.name} has no control"
        return
    for name, contestant in comparison.contestants.items():
        said = f"{comparison.name}, {name}"
        if not contestant.turns:
            yield f"{said} has no turns"
        elif not _near(median(t.wall_seconds for t in contestant.turns), contestant.wall_seconds):
            yield f"{said}: the median is not that of its turns"
        elif not _near(max(t.memory_mb for t in contestant.turns), contestant.memory_mb):
            yield f"{said}: the memory is not that of its turns"
        elif name != CONTROL:
            yield from _wrong_ratio(said, contestant, control)


def _wrong_ratio(said: str, found: Contestant, control: Contestant) -> Iterator[str]:
    ours, theirs = ([turn.wall_seconds for turn in side.turns] for side in (found, control))
    if found.wall_ratio is None or found.cpu_ratio is None:
        yield f"{said}: it is not told beside the control"
    elif len(ours) != len(theirs) or not all(theirs):
        yield f"{said}: its turns are not those of the control"
    elif not _near(median(map(truediv, ours, theirs)), found.wall_ratio.median):
        yield f"{said}: the ratio is not that of its turns"


def _near(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=_NEAR, abs_tol=0.002)


def of_baseline(evidence: Evidence) -> Iterator[Flaw]:
    """The numbers of the measurement, or those that were typed, are held to the baseline once more."""
    document = evidence.document
    assert isinstance(document, BenchmarkBaseline)
    part = evidence.part("benchmark_metrics")
    numbers: dict[str, Any] = {i.metric: i.actual for i in document.items if i.actual is not None}
    wrong = []
    if document.provenance == "measured":
        if part is None or not isinstance(part.document, BenchmarkMetrics):
            wrong.append("it says that its numbers were measured, and names no measurement")
        else:
            numbers = dict(part.value)
            if part.document.missed != document.targets_missed:
                wrong.append("it does not name the targets that its measurement missed")
    compared = compare(numbers, document.baseline, document.allowed_regression_ratio)
    wrong += [b.message for b in compared.blockers]
    if compared.items != document.items:
        wrong.append("its items do not follow from its numbers")
    yield from _contradictions(evidence, wrong)


def of_lineage(evidence: Evidence) -> Iterator[Flaw]:
    """Its events are those that the run's record gives, and all of them end well."""
    report = evidence.document
    assert isinstance(report, LineageReport)
    events = evidence.part(report.events.name)
    found = events.value if events is not None else None
    if not isinstance(found, list):
        yield from _contradictions(evidence, ["its events are not there"])
        return
    try:
        jobs, blockers = judge_events(found)
        told = [_told(event) for event in found]
    except (KeyError, TypeError, AttributeError, ValueError):
        yield Flaw("invalid", f"the events of {evidence.path} are no OpenLineage events", _AGAIN)
        return
    wrong = [b.message for b in blockers]
    if (tuple(jobs), len(found)) != (report.jobs, report.event_count):
        wrong.append("its jobs are not those of its events")
    record = next((e.document for e in evidence.walk() if isinstance(e.document, RunResult)), None)
    if record is None:
        wrong.append("the record of its run is not there")
    elif [_told(event) for event in events_of(record, report.namespace)] != told:
        wrong.append("its events are not those that the record of its run gives")
    yield from _contradictions(evidence, wrong)


def _told(event: dict[str, Any]) -> tuple[Any, ...]:
    """What an event says of the run; where its manifest lay is a matter of the machine."""
    places = [[(d.get("namespace"), d.get("name")) for d in event.get(side, ())] for side in ("inputs", "outputs")]
    job = (event["job"].get("namespace"), event["job"]["name"])
    return event["eventType"], event.get("eventTime"), job, event["run"]["runId"], places


def of_dbt(evidence: Evidence) -> Iterator[Flaw]:
    """The artifacts that dbt wrote are judged once more."""
    document = evidence.document
    assert isinstance(document, DbtLineage)
    understood = {}
    names: tuple[Kind, ...] = ("dbt_manifest", "dbt_run_results")
    for name in names:
        part = evidence.part(name)
        if part is not None and isinstance(part.value, dict):
            understood[name] = understand(name, part.value)[0]
    manifest, results = understood.get("dbt_manifest"), understood.get("dbt_run_results")
    if not isinstance(manifest, Manifest) or not isinstance(results, RunResults):
        yield from _contradictions(evidence, ["the artifacts of dbt are not there, or cannot be read"])
        return
    yield from _contradictions(evidence, [b.message for b in judge_dbt(manifest, results)])


def of_run(evidence: Evidence) -> Iterator[Flaw]:
    """The record of the run is judged beside it; that it is there is asked here."""
    part = evidence.part("run_result")
    there = part is not None and (part.flaws or isinstance(part.document, RunResult))
    yield from _contradictions(evidence, [] if there else ["the record of the run is not there"])


def of_record(evidence: Evidence) -> Iterator[Flaw]:
    record = evidence.document
    assert isinstance(record, RunResult)
    for blocker in judge_run(record):
        yield Flaw("not_passed", blocker.message, blocker.action)


def of_replay(evidence: Evidence) -> Iterator[Flaw]:
    replay = evidence.document
    assert isinstance(replay, ReplayEvidence)
    yield from _contradictions(evidence, objections(replay))


def of_diff(evidence: Evidence) -> Iterator[Flaw]:
    """Every stream is equal, and nothing that it lists says otherwise."""
    report = evidence.document
    assert isinstance(report, DiffReport)
    wrong = [f"{b.code}: {b.message}" for stream in report.streams for b in diff_blocked(stream)]
    wrong += [f"{stream.name} is not equal" for stream in report.streams if not stream.equal]
    yield from _contradictions(evidence, wrong if report.streams else ["nothing was compared"])


def of_bundle(evidence: Evidence) -> Iterator[Flaw]:
    """There is something in it, and nothing in it is missing or red."""
    bundle = evidence.document
    assert isinstance(bundle, StrategyBundle | EvidenceBundle | CertificationSuite)
    judged = [i for i in bundle.items if not (isinstance(i, EvidenceItem) and i.opaque)]
    wrong = [f"{i.name} did not pass" for i in judged if not i.passed]
    wrong += [f"{i.name} is no document" for i in judged if (part := evidence.part(i.name)) and part.is_opaque]
    if not any(part.document is not None for part in evidence.parts):
        wrong.append("there is nothing in it that can be judged")
    yield from _contradictions(evidence, wrong)


def _contradictions(evidence: Evidence, wrong: Iterable[str]) -> Iterator[Flaw]:
    for reason in wrong:
        yield Flaw("not_passed", f"{evidence.path}: {reason}", _AGAIN)
