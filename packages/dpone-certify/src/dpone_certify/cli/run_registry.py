"""`dpone ops run-registry`: a run's record becomes evidence, under an id that means one run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpone.cli.options import output_format
from dpone_certify.signing.option import signing_key_option

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

INDEX = "run_registry_index.json"


@click.command("run-registry")
@click.option("--run-result", type=click.Path(path_type=Path), help="The record of a run: .dpone/runs/<run id>.json.")
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".dpone/run-registry"),
    show_default=True,
    help="Where the entry and the index go.",
)
@click.option(
    "--artifact", "artifacts", multiple=True, metavar="NAME=PATH", help="A file of this run; may be repeated."
)
@signing_key_option
@output_format(markdown=True)
def run_registry(
    *,
    run_result: Path | None,
    output_dir: Path,
    artifacts: tuple[str, ...],
    signer: CryptoSigner | None,
    output_format: str,
) -> None:
    """Register a run; exit 1 unless its record shows that it succeeded."""
    from dpone_certify.cli.answers import conclude, file_name, named_paths
    from dpone_certify.documents.canonical import write
    from dpone_certify.documents.index import enter
    from dpone_certify.documents.subject import subject
    from dpone_certify.registry.document import markdown_of, register
    from dpone_certify.registry.judge import FINAL
    from dpone_certify.signing.envelope import write_signed

    entry = register(run_result, named_paths(artifacts), output_dir, subject(), "dpone ops run-registry")
    path = output_dir / f"{file_name(entry.run_id)}__run_registry.json"
    written = [path.with_suffix(".md")]
    if entry.status in FINAL:  # nothing final can be said of another under its id
        enter(output_dir / INDEX, "run_registry", entry.run_id, entry, path)
        written.append(output_dir / INDEX)
    written += write_signed(path, entry.to_json(), signer)
    write(path.with_suffix(".md"), markdown_of(entry))
    conclude(entry, markdown_of(entry), output_format, written)
