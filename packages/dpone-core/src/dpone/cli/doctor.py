"""`dpone doctor`: what is right and wrong here, and what to do about it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from dpone import registry
from dpone.cli.options import output_format
from dpone.connector import Config, Connector, Finding
from dpone.doctor.diagnosis import Diagnosis, diagnosis
from dpone.doctor.profiles import GENERAL, examine, profiles, used
from dpone.errors import UsageError
from dpone.evidence.canonical import write
from dpone.manifest import load
from dpone.manifest.connections import Connections

_MARKS = {"ok": ("ok     ", "green"), "warning": ("warning", "yellow"), "failed": ("FAILED ", "red")}


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path), required=False)
@click.option("--profile", help=f"{', '.join(GENERAL)}, or one as postgres_live; by default local.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Save the findings as a document, too.")
@output_format()
def doctor(*, manifest: Path | None, profile: str | None, output: Path | None, output_format: str) -> None:
    """Examine this machine, and the connections of MANIFEST or of a profile; exit 1 when something failed."""
    if manifest is None:
        name = profile or "local"
        findings = _of_profile(name)
    elif profile is None:
        name = manifest.name
        findings = used(load(manifest, registry.load))
    else:
        raise UsageError(
            "a manifest and a profile are examined one at a time",
            code="usage.two_subjects",
            hint=f"`dpone doctor {manifest}`, or `dpone doctor --profile {profile}`",
        )
    found = diagnosis(name, findings)
    if output is not None:
        write(output, found.to_json())
    if output_format == "json":
        click.echo(found.to_json(), nl=False)
    else:
        _print(found)
    if not found.passed:
        sys.exit(1)


def _of_profile(profile: str) -> Sequence[Finding]:
    if profile not in GENERAL and profile not in profiles():
        raise UsageError(
            f"unknown profile {profile!r}",
            code="usage.unknown_profile",
            hint=f"known: {', '.join((*GENERAL, *profiles()))}; `dpone doctor MANIFEST` examines your own connections",
        )
    connections = Connections(Path.cwd())

    def connect(connector: Connector[Any], name: str) -> Config:
        config: Config = connections.ref(name, connector).resolve()
        return config

    return examine(profile, connect)


def _print(found: Diagnosis) -> None:
    width = max(len(f.name) for f in found.findings)
    for finding in found.findings:
        mark, color = _MARKS.get(finding.status, ("skipped", "cyan"))
        click.echo(f"{click.style(mark, fg=color)}  {finding.name:<{width}}  {finding.found}")
        if finding.action:
            click.echo(f"         {'':<{width}}  -> {finding.action}")
    failed = len(found.blockers)
    click.echo(f"{found.profile}: " + (f"{failed} failed" if failed else "nothing failed"))
