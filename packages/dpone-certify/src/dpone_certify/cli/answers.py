"""How a command that writes a document answers: in the format that was asked for, with the exit code of the verdict."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpone.errors import UsageError
from dpone_certify.documents.artifact import record
from dpone_certify.documents.document import Document
from dpone_certify.evidence.kinds import KINDS

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

_MOST_OF_A_SUMMARY = 500_000  # GitHub refuses a step's summary beyond a MiB


def conclude(document: Document, markdown: str, output_format: str, written: Sequence[Path]) -> None:
    """The document is on stdout, where it was written on stderr; ends the process with 1 when it does not pass."""
    artifact = record(document, _coverage(document), written)
    written = [*written, *([artifact] if artifact is not None else [])]
    if written:
        click.echo(f"written: {', '.join(map(str, written))}", err=True)
    tell_github(markdown)
    match output_format:
        case "json":
            click.echo(document.to_json(), nl=False)
        case "md":
            click.echo(markdown, nl=False)
        case _:
            click.echo("passed" if document.passed else "not passed")
            for blocker in document.blockers:
                click.echo(f"  [{blocker.code}] {blocker.message}; {blocker.action}")
    if not document.passed:
        sys.exit(1)


def _coverage(document: Document) -> str:
    """What the document is about, in its own head line's words."""
    kind = KINDS.get(document.schema_version)
    said = kind.sums_up(document) if kind is not None else ""
    return f"{document.schema_version}: {said or 'see the document'}."


def tell_github(markdown: str) -> None:
    """The summary of the job has it, where this is a job of GitHub Actions."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary and len(markdown.encode()) <= _MOST_OF_A_SUMMARY:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(f"{markdown}\n")


def named_paths(values: Sequence[str]) -> dict[str, Path]:
    """What `--artifact name=path` says, by name."""
    found: dict[str, Path] = {}
    for value in values:
        name, equals, path = value.partition("=")
        if not (name and equals and path) or name in found:
            raise UsageError(
                f"not an artifact of its own: {value!r}",
                code="usage.invalid_artifact",
                hint="write --artifact name=path, each name once",
            )
        found[name] = Path(path)
    return found


def file_name(text: str) -> str:
    """A name that is a file's name everywhere."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", text).lstrip(".") or "_"


def write_document(path: Path, document: Document, markdown: str, signer: CryptoSigner | None = None) -> list[Path]:
    """The document and its Markdown are written; without a signer no older signature stays beside them."""
    from dpone_certify.documents.canonical import write
    from dpone_certify.signing.envelope import write_signed

    written = write_signed(path, document.to_json(), signer)
    write(path.with_suffix(".md"), markdown)
    return [*written, path.with_suffix(".md")]
