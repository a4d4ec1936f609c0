"""`dpone ops release-summary`: one verdict over a release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpone.cli.options import output_format
from dpone_certify.signing.option import public_key_option, signing_key_option

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, SSlibKey

_FOLDER = click.Path(path_type=Path)


@click.command("release-summary")
@click.option("--release-id", required=True, help="The release; all evidence has to be of it.")
@click.option("--replay-chain-dir", type=_FOLDER, help="The chain of the replay evidence.")
@click.option("--matrix-suite", type=_FOLDER, help="certification_suite.json of the matrix.")
@click.option("--matrix-chain-dir", type=_FOLDER, help="The chain of the matrix.")
@click.option("--connector-suite", type=_FOLDER, help="certification_suite.json of the connectors.")
@click.option("--connector-chain-dir", type=_FOLDER, help="The chain of the connectors.")
@public_key_option
@click.option("--allow-unsigned", is_flag=True, help="Judge without a key; the first line says so.")
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("test_artifacts/release"),
    show_default=True,
    help="Where release_summary.json, its Markdown and its HTML go.",
)
@signing_key_option
@output_format(markdown=True)
def release_summary(  # noqa: PLR0913 - one parameter for each of the five, and how to judge them
    *,
    release_id: str,
    replay_chain_dir: Path | None,
    matrix_suite: Path | None,
    matrix_chain_dir: Path | None,
    connector_suite: Path | None,
    connector_chain_dir: Path | None,
    public_key: SSlibKey | None,
    allow_unsigned: bool,
    output_dir: Path,
    signer: CryptoSigner | None,
    output_format: str,
) -> None:
    """Verify the chains and recompute the suites of a release; exit 1 unless all of them hold."""
    from dpone_certify.cli.answers import conclude
    from dpone_certify.documents.canonical import canonical, sha256, write
    from dpone_certify.documents.sarif import sarif_of
    from dpone_certify.documents.subject import subject
    from dpone_certify.html.summary import html_of
    from dpone_certify.release.build import gather_release, summary_of_release
    from dpone_certify.release.document import markdown_of, verification_summary
    from dpone_certify.signing.envelope import write_signed

    release = gather_release(
        release_id,
        {
            "replay_evidence_chain": replay_chain_dir,
            "matrix_certification_suite": matrix_suite,
            "matrix_evidence_chain": matrix_chain_dir,
            "connector_certification_suite": connector_suite,
            "connector_evidence_chain": connector_chain_dir,
        },
        public_key,
    )
    summary = summary_of_release(release, output_dir, subject(), public_key, allow_unsigned=allow_unsigned)
    path = output_dir / "release_summary.json"
    text, markdown = summary.to_json(), markdown_of(summary)
    written = write_signed(path, text, signer)
    statement = canonical(verification_summary(summary, sha256(text)))
    scanned = canonical(sarif_of(summary, path))
    texts = {".sarif": scanned, ".md": markdown, ".html": html_of(summary, release), ".vsa.json": statement}
    for suffix, content in texts.items():
        beside = path.with_suffix(suffix)
        write(beside, content)
        written.append(beside)
    if output_format == "text":
        click.echo(summary.trust)
    conclude(summary, markdown, output_format, written)
