"""`dpone manifest`: what an editor needs to know of manifests."""

from __future__ import annotations

import click

from dpone import registry
from dpone.cli.options import emit_json
from dpone.manifest.schema import manifest_schema


@click.group()
def manifest() -> None:
    """The manifest's JSON Schema, for editors."""


@manifest.command()
def schema() -> None:
    """Print the JSON Schema of a manifest, the options of the installed connectors in it.

    Save it as dpone.schema.json and begin a manifest with `# yaml-language-server: $schema=./dpone.schema.json`.
    """
    emit_json(manifest_schema([registry.load(name) for name in registry.installed()]))
