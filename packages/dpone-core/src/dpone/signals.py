"""SIGINT and SIGTERM during a run: whatever is not yet visible is rolled back, whatever is being committed is finished.

The first signal raises `Interrupted` in the main thread, or as soon as a shielded section ends; worker threads see it
at their next batch through `Stop`.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(BaseException):
    """A signal asked the run to end. Not an Exception: nothing but the end of the run may swallow it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_code = 128 + signum


class Stop:
    """Whether the run was asked to end."""

    def __init__(self) -> None:
        self._signum: int | None = None
        self._shields = 0
        self._main = threading.main_thread()

    def check(self) -> None:
        """Raises `Interrupted` when a signal came."""
        if self._signum is not None:
            raise Interrupted(self._signum)

    @contextmanager
    def shield(self) -> Iterator[None]:
        """Inside, a signal is only remembered; the main thread raises it on leaving."""
        on_main = threading.current_thread() is self._main
        if not on_main:
            yield
            return
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1
        if not self._shields:
            self.check()

    def __call__(self, signum: int, _frame: FrameType | None) -> None:
        first = self._signum is None
        self._signum = signum
        if first and not self._shields:
            raise Interrupted(signum)


@contextmanager
def interruptible() -> Iterator[Stop]:
    """Within the context, SIGINT and SIGTERM end the run in order; outside the main thread nothing is installed."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
