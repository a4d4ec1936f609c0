"""`dpone connectors`: what is installed."""

from __future__ import annotations

import click

from dpone import registry
from dpone.cli.options import emit_json, output_format


@click.command()
@output_format()
@click.option("--details", is_flag=True, help="Load each connector and show what it can do.")
def connectors(*, output_format: str, details: bool) -> None:
    """List the installed connectors. Listing loads none of them; --details does."""
    rows = []
    for name, point in registry.installed().items():
        row: dict[str, object] = {
            "name": name,
            "distribution": point.dist.name if point.dist else "",
            "version": point.dist.version if point.dist else "",
        }
        if details:
            connector = registry.load(name)
            row["reads"] = sorted(r.value for r in connector.source.reads) if connector.source else []
            row["operations"] = sorted(op.__name__ for op in connector.sink.ops) if connector.sink else []
            row["schemes"] = list(connector.schemes)
        rows.append(row)
    if output_format == "json":
        emit_json(rows)
        return
    if not rows:
        click.echo("No connector is installed. One way: pip install dpone-connectors-postgres")
        return
    width = max(len(str(r["name"])) for r in rows)
    for row in rows:
        click.echo(f"{row['name']:<{width}}  {row['distribution']} {row['version']}")
        if details:
            for part in ("reads", "operations", "schemes"):
                listed = row[part]
                assert isinstance(listed, list)
                click.echo(f"{'':<{width}}    {part}: {', '.join(listed) or 'none'}")
