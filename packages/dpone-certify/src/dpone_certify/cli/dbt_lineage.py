"""`dpone ops dbt-lineage`: a dbt run as evidence, stitched to what dpone loaded before it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpone.cli.options import output_format
from dpone_certify.signing.option import signing_key_option

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner


@click.command("dbt-lineage")
@click.option("--manifest", type=click.Path(path_type=Path), help="dbt's target/manifest.json.")
@click.option("--run-results", type=click.Path(path_type=Path), help="dbt's target/run_results.json of `dbt build`.")
@click.option("--run-registry-entry", type=click.Path(path_type=Path), help="The dpone run that loaded dbt's sources.")
@click.option("--namespace", default="dbt", show_default=True, help="The namespace of dbt's jobs.")
@click.option(
    "--dataset-namespace",
    metavar="URI",
    help="Where dbt's relations are, as postgres://host:5432; that of dpone's target unless given.",
)
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the documents go.  [default: .dpone/dbt-lineage/<pipeline>, without a run the project]",
)
@signing_key_option
@output_format(markdown=True)
def dbt_lineage(
    *,
    manifest: Path | None,
    run_results: Path | None,
    run_registry_entry: Path | None,
    namespace: str,
    dataset_namespace: str | None,
    output_dir: Path | None,
    signer: CryptoSigner | None,
    output_format: str,
) -> None:
    """Judge a dbt run; exit 1 unless every node and test of the project ran and passed."""
    from dpone_certify.cli.answers import conclude, file_name
    from dpone_certify.dbt.document import EVENTS, folder_of, lineage_of, markdown_of
    from dpone_certify.documents.canonical import write
    from dpone_certify.documents.subject import subject
    from dpone_certify.signing.envelope import write_signed

    folder = output_dir or Path(".dpone/dbt-lineage") / file_name(folder_of(run_registry_entry, manifest))
    document, events = lineage_of(
        {"dbt_manifest": manifest, "dbt_run_results": run_results},
        run_registry_entry,
        folder,
        subject(),
        namespace=namespace,
        dataset_namespace=dataset_namespace,
    )
    path = folder / "dbt_lineage.json"
    markdown = markdown_of(document)
    written = write_signed(path, document.to_json(), signer)
    for name, text in {path.with_suffix(".md"): markdown, folder / EVENTS: events}.items():
        write(name, text)
        written.append(name)
    conclude(document, markdown, output_format, written)
