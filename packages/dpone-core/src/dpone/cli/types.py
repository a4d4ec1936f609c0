"""`dpone types SRC SINK`: the fate of every type of a source in a sink."""

from __future__ import annotations

import click

from dpone import registry
from dpone.cli.options import emit_json, output_format
from dpone.landings import landings


@click.command()
@click.argument("src")
@click.argument("sink")
@output_format()
def types(*, src: str, sink: str, output_format: str) -> None:
    """Show how each type of SRC lands in SINK: exact, widened or lossy, and why."""
    rows = [
        {
            "source": fate.source,
            "type": str(fate.type),
            "sink": fate.sink,
            "verdict": fate.verdict.value,
            "why": fate.why,
        }
        for fate in landings(registry.load(src), registry.load(sink))
    ]
    if output_format == "json":
        emit_json(rows)
        return
    columns = ("source", "type", "sink", "verdict", "why")
    widths = {c: max(len(c), *(len(r[c]) for r in rows)) for c in columns}
    for row in ({c: c for c in columns}, *rows):
        click.echo("  ".join(f"{row[c]:<{widths[c]}}" for c in columns).rstrip())
