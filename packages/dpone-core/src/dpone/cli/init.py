"""`dpone init`: a first manifest, from what the source says about its tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import click
from msgspec import Struct

from dpone import registry
from dpone.connector import Connector, Dataset, Discovers, SinkSpec, Size, Source, SourceSpec, Weighs, not_an_end
from dpone.errors import UsageError
from dpone.manifest import Connections
from dpone.manifest.connections import variable_of
from dpone.manifest.options import Pattern, Template
from dpone.manifest.problems import NOTHING_MATCHED
from dpone.manifest.templates import Named, is_wildcard, marked, matches
from dpone.propose import Proposal, propose, told
from dpone.schema import Schema


@click.command()
@click.option("--source", help="The name of a connection to read from.")
@click.option("--table", help="What to read there, as schema.table; `*` and `?` stand for several tables.")
@click.option("--sink", help="The name of a connection to write to.")
@click.option("--into", help="What to write there; by default the table's own name, where the connection has its own.")
@click.option("--output", type=click.Path(path_type=Path), help="The file to write; by default <table>.yaml.")
def init(*, source: str | None, table: str | None, sink: str | None, into: str | None, output: Path | None) -> None:
    """Write a manifest that runs: asks for what is not given, looks at the tables, proposes a strategy and says why.

    Connections come from connections.yml or from DPONE_CONN_<NAME>.
    """
    connections = Connections(Path.cwd())
    source = source or _ask_end("Read from which connection", "--source", connections)
    reader = _end(connections, source, "source")
    found = _found(connections, reader, table)
    sink = sink or _ask_end("Write to which connection", "--sink", connections)
    writer = _end(connections, sink, "sink")
    several = len(found) > 1
    into = into or ("{table}" if several else writer.said((found[0].short,)))
    if several and "{table}" not in into:
        raise UsageError(
            f"{len(found)} tables cannot all become {into}",
            code="usage.one_target",
            hint='give --into a name with {table} in it: --into "raw.{table}"',
        )
    output = output or Path(f"{_plain(source if several else found[0].short)}.yaml")
    if output.exists():
        raise UsageError(f"{output} exists already", code="usage.file_exists", hint="choose another --output")
    proposed = [(one, propose(one.schema, reader.connector, writer.connector, one.size)) for one in found]
    text = (_many if several else _one)(reader, writer, proposed, into)
    output.write_text(text, encoding="utf-8")
    for one, proposal in proposed:
        click.echo(f"{one.text}, {told(one.size)}: {proposal.mode}, because {proposal.reason}")
    click.echo(f"wrote {output}; next: dpone plan {output}, then dpone run {output}")


# ------------------------------------------------------------------------------ ends


class End(Struct, frozen=True):
    """A connection, and under which word its connector's options have a name."""

    connection: str
    connector: Connector[Any]
    place: str
    is_name: bool  # a dotted one

    def said(self, name: tuple[str, ...]) -> str:
        return Named(self.place, "", self.is_name).exactly(name)

    def start(self) -> str:
        return f"{{type: {self.connector.name}, connection: {self.connection}"


def _end(connections: Connections, name: str, side: Literal["source", "sink"]) -> End:
    """The connection as an end of tables."""
    connector = _connector(connections, name)
    spec: SourceSpec[Any] | SinkSpec[Any] | None = getattr(connector, side)
    option = next(iter(marked(spec.options, Pattern if side == "source" else Template).items()), None) if spec else None
    if option is None:
        raise not_an_end(connector, f"{side} of tables")
    return End(name, connector, option[0], option[1].is_name)


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


# ---------------------------------------------------------------------------- tables


class Found(Struct, frozen=True):
    """A table as a manifest names it, and what its source says of it."""

    text: str
    name: tuple[str, ...]
    schema: Schema
    size: Size | None

    @property
    def short(self) -> str:
        """Its own name, without schema or path."""
        return self.name[-1].rpartition("/")[2] or self.name[-1]


def _found(connections: Connections, reader: End, table: str | None) -> list[Found]:
    """What was asked for, or else what is chosen from a list."""
    assert reader.connector.source is not None  # _end
    options = reader.connector.source.options
    if table is None:
        _refuse_unasked("--table")
    with reader.connector.source.open(connections.ref(reader.connection, reader.connector).resolve()) as source:
        texts = _texts(source, reader, table) if table is not None else _chosen(source, reader)
        found = []
        for text in texts:
            dataset = options(**{reader.place: text}).dataset()
            found.append(Found(text, dataset.name, source.describe(dataset), _size(source, dataset)))
        return found


def _texts(source: Source, reader: End, asked: str) -> list[str]:
    """What a name or a pattern means."""
    if not is_wildcard(asked):
        return [asked]
    pattern = Named(reader.place, asked, reader.is_name).parts
    listed = source.discover(pattern) if isinstance(source, Discovers) else ()
    found = [reader.said(dataset.name) for dataset in listed if matches(dataset.name, pattern)]
    if not found:
        raise UsageError(
            f"{asked} matches no table of {reader.connection}",
            code=NOTHING_MATCHED,
            hint="look at the pattern, and at what the user of the connection may see",
        )
    return found


def _chosen(source: Source, reader: End) -> list[str]:
    """What somebody at a terminal takes from the list of all tables."""
    listed = source.discover(("*", "*") if reader.is_name else ("*",)) if isinstance(source, Discovers) else ()
    if not listed:
        return _texts(source, reader, _ask("Which table"))
    names = [reader.said(dataset.name) for dataset in listed]
    for number, (name, dataset) in enumerate(zip(names, listed, strict=True), 1):
        click.echo(f"{number:>4}  {name}, {told(_size(source, dataset))}")
    answers = _ask("Which tables (numbers, names or a pattern)").replace(",", " ").split()
    chosen: dict[str, None] = {}
    for answer in answers:
        if answer.isdecimal() and 1 <= int(answer) <= len(names):
            chosen[names[int(answer) - 1]] = None
        else:
            chosen |= dict.fromkeys(_texts(source, reader, answer))
    return list(chosen)


def _size(source: Source, dataset: Dataset) -> Size | None:
    return source.size(dataset) if isinstance(source, Weighs) else None


# --------------------------------------------------------------------------- asking


def _ask_end(question: str, option: str, connections: Connections) -> str:
    _refuse_unasked(option)
    known = ", ".join(connections.names())
    return _ask(f"{question} ({known})" if known else question)


def _refuse_unasked(option: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            f"{option} is not given", code="usage.missing_option", hint=f"add {option}, or run at a terminal"
        )


def _ask(question: str) -> str:
    answer: str = click.prompt(question)
    return answer


# -------------------------------------------------------------------------- writing

_HEAD = ("# yaml-language-server: $schema=./dpone.schema.json", "version: 1")


def _one(reader: End, writer: End, proposed: Sequence[tuple[Found, Proposal]], into: str) -> str:
    """A pipeline."""
    ((found, proposal),) = proposed
    lines = [
        *_HEAD,
        f"name: {_plain(found.short)}",
        f"source: {reader.start()}, {reader.place}: {_quoted(found.text)}}}",
        f"sink: {writer.start()}, {writer.place}: {_quoted(into)}}}",
        f"# {told(found.size)}: {proposal.reason}",
        "strategy:",
        *(f"  {line}" for line in _strategy(proposal)),
    ]
    return "\n".join(lines) + "\n"


def _many(reader: End, writer: End, proposed: Sequence[tuple[Found, Proposal]], into: str) -> str:
    """A list of streams."""
    lines = [
        *_HEAD,
        f"name: {_plain(reader.connection)}",
        "defaults:",
        f"  source: {reader.start()}}}",
        f"  sink: {writer.start()}, {writer.place}: {_quoted(into)}}}",
        "streams:",
    ]
    for found, proposal in proposed:
        lines += [
            f"  # {told(found.size)}: {proposal.reason}",
            f"  - source: {{{reader.place}: {_quoted(found.text)}}}",
            f"    strategy: {{{', '.join(_strategy(proposal))}}}",
        ]
    return "\n".join(lines) + "\n"


def _strategy(proposal: Proposal) -> list[str]:
    return [
        f"mode: {proposal.mode}",
        *([f"key: [{', '.join(map(_quoted, proposal.key))}]"] if proposal.key else []),
        *([f"cursor: {{column: {_quoted(proposal.cursor)}, lag: 5m}}"] if proposal.cursor else []),
    ]


def _plain(text: str) -> str:
    """A name of a pipeline or a file that resembles the text."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "_-.") else "_" for c in text)
    return kept if kept[:1].isalnum() else f"t{kept}"


def _quoted(text: str) -> str:
    """A YAML scalar: double quotes in JSON's spelling, which YAML reads alike."""
    return json.dumps(text, ensure_ascii=False)
