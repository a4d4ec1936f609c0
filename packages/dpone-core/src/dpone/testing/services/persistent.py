"""Keeps services up between commands: `dpone services up | down | status`.

Each service has a keeper, a detached process that holds the service's context manager open and writes
`<state_dir>/<name>.json` (0600, with the password) once it answers. When the keeper ends, however it ends, its servers
do.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from importlib.metadata import entry_points
from pathlib import Path
from typing import IO, Any

from msgspec import Struct

from dpone import errors
from dpone.errors import DponeError, MissingPackage, RemoteError, UsageError
from dpone.testing.services import state_file
from dpone.testing.services.endpoint import Endpoint, Provider
from dpone.testing.services.ports import connects
from dpone.testing.services.process_identity import ProcessIdentity

_DOWN_TIMEOUT = 30.0
_POLL = 0.02
STARTABLE = frozenset(Provider) - {Provider.GIVEN}


class State(StrEnum):
    RUNNING = "running"
    SILENT = "silent"  # its keeper lives, and a port does not answer
    STALE = "stale"  # its keeper died; `up` and `down` clear the entry away


class Status(Struct, frozen=True):
    name: str
    state: State
    endpoint: Endpoint
    keeper: ProcessIdentity


def catalog() -> dict[str, str]:
    """Where the testkit of each installed connector is: by name, "module:attribute". Nothing is loaded."""
    return {point.name: point.value for point in entry_points(group="dpone.testkits")}


def up(
    names: Sequence[str],
    state_dir: Path,
    *,
    providers: Collection[Provider] = STARTABLE,
    services: Mapping[str, str] | None = None,
) -> tuple[Status, ...]:
    """The named services answer, those that ran already as they were. If one cannot start, none is started.

    Each comes by the provider that its testkit puts first among `providers`. `services` stands in for the `catalog()`.
    """
    known = catalog() if services is None else services
    unknown = [name for name in names if name not in known]
    if unknown:
        message = f"no such service: {', '.join(unknown)}; there is {', '.join(sorted(known))}"
        raise UsageError(message, code="service.unknown", hint="is the connector installed?")
    with _alone(state_dir):
        begun: list[_Birth] = []
        try:
            for name in dict.fromkeys(names):
                entry = state_file.read(state_dir, name)
                if entry is None or not entry.keeper.alive:
                    state_file.remove(state_dir, name)
                    begun.append(_Birth(name, known[name], providers, state_dir))
            for birth in begun:  # all of them start at once; now each is waited for
                birth.wait()
        except BaseException:
            for birth in begun:
                birth.give_up()
            raise
        finally:
            for birth in begun:
                birth.close()
    return tuple(one for one in status(state_dir) if one.name in names)


def down(state_dir: Path, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """The services (all, unless named) have ended with their data; the result names those that were running."""
    if not state_dir.is_dir():
        return ()
    with _alone(state_dir):
        entries = [entry for entry in state_file.read_all(state_dir) if names is None or entry.name in names]
        running = [entry for entry in entries if entry.keeper.alive]
        for entry in running:
            _signal(entry.keeper, signal.SIGTERM)
        for entry in running:
            _await_end(entry.keeper)
        for entry in entries:
            state_file.remove(state_dir, entry.name)
    return tuple(entry.name for entry in running)


def status(state_dir: Path) -> tuple[Status, ...]:
    """What the state files claim, checked. Changes nothing."""
    return tuple(
        Status(entry.name, _state(entry), entry.endpoint, entry.keeper) for entry in state_file.read_all(state_dir)
    )


def _state(entry: state_file.Entry) -> State:
    if not entry.keeper.alive:
        return State.STALE
    endpoint = entry.endpoint
    answers = all(connects(endpoint.host, port) for port in endpoint.ports.values())
    return State.RUNNING if answers else State.SILENT


class _Birth:
    """A keeper on its way up. It answers with one line on a pipe: its identity, or why it cannot."""

    def __init__(self, name: str, testkit: str, providers: Collection[Provider], state_dir: Path) -> None:
        self._name = name
        order = {
            "name": name,
            "testkit": testkit,
            "providers": sorted(providers),
            "state_dir": str(state_dir.absolute()),
        }
        log = os.open(state_dir / f"{name}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            # -P: a file of the working directory must not stand in for a module of ours
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "dpone.testing.services.keeper"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        finally:
            os.close(log)
        self._order = json.dumps(order).encode()
        self._keeper: ProcessIdentity | None = None
        with _quiet_pipe(self._process.stdin) as stdin:
            stdin.write(self._order)

    def wait(self) -> None:
        with _quiet_pipe(self._process.stdout) as stdout:
            self._await_fork(stdout)
            outcome = json.loads(stdout.readline() or "{}")
        if "error" in outcome:
            raise _rebuilt(outcome["error"])
        if "ready" not in outcome:
            message = f"the keeper of {self._name} ended without a word; see its log"
            raise RemoteError(message, code="service.not_ready")

    def _await_fork(self, stdout: IO[bytes]) -> None:
        line = json.loads(stdout.readline() or "{}")
        if "keeper" in line:
            self._keeper = ProcessIdentity(*line["keeper"])

    def give_up(self) -> None:
        """The keeper is ended, whether it was ready or not."""
        if self._process.stdout is not None and not self._process.stdout.closed and self._keeper is None:
            self._await_fork(self._process.stdout)
        if self._keeper is not None and self._keeper.alive:
            _signal(self._keeper, signal.SIGTERM)
            _await_end(self._keeper)

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()  # it forked and left at once


def _rebuilt(error: dict[str, Any]) -> DponeError:
    """The keeper's error as the caller's own."""
    if error["kind"] == MissingPackage.__name__:
        return MissingPackage(error["message"], install=error["install"], code=error["code"])
    kind: type[DponeError] = getattr(errors, error["kind"], RemoteError)
    return kind(error["message"], code=error["code"], hint=error["hint"])


def _signal(process: ProcessIdentity, number: signal.Signals) -> None:
    if process.alive:  # asked last, so that a reused pid is not hit
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            return


def _await_end(process: ProcessIdentity) -> None:
    until = time.monotonic() + _DOWN_TIMEOUT
    while process.alive:
        if time.monotonic() > until:
            _signal(process, signal.SIGKILL)  # its servers end with it
        time.sleep(_POLL)


@contextmanager
def _alone(state_dir: Path) -> Iterator[None]:
    """No other `up` or `down` works on this directory; the directory is ours alone to read."""
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(state_dir / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def _quiet_pipe(pipe: IO[bytes] | None) -> Iterator[IO[bytes]]:
    if pipe is None:  # for the type checker: both pipes are asked for above
        raise AssertionError
    try:
        with pipe:
            yield pipe
    except BrokenPipeError:
        return  # the keeper ended; what it said before is what counts
