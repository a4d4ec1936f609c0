"""`dpone doctor`: what is right and wrong here, and what to do about it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from dpone.cli.options import output_format
from dpone.connector import Config, Connector
from dpone.doctor.diagnosis import Diagnosis, diagnosis
from dpone.doctor.profiles import GENERAL, examine, profiles
from dpone.errors import UsageError
from dpone.evidence.canonical import write
from dpone.manifest.connections import Connections

_MARKS = {"ok": ("ok     ", "green"), "warning": ("warning", "yellow"), "failed": ("FAILED ", "red")}


@click.command()
@click.option("--profile", default="local", show_default=True, help=f"{', '.join(GENERAL)}, or one as postgres_live.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Save the findings as a document, too.")
@output_format()
def doctor(*, profile: str, output: Path | None, output_format: str) -> None:
    """Examine this machine and the connections of a profile; exit 1 when something failed."""
    if profile not in GENERAL and profile not in profiles():
        raise UsageError(
            f"unknown profile {profile!r}",
            code="usage.unknown_profile",
            hint=f"known: {', '.join((*GENERAL, *profiles()))}",
        )
    connections = Connections(Path.cwd())

    def connect(connector: Connector[Any], name: str) -> Config:
        config: Config = connections.ref(name, connector).resolve()
        return config

    found = diagnosis(profile, examine(profile, connect))
    if output is not None:
        write(output, found.to_json())
    if output_format == "json":
        click.echo(found.to_json(), nl=False)
    else:
        _print(found)
    if not found.passed:
        sys.exit(1)


def _print(found: Diagnosis) -> None:
    width = max(len(f.name) for f in found.findings)
    for finding in found.findings:
        mark, color = _MARKS.get(finding.status, ("skipped", "cyan"))
        click.echo(f"{click.style(mark, fg=color)}  {finding.name:<{width}}  {finding.found}")
        if finding.action:
            click.echo(f"         {'':<{width}}  -> {finding.action}")
    failed = len(found.blockers)
    click.echo(f"{found.profile}: " + (f"{failed} failed" if failed else "nothing failed"))
