"""The run artifact of a benchmark: one Markdown file that says when, where, how and what, and links to the rest."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dpone_certify.benchmark.document import BenchmarkMetrics, blocker_of

FOLDER = Path("test_artifacts/benchmarks")


def write_artifact(
    metrics: BenchmarkMetrics, command: str, warnings: Sequence[str], linked: Sequence[Path], folder: Path = FOLDER
) -> Path:
    """The artifact is in the folder, beside those of earlier runs; links in it are relative to it."""
    created = metrics.created_at
    name = f"benchmark-{metrics.profile}"
    path = folder / f"{created:%Y-%m-%d}_{name}-{created:%H%M%S}.md"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(_text(metrics, name, command, warnings, linked, folder), encoding="utf-8")
    return path


def _text(
    metrics: BenchmarkMetrics,
    name: str,
    command: str,
    warnings: Sequence[str],
    linked: Sequence[Path],
    folder: Path,
) -> str:
    machine, engine = metrics.environment, metrics.engine
    copied = [c for c in metrics.comparisons if c.rows]
    rows = ", ".join(f"{c.rows:,}" for c in copied)
    links = [f"- [{path.name}]({Path(os.path.relpath(path, folder)).as_posix()})" for path in linked]
    return "\n".join(
        [
            f"# {name}, {metrics.created_at.isoformat()}",
            "",
            "## Runner and environment",
            "",
            (
                f"{machine['python']} on {machine['system']} ({machine['machine']}), {machine['processor']}, "
                f"{machine['cores']} cores, {machine['memory_gb']} GB, load average {machine['load_average']}; "
                f"{engine['product']} {engine['version']}, {engine['provider']}, fidelity {engine['fidelity']}; "
                f"commit {metrics.subject.commit}{', with changes' if metrics.subject.dirty else ''}."
            ),
            "",
            "## Command",
            "",
            f"    {command}",
            "",
            "## Coverage",
            "",
            (
                f"{', '.join(c.name for c in metrics.comparisons)}; {metrics.rounds} rounds of each copy. "
                f"Not measured: {', '.join(t.name for t in metrics.targets if t.met is None) or 'nothing'}."
            ),
            "",
            "## Result",
            "",
            f"- rows: {rows} in each turn",
            (
                f"- throughput: {metrics.throughput_rows_per_second:,.0f} rows/s at the largest size, "
                f"{metrics.ratio_to_control:.2f} × the wall time of the control"
            ),
            f"- warnings: {'; '.join(warnings) or 'none'}",
            f"- failures: {'; '.join(b.message for b in metrics.blockers) or 'none'}",
            f"- targets: {'; '.join(blocker_of(t).message for t in metrics.targets if t.met is False) or 'all met'}",
            "",
            "## Reports and logs",
            "",
            *links,
            "",
        ]
    )
