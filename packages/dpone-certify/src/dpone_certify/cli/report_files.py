"""The files that a certification report is written as."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dpone_certify.certification.report import junit_of, markdown_of
from dpone_certify.documents.canonical import write
from dpone_certify.html.report import differing_of, html_of
from dpone_certify.signing.envelope import write_signed

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

    from dpone_certify.certification.document import CertificationReport

JSON = "certification_report.json"


def write_report(report: CertificationReport, folder: Path, signer: CryptoSigner | None) -> list[Path]:
    """The report as JSON, signed if there is a signer, as Markdown, as HTML and as JUnit."""
    path = folder / JSON
    beside = {
        path.with_suffix(".md"): markdown_of(report),
        path.with_suffix(".html"): html_of(report, differing_of(report, folder)),
        folder / "junit.xml": junit_of(report),
    }
    written = write_signed(path, report.to_json(), signer)
    for name, text in beside.items():
        write(name, text)
    return [*written, *beside]
