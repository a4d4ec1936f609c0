"""`dpone diff`: are the rows of a target those of its source, and if not, which keys differ?"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dpone.cli.options import manifest_argument, output_format, select_option
from dpone.diff.comparing import LIMIT, Options
from dpone.diff.comparing import diff as compare
from dpone.evidence.canonical import write


@click.command()
@manifest_argument
@select_option
@click.option("--key", multiple=True, metavar="COLUMN", help="What tells rows apart, if not the strategy's key.")
@click.option("--skip", multiple=True, metavar="COLUMN", help="A column that is not compared; may be repeated.")
@click.option("--limit", default=LIMIT, show_default=True, help="End after so many differing keys; 0 finds all.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the report to a file, too.")
@output_format()
def diff(
    *,
    manifest: Path,
    select: tuple[str, ...],
    key: tuple[str, ...],
    skip: tuple[str, ...],
    limit: int,
    output: Path | None,
    output_format: str,
) -> None:
    """Compare the source and the target of each stream of MANIFEST; exit 1 when rows differ. Nothing is written."""
    report = compare(manifest, select=select, options=Options(key, skip, limit))
    if output is not None:
        write(output, report.to_json())
    click.echo(report.to_json() if output_format == "json" else report.to_text(), nl=output_format != "json")
    if not report.passed:
        sys.exit(1)
