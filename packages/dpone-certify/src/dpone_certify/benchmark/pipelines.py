"""The manifests that are measured, and the commands that run them as a person would."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dpone.connector import Dataset, Target
from dpone.names import print_name
from dpone.testing.services.endpoint import Endpoint
from dpone_certify.benchmark.costs import Command
from dpone_certify.benchmark.shape import CURSOR, KEY

WARM = Path(__file__).with_name("warm.py")
FULL_REFRESH: Mapping[str, object] = {"mode": "full_refresh"}
INCREMENTAL: Mapping[str, object] = {"mode": "incremental_merge", "key": [KEY], "cursor": {"column": CURSOR}}

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "SYSTEMROOT")
_MAIN = "from dpone.cli.root import main; main()"


def environment(**more: str) -> dict[str, str]:
    """What a command needs to run at all, and `more`; no setting of ours that would change what it does."""
    return {**{name: os.environ[name] for name in _INHERITED if name in os.environ}, **more}


def python(*arguments: str, **more: str) -> Command:
    return (sys.executable, *arguments), environment(**more)


@dataclass(frozen=True, slots=True)
class Workplace:
    """A folder with manifests, and the connection that they name, which reaches commands by their environment alone."""

    folder: Path
    endpoint: Endpoint
    secret: dict[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "secret", {"DPONE_CONN_BENCH": self.endpoint.url()})

    def write(self, name: str, dataset: Dataset, target: Target, strategy: Mapping[str, object]) -> str:
        """The manifest is in the folder; its file name."""
        engine = self.endpoint.connector
        document = {
            "version": 1,
            "name": name,
            "source": {"type": engine, "connection": "bench", "table": print_name(dataset.name)},
            "sink": {"type": engine, "connection": "bench", "table": print_name(target.name)},
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

    def _dpone(self, *arguments: str) -> Command:
        return (*dpone(), *arguments), environment(**self.secret)


def dpone() -> Sequence[str]:
    """The console script of this environment, or what it does where there is none."""
    script = shutil.which("dpone", path=str(Path(sys.executable).parent))
    return (script,) if script else (sys.executable, "-c", _MAIN)
