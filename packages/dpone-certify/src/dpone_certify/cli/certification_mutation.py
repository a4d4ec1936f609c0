"""`dpone ops certification-mutation`: bugs are planted in runs of a real engine, and each must be noticed."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpone.cli.options import output_format
from dpone_certify.certification.volume import SEED
from dpone_certify.signing.option import signing_key_option

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner


@click.command("certification-mutation")
@click.option(
    "--artifact-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("test_artifacts/certification/mutation"),
    show_default=True,
    help="Where certification_mutation.json and its Markdown go.",
)
@click.option("--source", default="postgres", show_default=True, metavar="NAME", help="The source of the runs.")
@click.option("--sink", default="postgres", show_default=True, metavar="NAME", help="The sink of the runs.")
@click.option(
    "--services",
    type=click.Choice(("auto", "docker", "embedded", "emulated")),
    default="auto",
    show_default=True,
    help="How services are had; auto takes the best that there is for each.",
)
@click.option("--seed", type=int, default=SEED, show_default=True, help="Which values the rows hold.")
@signing_key_option
@output_format(markdown=True)
def certification_mutation(
    *,
    artifact_dir: Path,
    source: str,
    sink: str,
    services: str,
    seed: int,
    signer: CryptoSigner | None,
    output_format: str,
) -> None:
    """Plant bugs; exit 1 unless every one that changes something turned its case red."""
    from dpone.errors import UsageError
    from dpone_certify.certification import serving
    from dpone_certify.cli.answers import conclude, write_document
    from dpone_certify.mutation.document import Mutant
    from dpone_certify.mutation.run import carry_out, markdown_of

    def say(mutant: Mutant) -> None:
        click.echo(f"{mutant.state:<10} {mutant.name} under {mutant.strategy}: {mutant.noticed_by}", err=True)

    points = serving.testkits()
    kits = {name: serving.load(points[name]) if name in points else None for name in {source, sink}}
    with ExitStack() as stack:
        served = serving.start(kits, "mock_local", services, stack, lambda line: click.echo(line, err=True))
        if missing := sorted({source, sink} - served.keys()):
            raise UsageError(
                f"no service for {', '.join(missing)} on this machine",
                code="certification.no_service",
                hint=f"pip install 'dpone-connectors-{missing[0]}[local]'",
            )
        runs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dpone-mutation-")))
        found = carry_out(served[source], served[sink], seed, runs, say)
    markdown = markdown_of(found)
    written = write_document(artifact_dir / "certification_mutation.json", found, markdown, signer)
    conclude(found, markdown, output_format, written)
