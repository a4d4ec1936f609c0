"""`certification_report.html`: the matrix for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from dpone_certify.certification.document import FIDELITIES, BehaviorArtifact, CertificationReport, Difference
from dpone_certify.documents.reading import read_document
from dpone_certify.html.matrix import heat_map
from dpone_certify.html.page import page


def html_of(report: CertificationReport, differing: Mapping[str, Sequence[Difference]] | None = None) -> str:
    """The report as one file; `differing` are the rows that differ, by case id."""
    grades = Counter(result.lower_fidelity for result in report.results if result.passed)
    map_ = heat_map(report, differing or {})
    data = map_.pop("data")
    return page(
        "Certification report",
        passed=report.passed,
        data=data,
        subtitle=(
            f"{report.profile}, {report.created_at:%Y-%m-%d %H:%M} UTC, {report.producer}; "
            f"{report.volume.row_count:,} rows a case, seed {report.volume.seed}, {report.duration_seconds:.1f} s."
        ),
        figures=[
            (f"{sum(r.passed for r in report.results)} of {len(report.results)}", "cases passed"),
            (report.executed_count, "executed"),
            (report.contract_count, "by contract alone"),
            *((grades[name], f"passed on {name} ends") for name in FIDELITIES if grades[name]),
        ],
        blockers=report.blockers,
        **map_,
    )


def differing_of(report: CertificationReport, folder: Path) -> dict[str, tuple[Difference, ...]]:
    """The rows that differ in each case that did not pass, from the artifacts beside the report."""
    found: dict[str, tuple[Difference, ...]] = {}
    for result in report.results:
        if not result.passed and result.artifact_path is not None:
            read = read_document("artifact", folder / result.artifact_path, BehaviorArtifact)
            found[result.case_id] = read.found.differing if read.found is not None else ()
    return found
