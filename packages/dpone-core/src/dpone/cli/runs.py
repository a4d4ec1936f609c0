"""`dpone runs`: the records that runs leave behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dpone.cli.options import RUNS, emit_json, output_format
from dpone.observe.record import list_records, read_record


@click.group()
def runs() -> None:
    """List and show the records of runs."""


@runs.command("list")
@click.option("--folder", type=click.Path(path_type=Path), default=RUNS, show_default=True, help="Where records are.")
@output_format()
def list_command(*, folder: Path, output_format: str) -> None:
    """List runs, the newest first."""
    records = list_records(folder)
    if output_format == "json":
        emit_json(records)
        return
    if not records:
        click.echo(f"No run is recorded under {folder}.")
    for record in records:
        streams = record.get("streams", [])
        rows = sum(s.get("rows_staged", 0) for s in streams)
        started = str(record.get("started_at", ""))[:19]
        count = f"{len(streams)} stream{'' if len(streams) == 1 else 's'}"
        click.echo(f"{record['run_id']}  {started}  {record['status']:<11}  {count}  {rows:,} rows")


@runs.command()
@click.argument("run_id")
@click.option("--folder", type=click.Path(path_type=Path), default=RUNS, show_default=True, help="Where records are.")
@output_format()
def show(*, run_id: str, folder: Path, output_format: str) -> None:
    """Show one run: phases, rows, bytes, throughput, operations."""
    record = read_record(folder, run_id)
    if output_format == "json":
        emit_json(record)
        return
    click.echo(f"run {record['run_id']}: {record['status']}")
    click.echo(f"manifest {record['manifest']}, started {record['started_at']}")
    for stream in record["streams"]:
        _show_stream(stream)


def _show_stream(stream: dict[str, Any]) -> None:
    seconds = float(stream["seconds"]) or 0.0
    rate = f", {stream['rows_staged'] / seconds:,.0f} rows/s" if seconds else ""
    click.echo(f"\n{stream['name']}: {stream['strategy']} {stream['source']} -> {stream['sink']}: {stream['status']}")
    click.echo(f"  read {stream['rows_staged']:,} rows, {stream['nbytes']:,} bytes as {stream['format']}{rate}")
    for op in stream["operations"]:
        click.echo(f"  {op['op']}: {op['inserted']} inserted, {op['updated']} updated, {op['deleted']} deleted")
    for phase, ended in sorted(stream["phases"].items(), key=lambda item: item[1]):
        click.echo(f"  {phase} after {ended:.3f} s")
    click.echo(f"  target: {stream['rows_before']:,} rows before, {stream['rows_after']:,} after")
    if stream["error"]:
        click.echo(f"  [{stream['error_code']}] {stream['error']}")
