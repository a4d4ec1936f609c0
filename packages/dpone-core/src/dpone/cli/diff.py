"""`dpone diff`: are the rows of a target those of its source, and if not, which keys differ?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from dpone.cli.options import manifest_argument, output_format, select_option
from dpone.cli.replays import artifact_dir_option, show
from dpone.diff.comparing import LIMIT, Options
from dpone.diff.comparing import diff as compare
from dpone.diff.repairing import repair as carry_out
from dpone.errors import UsageError
from dpone.evidence.canonical import write


@click.command()
@manifest_argument
@select_option
@click.option("--key", multiple=True, metavar="COLUMN", help="What tells rows apart, if not the strategy's key.")
@click.option("--skip", multiple=True, metavar="COLUMN", help="A column that is not compared; may be repeated.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=LIMIT,
    show_default=True,
    help="End after so many differing keys; 0 finds all.",
)
@click.option("--repair", is_flag=True, help="Land the differing keys again, as `dpone resync` does; shown, not done.")
@click.option("--yes", is_flag=True, help="With --repair: really do it, and compare again.")
@artifact_dir_option
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the report to a file, too.")
@output_format()
def diff(
    *,
    manifest: Path,
    select: tuple[str, ...],
    repair: bool,
    yes: bool,
    artifact_dir: Path,
    output: Path | None,
    output_format: str,
    **search: Any,
) -> None:
    """Compare the source and the target of each stream of MANIFEST; exit 1 when rows differ.

    Nothing is written without --repair --yes; with it, the answer is that of the comparison after the repair.
    """
    if yes and not repair:
        raise UsageError("--yes goes with --repair", code="usage.nothing_to_confirm", hint="add --repair, or drop it")

    is_text = output_format == "text"
    options = Options(**search)
    report = compare(manifest, select=select, options=options)
    if repair and not report.passed:
        if is_text:
            click.echo(report.to_text())
        for evidence in carry_out(manifest, report, select=select, yes=yes, artifact_dir=artifact_dir):
            if is_text:
                show(evidence, artifact_dir, output_format)
        if yes:
            report = compare(manifest, select=select, options=options)
    if output is not None:
        write(output, report.to_json())
    if not is_text:
        click.echo(report.to_json(), nl=False)
    elif yes or not repair or report.passed:
        click.echo(report.to_text())
    if not report.passed:
        sys.exit(1)
