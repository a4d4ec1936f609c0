"""`dpone ops artifact-index`: every file of a release, by hash."""

from __future__ import annotations

from pathlib import Path

import click

from dpone.cli.options import output_format


@click.command("artifact-index")
@click.option("--root", "roots", multiple=True, type=click.Path(path_type=Path), help="A folder; may be repeated.")
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("test_artifacts/evidence_chain"),
    show_default=True,
    help="Where artifact_index.json and its Markdown go.",
)
@click.option("--release-id", default="local", show_default=True, help="The release that the files are of.")
@output_format(markdown=True)
def artifact_index(*, roots: tuple[Path, ...], output_dir: Path, release_id: str, output_format: str) -> None:
    """Hash every file below the folders; exit 1 when one is missing, empty, or holds a link or a private key."""
    from dpone_certify.chain.index import INDEX, index_of, markdown_of
    from dpone_certify.cli.answers import conclude, write_document
    from dpone_certify.documents.subject import subject

    index = index_of(release_id, roots, output_dir, subject())
    markdown = markdown_of(index)
    conclude(index, markdown, output_format, write_document(output_dir / INDEX, index, markdown))
