"""The verdict of a suite over gathered evidence. Pure: equal evidence and policy give the equal verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from msgspec import Struct

from dpone.integration_matrix import DEFAULT_INTEGRATION_MATRIX, Case
from dpone_certify.baseline.document import BenchmarkBaseline
from dpone_certify.certification.document import FIDELITIES, CertificationReport, Fidelity
from dpone_certify.documents.document import Blocker
from dpone_certify.evidence.judging import Policy, flaws_of
from dpone_certify.evidence.kinds import summary_of
from dpone_certify.evidence.tree import Evidence, blockers_of
from dpone_certify.mutation.document import CertificationMutation
from dpone_certify.mutation.judge import score_of
from dpone_certify.suite.document import REPORT, SCHEMAS, SuiteKind

_AGAIN = "dpone ops certification-run --case-id {}"


class Asked(Struct, frozen=True):
    """What the suite demands beyond what each piece of evidence demands of itself."""

    required: frozenset[str] = frozenset({REPORT})
    scope: str = "*"
    minimum_fidelity: Fidelity | None = None
    minimum_mutation_score: float | None = None
    require_measured: bool = False

    @property
    def needs(self) -> frozenset[str]:
        """A demand that evidence has to meet demands the evidence."""
        more = {"benchmark_baseline"} if self.require_measured else set()
        more |= {"mutation_report"} if self.minimum_mutation_score is not None else set()
        return self.required | {REPORT} | more


class Judged(Struct, frozen=True):
    name: str
    evidence: Evidence
    required: bool
    blockers: tuple[Blocker, ...]

    @property
    def summary(self) -> str:
        return summary_of(self.evidence) if self.evidence.path is not None else "not given"


class Verdict(Struct, frozen=True):
    judged: tuple[Judged, ...]
    suite_kind: SuiteKind
    executed_count: int
    contract_count: int

    @property
    def blockers(self) -> tuple[Blocker, ...]:
        return tuple(dict.fromkeys(b for j in self.judged for b in j.blockers))

    @property
    def passed(self) -> bool:
        return not self.blockers


def evaluate(found: Mapping[str, Evidence], asked: Asked, policy: Policy) -> Verdict:
    """Every piece that is required or was given, judged; one that is neither is listed as not given."""
    judged = []
    for name in SCHEMAS:
        evidence = found.get(name) or Evidence(name, None)
        required = name in asked.needs
        blockers: tuple[Blocker, ...] = ()
        if evidence.path is None and required:
            action = f"produce it, and give it as --{name.replace('_', '-')}"
            blockers = (Blocker(code=f"{name}.missing", message="it is required, and was not given", action=action),)
        elif evidence.path is not None:
            blockers = (*blockers_of(name, flaws_of(evidence, policy)), *_demands(evidence, asked))
        judged.append(Judged(name, evidence, required, tuple(dict.fromkeys(blockers))))
    report = next(j.evidence.document for j in judged if j.name == REPORT)
    if isinstance(report, CertificationReport):
        executed = sum(result.is_executed for result in report.results)
        return Verdict(tuple(judged), "matrix", executed, len(report.results) - executed)
    return Verdict(tuple(judged), "connectors" if report is not None else "unknown", 0, 0)


def in_scope(scope: str) -> tuple[Case, ...]:
    """The cases whose id one of the comma-separated patterns matches."""
    patterns = [part.strip() for part in scope.split(",") if part.strip()]
    return tuple(
        case for case in DEFAULT_INTEGRATION_MATRIX.cases if any(fnmatchcase(case.id, pattern) for pattern in patterns)
    )


def _demands(evidence: Evidence, asked: Asked) -> Iterator[Blocker]:
    document = evidence.document
    if isinstance(document, CertificationReport):
        yield from _of_coverage(document, in_scope(asked.scope))
        if asked.minimum_fidelity is not None:
            yield from _of_fidelity(document, asked.minimum_fidelity, in_scope(asked.scope))
    if isinstance(document, CertificationMutation) and asked.minimum_mutation_score is not None:
        score = score_of(document.mutants)
        if score < asked.minimum_mutation_score:
            message = f"{score:.3f} of the planted bugs were noticed, {asked.minimum_mutation_score:g} is demanded"
            action = "look at the survivors, and let a check notice them"
            yield Blocker(code="mutation_report.score_below", message=message, action=action)
    if isinstance(document, BenchmarkBaseline) and asked.require_measured and document.provenance != "measured":
        action = "dpone ops benchmark-run, then --metrics-json @benchmark_metrics.json"
        yield Blocker(code="benchmark_baseline.not_measured", message="its numbers were typed", action=action)


def _of_coverage(report: CertificationReport, wanted: tuple[Case, ...]) -> Iterator[Blocker]:
    there = {result.case_id for result in report.results}
    ends = {end for case in wanted if case.id in there for end in (case.source, case.sink)}
    absent = [case for case in wanted if case.id not in there]
    if not wanted:
        yield Blocker(code=f"{REPORT}.empty", message="the scope holds no case", action="widen --scope")
    gone = sorted({end for case in absent for end in (case.source, case.sink) if end not in ends})
    for name in gone if there else ():
        message = f"no case of the connector {name} is in the report"
        action = f"pip install dpone-connectors-{name}, and run the matrix again"
        yield Blocker(code=f"{REPORT}.connector_missing:{name}", message=message, action=action)
    for case in absent:
        code = f"{REPORT}.coverage_missing:{case.id}"
        yield Blocker(code=code, message=f"{case.id} is not in the report", action=_AGAIN.format(case.id))


def _of_fidelity(report: CertificationReport, least: Fidelity, wanted: tuple[Case, ...]) -> Iterator[Blocker]:
    ids = {case.id for case in wanted}
    for result in report.results:
        if result.case_id in ids and FIDELITIES.index(result.lower_fidelity) < FIDELITIES.index(least):
            message = f"{result.case_id} was proven on {result.lower_fidelity} ends, {least} is demanded"
            action = f"run it where both ends are {least}, or demand less"
            code = f"{REPORT}.fidelity_below:{result.case_id}"
            yield Blocker(code=code, message=message, action=action)
