"""The run artifact of a command: dated Markdown that says when, where, how and what, and links the rest."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from dpone_certify.benchmark.surroundings import environment
from dpone_certify.documents.document import Document

FOLDER = Path("test_artifacts")
CATEGORIES = {
    "benchmark-baseline": "benchmarks",
    "run-registry": "runs",
    "lineage-export": "lineage",
    "dbt-lineage": "lineage",
    "evidence-bundle": "ops",
    "certification-bundle": "strategies",
    "artifact-index": "evidence_chain",
    "evidence-chain": "evidence_chain",
    "evidence-chain-verify": "evidence_chain",
    "release-summary": "release",
}
OF_THEIR_OWN = {"certification-run", "benchmark-run"}  # they know their rows and their speed, and write one themselves


def record(document: Document, coverage: str, written: Sequence[Path]) -> Path | None:
    """The artifact of the command that made this document, beside those of earlier runs; None where it has its own."""
    name = document.producer.rpartition(" ")[2]
    if name in OF_THEIR_OWN:
        return None
    folder = FOLDER / CATEGORIES.get(name, "certification")
    slug = f"{name}-{document.created_at:%H%M%S}"
    path = folder / f"{document.created_at:%Y-%m-%d}_{slug}.md"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(_text(document, slug, coverage, written, folder), encoding="utf-8")
    return path


def _text(document: Document, slug: str, coverage: str, written: Sequence[Path], folder: Path) -> str:
    machine, about = environment(), document.subject
    links = [f"- [{path.name}]({Path(os.path.relpath(path, folder)).as_posix()})" for path in written]
    return "\n".join(
        [
            f"# {slug}, {document.created_at.isoformat()}",
            "",
            "## Runner and environment",
            "",
            (
                f"{machine['python']} on {machine['system']} ({machine['machine']}), {machine['processor']}, "
                f"{machine['cores']} cores, {machine['memory_gb']} GB, load average {machine['load_average']}; "
                f"commit {about.commit}{', with changes' if about.dirty else ''}."
            ),
            "",
            "## Command",
            "",
            f"    {_command(document)}",
            "",
            "## Coverage",
            "",
            coverage,
            "",
            "## Result",
            "",
            "- rows: none of its own, it judges what others moved",
            "- throughput: not measured",
            "- warnings: none",
            f"- failures: {'; '.join(f'{b.code}: {b.message}' for b in document.blockers) or 'none'}",
            "",
            "## Reports and logs",
            "",
            *(links or ["- none"]),
            "",
        ]
    )


def _command(document: Document) -> str:
    """As it was typed, where this process is the command; no option of a command takes a secret."""
    words = sys.argv[1:]
    return shlex.join(["dpone", *words]) if words[:1] in (["ops"], ["strategy"]) else document.producer
