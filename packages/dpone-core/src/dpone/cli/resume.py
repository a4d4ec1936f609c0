"""`dpone resume`: a run that stopped goes on."""

from __future__ import annotations

from pathlib import Path

import click

from dpone import api
from dpone.cli.options import output_format, select_option
from dpone.cli.replays import artifact_dir_option, show
from dpone.errors import UsageError


@click.command()
@click.argument("run_id", required=False)
@click.option("--run-id", "option", metavar="ID", help="The run, if not given as an argument.")
@click.option(
    "--manifest",
    type=click.Path(path_type=Path),
    help="Its manifest, where it is no longer at the place of the record.",
)
@select_option
@artifact_dir_option
@click.option("--yes", is_flag=True, help="Really do it.")
@output_format()
def resume(
    *,
    run_id: str | None,
    option: str | None,
    manifest: Path | None,
    select: tuple[str, ...],
    artifact_dir: Path,
    yes: bool,
    output_format: str,
) -> None:
    """Go on with run RUN_ID from its sealed stage or at its next chunk. Without --yes, show what that would do."""
    named = {name for name in (run_id, option) if name is not None}
    if len(named) != 1:
        raise UsageError(
            "a resume is of one run", code="replay.no_run", hint="name it; `dpone runs list` shows those that there are"
        )
    evidence = api.resume(named.pop(), manifest=manifest, select=select, yes=yes, artifact_dir=artifact_dir)
    show(evidence, artifact_dir, output_format)
