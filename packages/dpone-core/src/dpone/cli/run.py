"""`dpone run`: rows move; bars at a terminal, log lines elsewhere, a report in the end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from dpone import api, events
from dpone.cli import plan as plan_command
from dpone.cli.options import at_terminal, emit_json, manifest_argument, output_format, select_option
from dpone.cli.root import show_error
from dpone.errors import DponeError
from dpone.manifest.models import Manifest
from dpone.observe.logs import LogLines
from dpone.observe.record import RunReport, plain_report
from dpone.shards import WHOLE, Shard, shard_of


@click.command()
@manifest_argument
@select_option
@click.option("--run-id", metavar="ID", help="The id of this run; refused when it was used before.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, as `dpone plan` does.")
@click.option(
    "--shard", metavar="N/M", default="1/1", show_default=True, help="The N-th of M parts of the streams, by name."
)
@click.option(
    "--executor",
    metavar="NAME",
    default="threads",
    show_default=True,
    help="Who reads and stages: threads of this process, or dask://HOST:PORT.",
)
@click.option("--quiet", is_flag=True, help="No progress and no log lines.")
@output_format(markdown=True)
def run(
    *,
    manifest: Path,
    select: tuple[str, ...],
    run_id: str | None,
    dry_run: bool,
    shard: str,
    executor: str,
    quiet: bool,
    output_format: str,
) -> None:
    """Run MANIFEST: every stream, or those that --select names. Records are kept under .dpone/runs."""
    if dry_run:
        plan_command.show(api.preview(manifest, select=select), "json" if output_format == "json" else "text")
        return
    part = shard_of(shard)
    carry_out(manifest, select, run_id, quiet=quiet, output_format=output_format, shard=part, executor=executor)


class Failures:
    """The error of each stream that failed, by its name."""

    def __init__(self) -> None:
        self.errors: dict[str, DponeError] = {}

    def __call__(self, stream: str, event: events.Event) -> None:
        if isinstance(event, events.RunFinished) and event.cause is not None:
            self.errors[stream] = event.cause


def carry_out(
    manifest: Path | Manifest,
    select: Sequence[str],
    run_id: str | None,
    *,
    quiet: bool,
    output_format: str,
    shard: Shard = WHOLE,
    executor: str = "threads",
) -> None:
    """The run, as a person or a machine wants to see it; ends the process with 1 when it failed.

    A single stream's error is raised as it is, so that its exit code is the command's.
    """
    failures = Failures()
    with ExitStack() as stack:
        observers: list[events.Observer] = [failures]
        if not quiet:
            observers.append(_watcher(stack))
        report = api.run(manifest, select=select, run_id=run_id, observers=observers, shard=shard, executor=executor)
    _print(report, output_format)
    if len(report.streams) == 1 and failures.errors:
        raise next(iter(failures.errors.values()))
    for stream, error in failures.errors.items():
        show_error(error, stream)
    if not report.succeeded:
        sys.exit(1)


def _watcher(stack: ExitStack) -> events.Observer:
    if not at_terminal():
        return LogLines(sys.stderr)
    from rich.console import Console  # drawn for people only

    from dpone.observe.progress import ProgressBars

    return stack.enter_context(ProgressBars(Console(stderr=True)))


def _print(report: RunReport, output_format: str) -> None:
    if output_format == "json":
        emit_json(plain_report(report))
    elif output_format == "md":
        click.echo(report.to_markdown(), nl=False)
    else:
        for stream in report.streams:
            if stream.continued is not None:
                click.echo(
                    f"{stream.name}: goes on after {stream.continued['parts']} pages or parts that were read "
                    f"from {stream.continued['begun']} on by a run that was cut off"
                )
            if stream.status == "failed":
                why = stream.error_code or "internal error"
                click.echo(f"{stream.name}: failed [{why}]; read {stream.rows_staged:,}")
                continue
            if stream.nothing_new:
                click.echo(f"{stream.name}: {stream.status}; nothing new")
                continue
            click.echo(
                f"{stream.name}: {stream.status}; read {stream.rows_staged:,}, inserted {stream.inserted:,}, "
                f"updated {stream.updated:,}, deleted {stream.deleted:,}; {stream.rows_after:,} rows in the target"
            )
        click.echo(f"run {report.run_id}: {report.status}; report {api.RUNS / report.run_id}.md")
