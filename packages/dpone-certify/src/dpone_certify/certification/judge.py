"""What a certification report says, recomputed from its results: no count and no verdict in it is believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from dpone.integration_matrix import DEFAULT_INTEGRATION_MATRIX, Case, IntegrationMatrix
from dpone_certify.certification.document import NAME, CertificationReport, Result
from dpone_certify.certification.selecting import selected
from dpone_certify.documents.document import Blocker


def blockers_of(
    report: CertificationReport, matrix: IntegrationMatrix = DEFAULT_INTEGRATION_MATRIX
) -> tuple[Blocker, ...]:
    """Everything that keeps the report from passing, the verdict that it carries left aside."""
    found = [
        *of_results(report.results, selected(matrix, report.selection), matrix),
        *_of_counts(report),
        *(_registry(report.registry_digest, matrix)),
        *(b for b in report.blockers if b.code.startswith(f"{NAME}.connector_missing:")),
    ]
    if report.passed and found:
        found.insert(0, _blocker("not_passed", "it says that it passed, its results say otherwise", _AGAIN))
    return tuple(dict.fromkeys(found))


def of_results(results: Sequence[Result], wanted: Sequence[Case], matrix: IntegrationMatrix) -> Iterator[Blocker]:
    """Cases that are missing, there twice, unknown, or not passed."""
    known = {case.id: case for case in matrix.cases}
    times = Counter(result.case_id for result in results)
    for case in wanted:
        if case.id not in times:
            yield _blocker(f"coverage_missing:{case.id}", f"{case.id} is not in the report", _RUN.format(case.id))
    for case_id, many in times.items():
        if case_id not in known:
            yield _blocker(f"unknown_case:{case_id}", f"{case_id} is no case of the matrix", _AGAIN)
        if many > 1:
            yield _blocker(f"duplicate_case:{case_id}", f"{case_id} is there {many} times", _AGAIN)
    if not results:
        yield _blocker("empty", "it holds no case", "choose cases that the matrix has")
    for result in results:
        yield from _of_result(result, known.get(result.case_id))


def _of_result(result: Result, case: Case | None) -> Iterator[Blocker]:
    if case is not None and (result.source, result.sink, result.strategy) != (case.source, case.sink, case.strategy):
        yield _blocker(f"invalid:{result.case_id}", "its ends or its strategy are not those of its id", _AGAIN)
    red = [c.name for c in result.checks if c.state != "passed"]
    reasons = [
        f"its state is {result.state}" if result.state != "passed" else "",
        "it says that it did not pass" if not result.passed else "",
        f"{', '.join(red)} did not pass" if red else "",
        "nothing was checked" if not result.checks else "",
        "rows differ" if result.expected_row_count != result.actual_row_count else "",
        "checksums differ" if result.expected_checksum != result.actual_checksum else "",
        "nothing was compared" if result.expected_checksum is None else "",
        f"{result.blockers[0].message}" if result.blockers else "",
    ]
    if any(reasons):
        why = "; ".join(filter(None, reasons))
        yield _blocker(f"case_not_passed:{result.case_id}", why, f"look at {result.artifact_path}; {result.repro}")


def _of_counts(report: CertificationReport) -> Iterator[Blocker]:
    executed = sum(result.is_executed for result in report.results)
    real = {
        "case_count": len(report.results),
        "executed_count": executed,
        "contract_count": len(report.results) - executed,
    }
    for name, found in real.items():
        if getattr(report, name) != found:
            yield _blocker(f"count_differs:{name}", f"{name} says {getattr(report, name)}, there are {found}", _AGAIN)


def _registry(digest: str, matrix: IntegrationMatrix) -> Iterator[Blocker]:
    if digest != matrix.digest:
        yield _blocker("registry_differs", f"it speaks of another matrix: {digest[:12]}", _AGAIN)


def missing_connectors(specified: Sequence[str], installed: Collection[str]) -> Iterator[Blocker]:
    """The specified connectors that are not installed: a smaller matrix would hide them."""
    for name in specified:
        if name not in installed:
            yield _blocker(
                f"connector_missing:{name}",
                f"the connector {name} is not installed",
                f"pip install dpone-connectors-{name}",
            )


def case_blocker(case_id: str, code: str, message: str, action: str) -> Blocker:
    return _blocker(f"{code}:{case_id}", message, action)


def _blocker(code: str, message: str, action: str) -> Blocker:
    return Blocker(code=f"{NAME}.{code}", message=message, action=action)


_AGAIN = "produce the report again with `dpone ops certification-run`; do not change it by hand"
_RUN = "dpone ops certification-run --case-id {}"
