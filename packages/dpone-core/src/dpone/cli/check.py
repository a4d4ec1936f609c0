"""`dpone check`: is the manifest well formed, and can its strategy work between its two ends?"""

from __future__ import annotations

from pathlib import Path

import click

from dpone import registry
from dpone.cli.options import emit_json, manifest_argument, output_format, select_option
from dpone.compile import refuse_unsupported
from dpone.manifest import load
from dpone.manifest import select as selected


@click.command()
@manifest_argument
@select_option
@output_format()
def check(*, manifest: Path, select: tuple[str, ...], output_format: str) -> None:
    """Check MANIFEST without connecting to anything: keys, names, references, and what the two ends can do."""
    found = selected(load(manifest, registry.load), select)
    rows = []
    for stream in found.streams:
        refuse_unsupported(stream.source.connector, stream.sink.connector, stream.strategy.mode)
        rows.append(
            {
                "name": stream.name,
                "strategy": stream.strategy.mode,
                "source": str(stream.source.connection),
                "sink": str(stream.sink.connection),
            }
        )
    if output_format == "json":
        emit_json({"manifest": str(manifest), "streams": rows})
        return
    for row in rows:
        click.echo(f"{row['name']}: {row['strategy']}, {row['source']} -> {row['sink']}: ok")
    if wild := len(found.wildcards):
        click.echo(f"{wild} wildcard{'s' if wild > 1 else ''}: expanded when a source is asked, by plan and run")
