"""Commits that a server carries out, and of which its client hears nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from dpone.errors import RemoteError
from dpone.failpoints import arm
from dpone.testing.services.endpoint import Endpoint


@contextmanager
def losing_answers(endpoint: Endpoint, *places: str) -> Iterator[None]:
    """Within the context the connection is closed at these failpoints, which lie right behind the commit."""

    def lost() -> None:
        raise RemoteError(
            f"{endpoint.connector} closed the connection during a commit", code="sink.unreachable", retryable=True
        )

    with ExitStack() as stack:
        for place in places:
            stack.enter_context(arm(place, lost))
        yield
