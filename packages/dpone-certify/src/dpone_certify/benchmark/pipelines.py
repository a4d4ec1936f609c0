"""The manifests that are measured, and the commands that run them as a person would."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from msgspec import Struct

from dpone.connector import Dataset, Json, Target
from dpone.manifest.options import Pattern, TableSink, TableSource, Template
from dpone.manifest.templates import marked
from dpone.names import print_name
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.testkit import Testkit
from dpone_certify.benchmark.costs import Command
from dpone_certify.benchmark.shape import CURSOR, KEY

WARM = Path(__file__).with_name("warm.py")
READING = Path(__file__).with_name("reading.py")
FULL_REFRESH: Mapping[str, object] = {"mode": "full_refresh"}
INCREMENTAL: Mapping[str, object] = {"mode": "incremental_merge", "key": [KEY], "cursor": {"column": CURSOR}}

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "SYSTEMROOT")
_IN_URL = frozenset({"host", "port", "user", "password", "database"})
_MAIN = "from dpone.cli import console; console()"


def environment(**more: str) -> dict[str, str]:
    """What a command needs to run at all, and `more`; no setting of ours that would change what it does."""
    return {**{name: os.environ[name] for name in _INHERITED if name in os.environ}, **more}


def python(*arguments: str, **more: str) -> Command:
    return (sys.executable, *arguments), environment(**more)


class End(Struct, frozen=True):
    """One end of a manifest: a table, topic or path of an engine, under the word that its options have for it."""

    engine: str
    place: str
    name: str
    options: Mapping[str, Json] = {}

    def document(self) -> dict[str, Json]:
        return {"type": self.engine, "connection": f"bench_{self.engine}", self.place: self.name, **self.options}


def source_end(testkit: Testkit, dataset: Dataset) -> End:
    assert testkit.connector.source is not None  # it is benchmarked as one
    options = testkit.connector.source.options
    place = next(iter(marked(options, Pattern)))
    return End(testkit.connector.name, place, _printed(options, dataset.name), dataset.options)


def sink_end(testkit: Testkit, target: Target, more: Mapping[str, Json]) -> End:
    assert testkit.connector.sink is not None  # it is benchmarked as one
    options = testkit.connector.sink.options
    place = next(iter(marked(options, Template)))
    return End(testkit.connector.name, place, _printed(options, target.name), more)


def _printed(options: type[object], name: tuple[str, ...]) -> str:
    """The name as a manifest has it: of a table quoted where it must be, of anything else as it is."""
    return print_name(name) if issubclass(options, (TableSource, TableSink)) else name[-1]


@dataclass(frozen=True, slots=True)
class Workplace:
    """A folder with manifests, and the connections that they name, which reach commands by their environment alone."""

    folder: Path
    secret: dict[str, str] = field(default_factory=dict, repr=False)

    def know(self, testkit: Testkit, endpoint: Endpoint) -> None:
        """Manifests may name this engine."""
        given = testkit.connection(endpoint)
        inside = {*_IN_URL, *getattr(testkit.connector.config, "url_parts", ())}
        more = {name: str(value) for name, value in given.items() if name not in inside and value is not None}
        address, _, asked = str(given.get("url", endpoint.url())).partition("?")
        query = urlencode(dict(parse_qsl(asked)) | more)
        self.secret[f"DPONE_CONN_BENCH_{testkit.connector.name.upper()}"] = address + (f"?{query}" if query else "")

    def write(self, name: str, source: End, sink: End, strategy: Mapping[str, object]) -> str:
        """The manifest is in the folder; its file name."""
        document = {
            "version": 1,
            "name": name,
            "source": source.document(),
            "sink": sink.document(),
            "strategy": dict(strategy),
        }
        file = f"{name}.yaml"
        # every JSON document is a YAML document
        (self.folder / file).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        return file

    def run(self, manifest: str) -> Command:
        return self._dpone("run", manifest, "--format", "json")

    def run_warm(self, first: str, manifest: str) -> Command:
        return python(str(WARM), first, manifest, **self.secret)

    def read(self, engine: str, dataset: Dataset) -> Command:
        return python(str(READING), engine, json.dumps(dataset.name), **self.secret)

    def _dpone(self, *arguments: str) -> Command:
        return (*dpone(), *arguments), environment(**self.secret)


def dpone() -> Sequence[str]:
    """The console script of this environment, or what it does where there is none."""
    script = shutil.which("dpone", path=str(Path(sys.executable).parent))
    return (script,) if script else (sys.executable, "-c", _MAIN)
