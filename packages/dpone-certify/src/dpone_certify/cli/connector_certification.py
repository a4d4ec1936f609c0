"""`dpone ops connector-certification`: the conformance suite of each connector, as evidence."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, get_args

import click

from dpone.cli.options import output_format
from dpone_certify.signing.option import signing_key_option

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner


@click.command("connector-certification")
@click.option(
    "--artifact-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("test_artifacts/connectors"),
    show_default=True,
    help="Where connector_certification.json and its Markdown go.",
)
@click.option("--connector", "chosen", multiple=True, metavar="NAME", help="Only this connector; may be repeated.")
@click.option(
    "--services",
    type=click.Choice(("auto", "docker", "embedded", "emulated")),
    default="auto",
    show_default=True,
    help="How services are had; auto takes the best that there is for each.",
)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes of each suite.")
@signing_key_option
@output_format(markdown=True)
def connector_certification(
    *,
    artifact_dir: Path,
    chosen: tuple[str, ...],
    services: str,
    workers: int,
    signer: CryptoSigner | None,
    output_format: str,
) -> None:
    """Run the conformance suite of each connector; exit 1 unless every one passes it."""
    from dpone.errors import UsageError
    from dpone_certify.certification import serving
    from dpone_certify.cli.answers import conclude
    from dpone_certify.conformance.document import TestState
    from dpone_certify.conformance.judge import EXPECTED
    from dpone_certify.conformance.report import certification_of, markdown_of
    from dpone_certify.conformance.run import certified, refuse_without_pytest
    from dpone_certify.documents.canonical import write
    from dpone_certify.signing.envelope import write_signed

    refuse_without_pytest(workers)
    points = serving.testkits()
    if unknown := [name for name in chosen if name not in points]:
        raise UsageError(
            f"no testkit is registered for {', '.join(unknown)}",
            code="certification.unknown_testkit",
            hint=f"registered: {', '.join(sorted(points)) or 'none'}",
        )
    names = chosen or EXPECTED
    begun = monotonic()
    results = []
    for name in names:
        kit = serving.load(points[name]) if name in points else None
        result = certified(name, kit, services, workers=workers) if kit is not None else None
        if result is None:
            click.echo(f"{name}: no service here", err=True)
            continue
        ended = Counter(test.state for test in result.tests)
        click.echo(f"{name}: {', '.join(f'{ended[s]} {s}' for s in get_args(TestState) if ended[s])}", err=True)
        results.append(result)
    found = certification_of(results, names, monotonic() - begun)
    path = artifact_dir / "connector_certification.json"
    markdown = markdown_of(found)
    written = write_signed(path, found.to_json(), signer)
    write(path.with_suffix(".md"), markdown)
    conclude(found, markdown, output_format, [*written, path.with_suffix(".md")])
