"""`dpone ops certification-history`: a certification beside the one before it."""

from __future__ import annotations

from pathlib import Path

import click

from dpone.cli.options import output_format

INDEX = "certification_history_index.json"


@click.command("certification-history")
@click.option("--release-id", default="local", show_default=True, help="What this certification is known by.")
@click.option("--current-report", type=click.Path(path_type=Path), help="certification_report.json of now.")
@click.option(
    "--history-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("test_artifacts/certification/history"),
    show_default=True,
    help="Where earlier certifications are remembered, and this one will be.",
)
@output_format(markdown=True)
def certification_history(
    *, release_id: str, current_report: Path | None, history_dir: Path, output_format: str
) -> None:
    """Remember a certification; exit 1 when a case broke, went away, or is proven by less than before."""
    from dpone_certify.certification.document import CertificationReport
    from dpone_certify.cli.answers import conclude, file_name
    from dpone_certify.documents.canonical import write
    from dpone_certify.documents.index import enter, latest
    from dpone_certify.documents.reading import read_document
    from dpone_certify.documents.subject import subject
    from dpone_certify.history.document import NAME, CertificationHistory, compare, markdown_of

    read = read_document("certification_report", current_report, CertificationReport)
    last = latest(history_dir / INDEX, NAME, release_id)
    before = read_document(NAME, history_dir / last, CertificationHistory) if last is not None else None
    history = compare(
        release_id,
        read.found,
        current_report,
        read.sha256,
        before.found if before is not None else None,
        history_dir,
        subject(),
        (*read.blockers, *(before.blockers if before is not None else ())),
    )
    markdown = markdown_of(history)
    path = history_dir / f"{file_name(release_id)}__certification_history.json"
    written = []
    if read.found is not None:  # what could not be read is not remembered
        enter(history_dir / INDEX, NAME, release_id, history, path)
        write(path.with_suffix(".md"), markdown)
        written = [path, path.with_suffix(".md"), history_dir / INDEX]
    conclude(history, markdown, output_format, written)
