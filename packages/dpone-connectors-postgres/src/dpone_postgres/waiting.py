"""Waiting for a connection's socket, whatever its number: `select` knows no file beyond the 1024th."""

from __future__ import annotations

import selectors
from selectors import EVENT_READ, EVENT_WRITE

__all__ = ["EVENT_READ", "EVENT_WRITE", "wait_for"]

_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)  # Windows has no poll, and no such bound


def wait_for(socket: int, events: int, seconds: float | None = None) -> int:
    """Those of the events that came to pass first; none when the time is over."""
    with _Selector() as selector:
        selector.register(socket, events)
        return next((happened for _, happened in selector.select(seconds)), 0)
