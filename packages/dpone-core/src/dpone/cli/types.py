"""`dpone types SRC SINK`: the fate of every type of a source in a sink."""

from __future__ import annotations

import click

from dpone import registry
from dpone.cli.options import emit_json, output_format
from dpone.errors import PlanError
from dpone.schema import Field


@click.command()
@click.argument("src")
@click.argument("sink")
@output_format()
def types(*, src: str, sink: str, output_format: str) -> None:
    """Show how each type of SRC lands in SINK: exact, widened or lossy, and why."""
    source, target = registry.load(src), registry.load(sink)
    if source.source is None or target.sink is None:
        end, role = (src, "source") if source.source is None else (sink, "sink")
        raise PlanError(f"{end} is not a {role}", code="plan.not_an_end", hint="`dpone connectors --details`")
    rows = []
    for native in source.types.natives:
        kind = source.types.read(native)
        landing = target.types.land(Field("column", kind, native=f"{src}:{native}"))
        rows.append(
            {
                "source": native,
                "type": str(kind),
                "sink": landing.native,
                "verdict": landing.verdict.value,
                "why": landing.why,
            }
        )
    if output_format == "json":
        emit_json(rows)
        return
    columns = ("source", "type", "sink", "verdict", "why")
    widths = {c: max(len(c), *(len(r[c]) for r in rows)) for c in columns}
    for row in ({c: c for c in columns}, *rows):
        click.echo("  ".join(f"{row[c]:<{widths[c]}}" for c in columns).rstrip())
