"""`dpone init`: a first manifest, from what the source says about its table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from dpone import registry
from dpone.connector import Connector
from dpone.errors import UsageError
from dpone.manifest import Connections
from dpone.manifest.connections import variable_of
from dpone.manifest.options import Pattern, Template
from dpone.manifest.templates import marked
from dpone.propose import Proposal, propose
from dpone.schema import Schema


@click.command()
@click.option("--source", help="The name of a connection to read from.")
@click.option("--table", help="What to read there, as schema.table.")
@click.option("--sink", help="The name of a connection to write to.")
@click.option("--into", help="What to write there; by default the same name.")
@click.option("--output", type=click.Path(path_type=Path), help="The file to write; by default <table>.yaml.")
def init(*, source: str | None, table: str | None, sink: str | None, into: str | None, output: Path | None) -> None:
    """Write a manifest that runs: asks for what is not given, looks at the table, proposes a strategy and says why.

    Connections come from connections.yml or from DPONE_CONN_<NAME>.
    """
    source = source or _ask("Read from which connection", "--source")
    table = table or _ask("Which table", "--table")
    sink = sink or _ask("Write to which connection", "--sink")
    into = into or table
    output = output or Path(f"{table.rpartition('.')[2]}.yaml")
    if output.exists():
        raise UsageError(f"{output} exists already", code="usage.file_exists", hint="choose another --output")
    connections = Connections(Path.cwd())
    reader, writer = _connector(connections, source), _connector(connections, sink)
    proposal = propose(_describe(connections, reader, source, table), reader, writer)
    output.write_text(_manifest(reader, writer, source, sink, table, into, proposal), encoding="utf-8")
    click.echo(f"wrote {output}: {proposal.mode}, because {proposal.reason}")
    click.echo(f"next: dpone plan {output}, then dpone run {output}")


def _ask(question: str, option: str) -> str:
    if not sys.stdin.isatty():
        raise UsageError(
            f"{option} is not given", code="usage.missing_option", hint=f"add {option}, or run at a terminal"
        )
    answer: str = click.prompt(question)
    return answer


def _connector(connections: Connections, name: str) -> Connector[Any]:
    kind = connections.type_of(name)
    if kind is None:
        known = ", ".join(connections.names()) or "none"
        raise UsageError(
            f"unknown connection {name!r}",
            code="connection.unknown",
            hint=f"known: {known}; write connections.yml or set {variable_of(name)} to a URL",
        )
    return registry.load(kind) if kind in registry.installed() else registry.by_scheme(kind)


def _describe(connections: Connections, connector: Connector[Any], name: str, table: str) -> Schema:
    option = next(iter(marked(connector.source.options, Pattern)), None) if connector.source else None
    if connector.source is None or option is None:
        raise UsageError(
            f"{connector.name} is not a source of tables",
            code="plan.not_an_end",
            hint="`dpone connectors --details` shows what each can do",
        )
    dataset = connector.source.options(**{option: table}).dataset()
    with connector.source.open(connections.ref(name, connector).resolve()) as source:
        return source.describe(dataset)


def _manifest(
    reader: Connector[Any], writer: Connector[Any], source: str, sink: str, table: str, into: str, proposal: Proposal
) -> str:
    assert reader.source is not None  # _describe
    read = next(iter(marked(reader.source.options, Pattern)))
    option = next(iter(marked(writer.sink.options, Template)), None) if writer.sink else None
    if option is None:
        raise UsageError(
            f"{writer.name} is not a sink of tables",
            code="plan.not_an_end",
            hint="`dpone connectors --details` shows what each can do",
        )
    lines = [
        "# yaml-language-server: $schema=./dpone.schema.json",
        "version: 1",
        f"name: {_name(table)}",
        f"source: {{type: {reader.name}, connection: {source}, {read}: {_quoted(table)}}}",
        f"sink: {{type: {writer.name}, connection: {sink}, {option}: {_quoted(into)}}}",
        f"# {proposal.reason}",
        "strategy:",
        f"  mode: {proposal.mode}",
        *([f"  key: [{', '.join(map(_quoted, proposal.key))}]"] if proposal.key else []),
        *([f"  cursor: {{column: {_quoted(proposal.cursor)}, lag: 5m}}"] if proposal.cursor else []),
    ]
    return "\n".join(lines) + "\n"


def _name(table: str) -> str:
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "_-.") else "_" for c in table.rpartition(".")[2])
    return kept if kept[:1].isalnum() else f"t{kept}"


def _quoted(text: str) -> str:
    """A YAML scalar: double quotes in JSON's spelling, which YAML reads alike."""
    import json

    return json.dumps(text, ensure_ascii=False)
