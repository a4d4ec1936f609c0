"""`dpone ops evidence-bundle`: the files of a release or a go-live in one document."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpone.cli.options import output_format
from dpone_certify.signing.option import signing_key_option

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner


@click.command("evidence-bundle")
@click.option("--run-id", default="local", show_default=True, help="The run or the release that the files are of.")
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("test_artifacts/ops/evidence"),
    show_default=True,
    help="Where ops_evidence_bundle.json and its Markdown go.",
)
@click.option("--artifact", "artifacts", multiple=True, metavar="NAME=PATH", help="A file; may be repeated.")
@click.option("--require", "required", multiple=True, metavar="NAME", help="Red without this artifact; repeatable.")
@signing_key_option
@output_format(markdown=True)
def evidence_bundle(
    *,
    run_id: str,
    output_dir: Path,
    artifacts: tuple[str, ...],
    required: tuple[str, ...],
    signer: CryptoSigner | None,
    output_format: str,
) -> None:
    """Hash files and judge those that are documents of dpone; exit 1 when one is missing or red, or there is none."""
    from dpone_certify.bundles.build import evidence_bundle as bundle_of
    from dpone_certify.bundles.build import markdown_of_evidence
    from dpone_certify.cli.answers import conclude, named_paths, write_document
    from dpone_certify.documents.subject import subject

    bundle = bundle_of(run_id, named_paths(artifacts), required, output_dir, subject())
    markdown = markdown_of_evidence(bundle)
    written = write_document(output_dir / "ops_evidence_bundle.json", bundle, markdown, signer)
    conclude(bundle, markdown, output_format, written)
