"""`dpone services`: local servers, real or emulated, for whoever has none at hand."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

import click

from dpone import registry
from dpone.cli.options import emit_json, output_format
from dpone.errors import UsageError
from dpone.integration_matrix import SPECIFIED
from dpone.manifest import load
from dpone.manifest.connections import variable_of
from dpone.testing.services.persistent import Status, catalog
from dpone.testing.services.persistent import down as take_down
from dpone.testing.services.persistent import status as look
from dpone.testing.services.persistent import up as bring_up

FOLDER = Path(".dpone/services")


@click.group()
def services() -> None:
    """Start and stop local servers for trying things out. They listen on this machine alone."""


@services.command()
@click.argument("wanted", nargs=-1, required=True, metavar="NAME|MANIFEST|PROFILE...")
@output_format()
def up(*, wanted: tuple[str, ...], output_format: str) -> None:
    """Start what connectors, manifests or profiles need, and print the lines that connect to it.

    NAME is a connector (postgres), MANIFEST a file, PROFILE one as postgres_live or mock_local.
    """
    needs = dict(need for word in wanted for need in _needs(word))
    running = {status.name: status for status in bring_up(sorted(set(needs.values())), FOLDER)}
    if output_format == "json":
        emit_json([_facts(status) for status in running.values()])
        return
    for status in running.values():
        endpoint = status.endpoint
        ports = ", ".join(f"{name} {port}" for name, port in sorted(endpoint.ports.items()))
        click.echo(
            f"# {status.name}: {endpoint.provider.value}, {endpoint.fidelity.name.lower()}, {endpoint.host} {ports}"
        )
    for connection, name in needs.items():
        click.echo(f"export {variable_of(connection)}={shlex.quote(running[name].endpoint.url())}")


def _needs(word: str) -> Iterable[tuple[str, str]]:
    """The name of each connection that is wanted, and the connector whose server it is."""
    if Path(word).suffix in {".yaml", ".yml"}:
        manifest = load(word, registry.load)
        streams = [*manifest.streams, *(w.stream for w in manifest.wildcards)]
        return [(end.connection.name or end.type, end.type) for s in streams for end in (s.source, s.sink)]
    if word == "mock_local":
        return [(each.name, each.name) for each in SPECIFIED if each.name in catalog()]
    for name in registry.installed():
        if word == name:
            return [(name, name)]
        if word == registry.load(name).profile.name:
            return [(word, name)]
    raise UsageError(
        f"nothing is known of {word!r}",
        code="usage.unknown_service",
        hint=f"give a manifest (a .yaml file), mock_local, or one of {', '.join(registry.installed())}",
    )


@services.command()
@click.argument("names", nargs=-1)
def down(*, names: tuple[str, ...]) -> None:
    """Stop the servers (all, unless named) and remove their data."""
    stopped = take_down(FOLDER, names or None)
    click.echo(f"stopped {', '.join(stopped)}" if stopped else "nothing was running")


@services.command()
@output_format()
def status(*, output_format: str) -> None:
    """Show what runs."""
    found = look(FOLDER)
    if output_format == "json":
        emit_json([_facts(each) for each in found])
        return
    if not found:
        click.echo("nothing is running; `dpone services up postgres` starts a server")
    for each in found:
        click.echo(
            f"{each.name}  {each.state.value}  {each.endpoint.provider.value}  {each.endpoint.fidelity.name.lower()}"
        )


def _facts(status: Status) -> dict[str, object]:
    endpoint = status.endpoint
    return {
        "name": status.name,
        "state": status.state.value,
        "provider": endpoint.provider.value,
        "fidelity": endpoint.fidelity.name.lower(),
        "host": endpoint.host,
        "ports": dict(endpoint.ports),
    }
