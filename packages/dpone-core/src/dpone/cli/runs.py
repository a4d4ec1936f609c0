"""`dpone runs`: the records that runs leave behind, here and in the ledgers of their sinks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from dpone import api
from dpone.cli.options import RUNS, emit_json, output_format, select_option
from dpone.observe.record import list_records, read_record, unknown_run

_ledger = click.option(
    "--ledger",
    metavar="MANIFEST",
    type=click.Path(path_type=Path),
    help="Ask the sinks of this manifest, whose ledgers hold the record of each load.",
)
_folder = click.option(
    "--folder", type=click.Path(path_type=Path), default=RUNS, show_default=True, help="Where records are."
)


@click.group()
def runs() -> None:
    """List and show the records of runs."""


@runs.command("list")
@_folder
@_ledger
@select_option
@output_format()
def list_command(*, folder: Path, ledger: Path | None, select: tuple[str, ...], output_format: str) -> None:
    """List runs, the newest first; with --ledger the loads that sinks remember, whichever machine they ran on."""
    if ledger is not None:
        _show_ledger(api.ledger(ledger, select=select), output_format)
        return
    records = list_records(folder)
    if output_format == "json":
        emit_json(records)
        return
    if not records:
        click.echo(f"No run is recorded under {folder}.")
    for record in records:
        streams = record.get("streams", [])
        rows = sum(s.get("rows_staged", 0) for s in streams)
        nbytes = sum(s.get("nbytes", 0) for s in streams)
        started = str(record.get("started_at", ""))[:19]
        count = f"{len(streams)} stream{'' if len(streams) == 1 else 's'}"
        action = record.get("action", "run")
        line = f"{record['run_id']}  {started}  {action:<6}  {record['status']:<11}  {count}  {rows:,} rows"
        click.echo(f"{line}  {_bytes(nbytes)}  {_took(record)}")


def _took(record: Mapping[str, Any]) -> str:
    """How long the run took by the clock of its machine, if it ended in order."""
    try:
        begun, ended = (datetime.fromisoformat(str(record[key])) for key in ("started_at", "finished_at"))
    except (KeyError, ValueError):
        return "-"
    return f"{(ended - begun).total_seconds():.2f} s"


@runs.command()
@click.argument("run_id")
@_folder
@_ledger
@select_option
@output_format()
def show(*, run_id: str, folder: Path, ledger: Path | None, select: tuple[str, ...], output_format: str) -> None:
    """Show one run: phases, rows, bytes, throughput, operations; with --ledger what its sinks remember of it."""
    if ledger is not None:
        found = api.ledger(ledger, select=select, run_id=run_id)
        if not found:
            raise unknown_run(run_id, f"to the sinks of {ledger}")
        _show_ledger(found, output_format)
        return
    record = read_record(folder, run_id)
    if output_format == "json":
        emit_json(record)
        return
    resumed = f", resumed {record['resumed']} times" if record.get("resumed") else ""
    click.echo(f"{record.get('action', 'run')} {record['run_id']}: {record['status']}, {_took(record)}{resumed}")
    click.echo(f"manifest {record['manifest']}, started {record['started_at']}")
    for stream in record["streams"]:
        _show_stream(stream)


def _show_stream(stream: dict[str, Any]) -> None:
    click.echo(f"\n{stream['name']}: {stream['strategy']} {stream['source']} -> {stream['sink']}: {stream['status']}")
    if stream.get("error"):
        click.echo(f"  {stream['error_code']}: {stream['error']}")
    if stream.get("plan_digest"):
        click.echo(f"  plan {stream['plan_digest'][:16]}, into {stream.get('target') or stream['sink']}")
    click.echo(f"  read {stream['rows_staged']:,} rows, {stream['nbytes']:,} bytes as {stream['format'] or '-'}")
    for phase, facts in stream.get("throughput", {}).items():
        click.echo(f"    {phase:<9} {_phase(facts)}")
    for op in stream["operations"]:
        click.echo(f"  {op['op']}: {op['inserted']} inserted, {op['updated']} updated, {op['deleted']} deleted")
    click.echo(f"  target: {stream['rows_before']:,} rows before, {stream['rows_after']:,} after")
    expected = stream.get("expected")
    if expected is not None:
        click.echo(f"  began from generation {expected['generation']}; committed {len(stream['loads'])} loads")
    for load_id in stream.get("kept", ()):
        click.echo(f"  sealed and not published: {load_id}")


def _phase(facts: Mapping[str, float]) -> str:
    parts = [f"{facts['seconds']:8.3f} s"]
    if "rows" in facts:
        parts.append(f"{facts['rows']:,} rows, {facts['rows_per_second']:,.0f} rows/s")
    if "bytes" in facts:
        parts.append(f"{_bytes(facts['bytes'])}, {_bytes(facts['bytes_per_second'])}/s")
    return "  ".join(parts)


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:  # noqa: PLR2004 - of each unit in the next
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def _show_ledger(loads: list[dict[str, Any]], output_format: str) -> None:
    if output_format == "json":
        emit_json(loads)
        return
    if not loads:
        click.echo("No load is in the ledgers.")
    for load in loads:
        staged = load["staged"]
        seconds = load["seconds"] + load["seconds_to_publish"]
        click.echo(
            f"{load['load_id']}  {str(load['at'])[:19]}  {load['strategy']}  {staged['received']:,} rows read, "
            f"{load['inserted']:,} inserted, {load['updated']:,} updated, {load['deleted']:,} deleted  "
            f"{_bytes(load['nbytes'])}  {seconds:.2f} s"
        )
