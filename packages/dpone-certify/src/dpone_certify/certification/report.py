"""A certification report for people and for machines that collect tests: Markdown and JUnit."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from collections.abc import Sequence

from dpone.strategies import STRATEGIES
from dpone_certify.certification.document import CertificationReport, Result
from dpone_certify.documents.markdown import head, table

_SIGNS = {"passed": "✓", "failed": "✗", "error": "!", "skipped": "–", "not_run": "–", "unknown": "?", "stale": "~"}


def markdown_of(report: CertificationReport) -> str:
    """The verdict, how much of it was executed, the matrix, and every case that did not pass."""
    states = Counter(result.state for result in report.results)
    lines = head(f"Certification, {report.profile}", report)
    lines += [
        (
            f"**{report.executed_count} cases executed on services, {report.contract_count} computed (contract)**; "
            f"{', '.join(f'{many} {state}' for state, many in sorted(states.items())) or 'no case'}; "
            f"{report.duration_seconds:.1f} s."
        ),
        "",
        (
            f"{report.volume.row_count:,} rows, of which {report.volume.deleted:,} are deleted, "
            f"{report.volume.updated:,} updated, {report.volume.inserted:,} inserted; "
            f"{report.volume.wide_columns} wide columns; "
            f"seed {report.volume.seed}; part {report.selection.shard} of the matrix {report.registry_digest[:12]}."
        ),
        "",
        *_services(report),
        *_matrix(report.results),
    ]
    red = [r for r in report.results if not r.passed]
    if red:
        lines += ["## Not passed", ""]
        lines += table(("case", "state", "why", "again"), ((r.case_id, r.state, _why(r), r.repro) for r in red))
    computed = [r.case_id for r in report.results if not r.is_executed]
    if computed and report.executed_count:
        lines += ["## Computed only", "", ", ".join(f"`{case}`" for case in computed) + ".", ""]
    return "\n".join(lines).rstrip() + "\n"


def _services(report: CertificationReport) -> list[str]:
    if not report.subject.services:
        return []
    return [f"- {name}: {what}" for name, what in sorted(report.subject.services.items())] + [""]


def _matrix(results: Sequence[Result]) -> list[str]:
    """One row per pair, one column per strategy: the state and the fidelity."""
    found: dict[tuple[str, str], dict[str, Result]] = defaultdict(dict)
    for result in results:
        found[result.source, result.sink][result.strategy] = result
    names = [name for name in STRATEGIES if any(name in row for row in found.values())]
    rows = ((f"{source} → {sink}", *(_cell(row.get(name)) for name in names)) for (source, sink), row in found.items())
    return ["## Cases", "", *table(("pair", *names), rows)]


def _cell(result: Result | None) -> str:
    return "" if result is None else f"{_SIGNS[result.state]} {result.lower_fidelity}"


def _why(result: Result) -> str:
    return result.blockers[0].message if result.blockers else result.reason


def junit_of(report: CertificationReport) -> str:
    """One test case for each case of the matrix."""
    red = [r for r in report.results if r.state == "failed"]
    broken = [r for r in report.results if r.state not in {"passed", "failed", "skipped"}]
    suite = ET.Element(
        "testsuite",
        name=f"dpone certification {report.profile}",
        tests=str(len(report.results)),
        failures=str(len(red)),
        errors=str(len(broken)),
        skipped=str(sum(r.state == "skipped" for r in report.results)),
        time=f"{report.duration_seconds:.3f}",
        timestamp=report.created_at.isoformat(),
    )
    for result in report.results:
        case = ET.SubElement(
            suite,
            "testcase",
            classname=f"{result.source}_to_{result.sink}",
            name=result.strategy,
            time=f"{result.duration_seconds:.3f}",
        )
        if not result.passed:
            kind = {"failed": "failure", "skipped": "skipped"}.get(result.state, "error")
            ET.SubElement(case, kind, message=_printable(_why(result))).text = result.repro
    tree = ET.Element("testsuites")
    tree.append(suite)
    ET.indent(tree)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(tree, encoding="unicode") + "\n"


def _printable(text: str) -> str:
    """Text without what XML cannot hold."""
    return "".join(c for c in text if c.isprintable() or c in "\n\t")
