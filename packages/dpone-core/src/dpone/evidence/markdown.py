"""Pieces of Markdown that every document is rendered with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dpone.evidence.document import Document


def head(title: str, document: Document) -> list[str]:
    """The title with the verdict, who said so and when, and every blocker with what to do."""
    lines = [
        f"# {escaped(title)}: {'passed' if document.passed else 'not passed'}",
        "",
        f"{document.created_at.isoformat()}, {escaped(document.producer)}, `{document.schema_version}`.",
        "",
    ]
    if document.blockers:
        lines += table(
            ("blocker", "what was found", "what to do"), ((b.code, b.message, b.action) for b in document.blockers)
        )
    return lines


def table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A table; what a cell holds cannot end it."""
    lines = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    lines += [f"| {' | '.join(escaped(str(cell)) for cell in row)} |" for row in rows]
    return [*lines, ""]


def escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    plain = " ".join(text.split())
    for sign in ("\\", "|", "<", "`", "[", "*"):
        plain = plain.replace(sign, f"\\{sign}" if sign != "<" else "&lt;")
    return plain
