"""A service that is a child process: the life of its directory, its port and its endpoint."""

from __future__ import annotations

import atexit
import os
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType

from msgspec import Struct

from dpone.errors import RemoteError, UsageError
from dpone.testing.services.account import Account
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.services.launcher import Command, Probe, ServerProcess
from dpone.testing.services.ports import is_free
from dpone.testing.services.scratch import Scratch

_ATTEMPTS = 3  # at a free port, which somebody else may take between our look and the server's bind


class Launch(Struct, frozen=True):
    """How to start one server, and where it will answer."""

    command: Command
    ready: Probe
    endpoint: Endpoint


class LaunchedService(ABC):
    """A `Service` that is told by `prepare` what to run and does the rest; `tests/services` holds a whole example."""

    kind: str  # names its directories; servers of one kind clear away the dead ones of that kind
    account: Account | None = None  # that the server runs as, where it is not ours

    def __init__(self) -> None:
        self._scratch: Scratch | None = None
        self._launch: Launch | None = None
        self._server: ServerProcess | None = None
        self._owner = os.getpid()

    @abstractmethod
    def prepare(self, scratch: Scratch) -> Launch:
        """Everything is in place for the command to run. Called again, for another port, when the port was taken."""

    def forget(self, directory: Path) -> None:  # noqa: B027 - most servers keep nothing outside
        """What a server of this kind keeps outside of `directory` is freed; its processes are gone already."""

    @property
    def endpoint(self) -> Endpoint:
        if self._launch is None:
            message = f"{self.kind} was not started yet, so it has no endpoint"
            raise UsageError(message, code="service.not_started")
        return self._launch.endpoint

    @property
    def running(self) -> bool:
        return self._server is not None and self._server.running

    @property
    def pid(self) -> int | None:
        """Of the server itself, not of its supervisor."""
        return self._server.pid if self._server is not None and self._server.running else None

    @property
    def log(self) -> Path | None:
        return self._launch.command.log if self._launch is not None else None

    def start(self) -> Endpoint:
        if self._server is not None and self._launch is not None:
            if not self._server.running:
                _refuse_taken_ports(self._launch)
            self._server.start()
            return self.endpoint
        if self._scratch is None:
            self._scratch = Scratch(self.kind, self.account, forget=self.forget)
            self._owner = os.getpid()
            atexit.register(self._close_at_exit)
        try:
            self._server = self._first_start(self._scratch)
        except BaseException:
            self.close()
            raise
        return self.endpoint

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()

    def kill(self) -> None:
        if self._server is not None:
            self._server.kill()

    def close(self) -> None:
        atexit.unregister(self._close_at_exit)
        self.stop()
        if self._scratch is not None:
            self._scratch.remove()
        self._scratch = self._launch = self._server = None

    def __enter__(self) -> Endpoint:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _first_start(self, scratch: Scratch) -> ServerProcess:
        for attempt in range(1, _ATTEMPTS + 1):
            self._launch = self.prepare(scratch)
            server = ServerProcess(self._launch.command, self._launch.ready)
            try:
                # before: somebody else's server would answer our probe; after: it was faster than our server
                _refuse_taken_ports(self._launch)
                server.start()
            except RemoteError:
                if attempt == _ATTEMPTS or not _taken_ports(self._launch):
                    raise
            else:
                return server
        raise AssertionError  # the last attempt returned or raised

    def _close_at_exit(self) -> None:
        # a forked child that ends by sys.exit() runs this too, and the server is not its own
        if os.getpid() == self._owner:
            self.close()


def _taken_ports(launch: Launch) -> list[int]:
    return [port for port in launch.endpoint.ports.values() if not is_free(port)]


def _refuse_taken_ports(launch: Launch) -> None:
    taken = _taken_ports(launch)
    if taken:
        raise RemoteError(
            f"{launch.endpoint.connector} cannot start: another program listens on port {taken[0]} of this machine",
            code="service.port_taken",
            hint="end that program, or let the service choose its port",
        )
