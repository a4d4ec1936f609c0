"""Named places where a test can end the process, raise an error or look around; each does nothing unless armed.

`DPONE_FAILPOINT=after_seal` kills the process there with SIGKILL, `after_seal:2` at the second time that it is
reached. In a test, `arm()` puts any action at a place.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# The order of one run. A sink that publishes names its own steps `publish.<step>`.
RUN = (
    "after_open",
    "after_first_batch",
    "before_seal",
    "after_seal",
    "after_keep",
    "after_ensure",
    "after_each_op",
    "after_reconcile",
    "after_save_position",
    "after_commit",
    "before_settle",
)

_armed: dict[str, Callable[[], None]] = {}
_hits: dict[str, int] = {}


def hit(name: str) -> None:
    """Marks that execution passes the failpoint `name`."""
    if action := _armed.get(name):
        action()
    if (asked := os.environ.get("DPONE_FAILPOINT")) is not None:
        place, _, nth = asked.partition(":")
        if place == name:
            _hits[name] = _hits.get(name, 0) + 1
            if _hits[name] == int(nth or 1):
                os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def arm(name: str, action: Callable[[], None]) -> Iterator[None]:
    """Within the context, `action` runs whenever `name` is hit."""
    before = _armed.get(name)
    _armed[name] = action
    try:
        yield
    finally:
        if before is None:
            del _armed[name]
        else:
            _armed[name] = before
