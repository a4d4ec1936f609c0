"""`dpone sweep`: what runs that died left in a sink is removed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from dpone import api
from dpone.cli.options import emit_json, manifest_argument, output_format, select_option
from dpone.errors import UsageError
from dpone.manifest.scalars import duration_of


def _duration(_context: click.Context, _option: click.Parameter, value: str) -> timedelta:
    try:
        return duration_of(value)
    except ValueError as error:
        raise UsageError(f"--older-than: {error}", code="usage.invalid_duration", hint="write 30m, 12h or 7d") from None


@click.command()
@manifest_argument
@select_option
@click.option(
    "--older-than",
    metavar="DURATION",
    default="1d",
    show_default=True,
    callback=_duration,
    help="Leave what was begun later: a stopped run can be resumed from its sealed stage.",
)
@output_format()
def sweep(*, manifest: Path, select: tuple[str, ...], older_than: timedelta, output_format: str) -> None:
    """Remove orphaned stages from the sinks of MANIFEST: those that their own ledgers name, of no run that is alive."""
    removed = api.sweep(manifest, select=select, older_than=older_than)
    if output_format == "json":
        emit_json({connection: list(names) for connection, names in removed.items()})
        return
    for connection, names in removed.items():
        for name in names:
            click.echo(f"{connection}: removed {name}")
        if not names:
            click.echo(f"{connection}: nothing to remove")
