"""`dpone strategy certification-bundle`: the evidence of strategies in one document."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpone.cli.options import output_format
from dpone_certify.signing.option import signing_key_option

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

_FILE = click.Path(path_type=Path)


@click.command("certification-bundle")
@click.option("--bundle-id", default="local", show_default=True, help="What the bundle is known by.")
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("test_artifacts/strategies/certification_bundle"),
    show_default=True,
    help="Where strategy_certification_bundle.json and its Markdown go.",
)
@click.option("--replay-evidence", type=_FILE, multiple=True, help="Evidence of a resume or a resync; repeatable.")
@click.option("--matrix-artifact", type=_FILE, multiple=True, help="certification_report.json; repeatable.")
@click.option("--connector-artifact", type=_FILE, multiple=True, help="connector_certification.json; repeatable.")
@click.option("--benchmark-artifact", type=_FILE, multiple=True, help="benchmark_baseline.json; repeatable.")
@click.option("--docs-link", "docs_links", multiple=True, metavar="PATH", help="A page that explains it; repeatable.")
@signing_key_option
@output_format(markdown=True)
def certification_bundle(  # noqa: PLR0913 - one parameter for each kind of evidence
    *,
    bundle_id: str,
    output_dir: Path,
    replay_evidence: tuple[Path, ...],
    matrix_artifact: tuple[Path, ...],
    connector_artifact: tuple[Path, ...],
    benchmark_artifact: tuple[Path, ...],
    docs_links: tuple[str, ...],
    signer: CryptoSigner | None,
    output_format: str,
) -> None:
    """Bundle evidence that was produced before; exit 1 when a piece is missing or red, or there is none."""
    from dpone_certify.bundles.build import markdown_of_strategies, strategy_bundle
    from dpone_certify.cli.answers import conclude, write_document
    from dpone_certify.documents.subject import subject

    bundle = strategy_bundle(
        bundle_id,
        {
            "replay": replay_evidence,
            "matrix": matrix_artifact,
            "connector": connector_artifact,
            "benchmark": benchmark_artifact,
        },
        docs_links,
        output_dir,
        subject(),
    )
    markdown = markdown_of_strategies(bundle)
    written = write_document(output_dir / "strategy_certification_bundle.json", bundle, markdown, signer)
    conclude(bundle, markdown, output_format, written)
