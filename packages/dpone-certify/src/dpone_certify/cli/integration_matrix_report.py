"""`dpone ops integration-matrix-report`: the parts of a matrix run as one report."""

from __future__ import annotations

from pathlib import Path

import click

from dpone.cli.options import output_format

_FOLDER = Path("test_artifacts/integration_matrix")


@click.command("integration-matrix-report")
@click.option(
    "--artifact-dir",
    "folders",
    type=click.Path(path_type=Path),
    multiple=True,
    default=(_FOLDER,),
    show_default=True,
    help="A folder with the artifacts of cases; may be repeated.",
)
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=_FOLDER,
    show_default=True,
    help="Where the report goes.",
)
@output_format(markdown=True)
def integration_matrix_report(*, folders: tuple[Path, ...], output_dir: Path, output_format: str) -> None:
    """Merge the parts of a matrix run; exit 1 unless every case of the matrix is there once and passed."""
    from dpone_certify.certification.merging import merged
    from dpone_certify.certification.report import markdown_of
    from dpone_certify.cli.answers import conclude
    from dpone_certify.cli.report_files import write_report

    report = merged(folders, output_dir)
    written = write_report(report, output_dir, None)
    conclude(report, markdown_of(report), output_format, written)
