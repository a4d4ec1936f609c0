"""`dpone ops connector-badges`: what was proven of each pair, as badges."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpone.cli.options import output_format
from dpone_certify.signing.option import public_key_option

if TYPE_CHECKING:
    from securesystemslib.signer import SSlibKey


@click.command("connector-badges")
@click.option("--certification-report", type=click.Path(path_type=Path), help="certification_report.json.")
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("test_artifacts/badges"),
    show_default=True,
    help="Where one shields.io endpoint document for each pair goes.",
)
@public_key_option
@output_format()
def connector_badges(
    *, certification_report: Path | None, output_dir: Path, public_key: SSlibKey | None, output_format: str
) -> None:
    """Write badges that name what was proven; exit 1 when the report does not hold, and its badges are red."""
    from dpone.cli.options import emit_json
    from dpone_certify.badges.shields import badges
    from dpone_certify.certification.document import CertificationReport
    from dpone_certify.documents.canonical import canonical, write
    from dpone_certify.documents.document import now
    from dpone_certify.documents.reading import missing
    from dpone_certify.evidence.gathering import gather
    from dpone_certify.evidence.judging import Policy, flaws_of
    from dpone_certify.evidence.tree import blockers_of

    name = "certification_report"
    evidence = gather(name, certification_report, public_key, expected=frozenset({"dpone.certification_report.v1"}))
    policy = Policy(now(), is_keyed=public_key is not None)
    flaws = flaws_of(evidence, policy) if certification_report is not None else ()
    blockers = blockers_of(name, flaws) if certification_report is not None else (missing(name, None),)
    report = evidence.document
    made = badges(report, holds=not blockers) if isinstance(report, CertificationReport) else {}
    for file, badge in made.items():
        write(output_dir / file, canonical(badge))
    if output_format == "json":
        emit_json({"badges": made, "blockers": [b.model_dump() for b in blockers], "passed": not blockers})
    else:
        for badge in made.values():
            click.echo(f"{badge['label']}: {badge['message']}")
        for blocker in blockers:
            click.echo(f"  [{blocker.code}] {blocker.message}; {blocker.action}")
    if blockers:
        sys.exit(1)
