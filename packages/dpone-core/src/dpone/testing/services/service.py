"""What every service can do, whoever provides it."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from dpone.testing.services.endpoint import Endpoint


class Service(Protocol):
    """A server of our own. `with service as endpoint:` starts it and leaves nothing behind.

    Inside the block `kill()` or `stop()` followed by `start()` restarts it in place: same port, same data.
    """

    @property
    def endpoint(self) -> Endpoint:
        """Where it answers; known from the first `start()` on."""
        ...

    def start(self) -> Endpoint:
        """It answers. Starting a started service changes nothing."""
        ...

    def stop(self) -> None:
        """It was shut down in order and keeps its data. Stopping a stopped service changes nothing."""
        ...

    def kill(self) -> None:
        """It was ended by SIGKILL, as in a crash, and keeps what a crash leaves."""
        ...

    def close(self) -> None:
        """It is stopped, and what it kept is gone."""
        ...

    def __enter__(self) -> Endpoint: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...
