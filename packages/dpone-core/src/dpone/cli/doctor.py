"""`dpone doctor`: what is right and wrong here, and what to do about it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from dpone.cli.options import emit_json, output_format
from dpone.connector import Config, Connector
from dpone.doctor import examine, profiles
from dpone.errors import UsageError
from dpone.integration_matrix import SPECIFIED
from dpone.manifest.connections import Connections

GENERAL = ("local", "mock_contract", "mock_local", "vendor_live")


@click.command()
@click.option("--profile", default="local", show_default=True, help=f"{', '.join(GENERAL)}, or one as postgres_live.")
@output_format()
def doctor(*, profile: str, output_format: str) -> None:
    """Examine this machine and the connections of a profile; exit 1 when something is wrong."""
    if profile not in GENERAL and profile not in profiles():
        names = ", ".join(each.name for each in SPECIFIED)
        raise UsageError(
            f"unknown profile {profile!r}",
            code="usage.unknown_profile",
            hint=f"known: {', '.join((*GENERAL, *profiles()))}; profiles come with their connectors ({names})",
        )
    connections = Connections(Path.cwd())

    def connect(connector: Connector[Any], name: str) -> Config:
        config: Config = connections.ref(name, connector).resolve()
        return config

    findings = examine(profile, connect)
    if output_format == "json":
        emit_json([{"name": f.name, "ok": f.ok, "found": f.found, "action": f.action} for f in findings])
    else:
        width = max(len(f.name) for f in findings)
        for finding in findings:
            mark = click.style("ok  ", fg="green") if finding.ok else click.style("FAIL", fg="red")
            click.echo(f"{mark}  {finding.name:<{width}}  {finding.found}")
            if not finding.ok and finding.action:
                click.echo(f"      {'':<{width}}  -> {finding.action}")
    if not all(finding.ok for finding in findings):
        sys.exit(1)
