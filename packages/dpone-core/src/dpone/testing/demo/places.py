"""The engines that the demo shows: those that are installed and can be had on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from dpone.connector import Json
from dpone.manifest.configs import is_secret
from dpone.registry import TESTKITS
from dpone.testing.demo.shop import SCHEMA
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.testkit import SeedTable

if TYPE_CHECKING:
    from rich.console import Console

HOME = "postgres"


class Place(Struct, frozen=True):
    """An engine that answers; manifests know its connection by its connector's name."""

    testkit: Any
    endpoint: Endpoint

    @property
    def name(self) -> str:
        return str(self.testkit.connector.name)

    def source(self, table: SeedTable) -> dict[str, Json]:
        """What a manifest says under `source:` to read the table."""
        dataset = self.testkit.dataset(self.endpoint, table)
        key = "table" if "table" in self.testkit.connector.source.options.model_fields else "path"
        return {"type": self.name, "connection": self.name, key: ".".join(dataset.name), **dataset.options}

    def sink(self, label: str) -> dict[str, Json]:
        """What a manifest says under `sink:` to write a table, or a topic."""
        name = ".".join(self.testkit.target(self.endpoint, label).name)
        key = "table" if "table" in self.testkit.connector.sink.options.model_fields else "topic"
        return {"type": self.name, "connection": self.name, key: name}

    def relay(self, label: str) -> dict[str, Json]:
        """What a manifest says under `source:` to read what another stream writes: a table, or a topic by its key."""
        written = self.sink(label)
        if "topic" not in written:
            return written
        columns = {f.name: str(f.type) for f in SCHEMA}
        keyed = {"key_columns": list(SCHEMA.key), "key_format": "json", "columns": columns}
        return {**written, "view": "table", **keyed}

    def connection(self) -> dict[str, Json]:
        """The connection without its secrets, which stand in the environment."""
        fields = {n: v for n, v in self.testkit.connection(self.endpoint).items() if v is not None}
        for name, value in list(fields.items()):
            if is_secret(self.testkit.connector.config, name):
                variable = f"DPONE_DEMO_{self.name}_{name}".upper()
                os.environ[variable] = str(value)
                fields[name] = f"${{env:{variable}}}"
        return {"type": self.name, **fields}

    def rows(self, label: str) -> int:
        """How many rows somebody sees in a table that was written, by the engine's own client."""
        return int(self.testkit.rows(self.endpoint, self.testkit.target(self.endpoint, label)).num_rows)


def installed(wanted: Iterable[str]) -> list[str]:
    """Those of the engines that can be had here; the shop's own in any case."""
    known = {point.name for point in entry_points(group=TESTKITS)}
    if HOME not in known:
        sys.exit(f"the demo needs dpone-connectors-{HOME}: pip install 'dpone-connectors-{HOME}[local]'")
    return [
        name
        for name in dict.fromkeys([HOME, *wanted])
        if name in known and (name == HOME or _testkit(name).providers())
    ]


def _testkit(name: str) -> Any:
    """The testkit of a connector that the demo shows, had as any connector's is: by its entry point."""
    return next(point for point in entry_points(group=TESTKITS) if point.name == name).load()


def up(name: str, stack: ExitStack, console: Console) -> Place:
    """The engine answers until the stack is left."""
    testkit = _testkit(name)
    endpoint = stack.enter_context(testkit.service(testkit.providers()[0]))
    server = testkit.identify(endpoint)
    how = f"{endpoint.provider.value}, {endpoint.fidelity.name.lower()}"
    console.print(f"[bold]{server.product} {server.version}[/] is up ({how})")
    return Place(testkit, endpoint)
