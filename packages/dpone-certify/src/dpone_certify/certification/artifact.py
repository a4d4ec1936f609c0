"""The run artifact of a certification: dated Markdown that says when, where, how and what, and links the rest."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dpone_certify.benchmark.surroundings import environment
from dpone_certify.certification.document import CertificationReport

FOLDER = Path("test_artifacts/certification")


def write_artifact(
    report: CertificationReport, command: str, warnings: Sequence[str], linked: Sequence[Path], folder: Path = FOLDER
) -> Path:
    """The artifact is in the folder, beside those of earlier runs; links in it are relative to it."""
    slug = f"certification-{report.profile}-{report.created_at:%H%M%S}"
    path = folder / f"{report.created_at:%Y-%m-%d}_{slug}.md"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(_text(report, slug, command, warnings, linked, folder), encoding="utf-8")
    return path


def _text(
    report: CertificationReport,
    slug: str,
    command: str,
    warnings: Sequence[str],
    linked: Sequence[Path],
    folder: Path,
) -> str:
    machine, about = environment(), report.subject
    services = "; ".join(f"{name}: {what}" for name, what in sorted(about.services.items())) or "no service"
    rows = sum(result.actual_row_count or 0 for result in report.results)
    speed = rows / report.duration_seconds if report.duration_seconds else 0
    links = [f"- [{path.name}]({Path(os.path.relpath(path, folder)).as_posix()})" for path in linked]
    return "\n".join(
        [
            f"# {slug}, {report.created_at.isoformat()}",
            "",
            "## Runner and environment",
            "",
            (
                f"{machine['python']} on {machine['system']} ({machine['machine']}), {machine['processor']}, "
                f"{machine['cores']} cores, {machine['memory_gb']} GB, load average {machine['load_average']}; "
                f"{services}; commit {about.commit}{', with changes' if about.dirty else ''}."
            ),
            "",
            "## Command",
            "",
            f"    {command}",
            "",
            "## Coverage",
            "",
            (
                f"{report.case_count} cases, {report.executed_count} executed, {report.contract_count} computed; "
                f"sources {report.selection.source}, sinks {report.selection.sink}, strategies "
                f"{report.selection.strategy}, cases {report.selection.case_id}, part {report.selection.shard}."
            ),
            "",
            "## Result",
            "",
            f"- rows: {report.volume.row_count:,} in each source, {rows:,} compared at the end of the cases",
            f"- throughput: {speed:,.0f} compared rows/s over {report.duration_seconds:.1f} s",
            f"- warnings: {'; '.join(warnings) or 'none'}",
            f"- failures: {'; '.join(b.message for b in report.blockers) or 'none'}",
            "",
            "## Reports and logs",
            "",
            *links,
            "",
        ]
    )
