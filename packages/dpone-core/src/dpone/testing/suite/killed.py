"""Loads in processes that end by SIGKILL: a small server of forks, so that each one costs milliseconds and not a start.

`python -m dpone.testing.suite.killed` reads one order a line and answers with how the load's process ended. Orders
come by stdin, since they hold the connection with its secrets.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from importlib import import_module
from types import TracebackType
from typing import IO, Any, Self, cast

from msgspec import Struct
from msgspec.structs import asdict

from dpone.connector import Config, Json, Position, Target
from dpone.strategies import Read
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.suite.jobs import deliver
from dpone.testing.suite.rig import SinkRig, load_testkit
from dpone.testing.suite.scenarios import SCENARIOS, timed


class Order(Struct, frozen=True):
    """One load, and the place where its process ends."""

    testkit: str
    connection: Mapping[str, Json]
    name: tuple[str, ...]
    options: Mapping[str, Json]
    scenario: str
    load_id: str
    at: str
    token: Mapping[str, Json]
    place: str


class Executioner:
    """A process that carries out orders in forks of itself."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dpone.testing.suite.killed"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

        # Imported once there, before the first fork: pyarrow alone takes a second.
        print(json.dumps(sorted(name for name in sys.modules if _is_worth_sharing(name))), file=self._stdin, flush=True)

    def carry_out(self, order: Order) -> tuple[int, str]:
        """The exit code of the load's process, negative for a signal, and what it said at its end."""
        print(json.dumps(asdict(order)), file=self._stdin, flush=True)
        answer = self._stdout.readline()
        assert answer, f"the server of forks ended: {self._process.stderr.read() if self._process.stderr else ''}"
        code, said = json.loads(answer)
        return code, said

    @property
    def _stdin(self) -> IO[str]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _stdout(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()  # closes stdin, which ends it


def _is_worth_sharing(module: str) -> bool:
    top = module.partition(".")[0]
    return top not in {"__main__", "_pytest", "pytest", "conftest", "pluggy", "xdist"} and ".suite." not in module


class _Configured(SinkRig, frozen=True):
    """A sink that is known by its connection alone."""

    connection: Mapping[str, Json]

    @property
    def config(self) -> Config:
        config: Config = self.connector.config.model_validate(dict(self.connection))
        return config


def _load(order: Mapping[str, Any]) -> None:
    nowhere = cast("Endpoint", None)  # a load needs the connection, and nothing that is behind the sink's back
    rig = _Configured(order["testkit"], load_testkit(order["testkit"]), nowhere, order["connection"])
    scenario, at = SCENARIOS[order["scenario"]], datetime.fromisoformat(order["at"])
    the_job = timed(scenario.job(rig, Target(tuple(order["name"]), order["options"])), at)
    position = Position(Read.SINCE, order["token"])
    deliver(rig, the_job, scenario.second(), load_id=order["load_id"], at=at, position=position)


def _in_fork(order: Mapping[str, Any]) -> tuple[int, str]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        code = 1
        try:
            os.environ["DPONE_FAILPOINT"] = order["place"]
            _load(order)
            code = 0
        except BaseException:  # noqa: BLE001 - said to the test, whose load this was
            os.write(writing, traceback.format_exc()[-20_000:].encode())
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as said:
        text = said.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), text


def serve() -> None:
    """The first line of stdin names modules, each other one is an order; the answer to it is a line of stdout."""
    for module in json.loads(sys.stdin.readline()):
        with suppress(ImportError):
            import_module(module)
    for line in sys.stdin:
        order = json.loads(line)
        load_testkit(order["testkit"])  # imported once, before the first fork
        print(json.dumps(_in_fork(order)), flush=True)  # noqa: T201 - the answer to the test's process


if __name__ == "__main__":
    serve()
