"""Processes that die at a failpoint, and the patience of those that come after them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

from dpone import failpoints
from dpone.errors import DponeError, StateError

PATIENCE = 15.0  # seconds that a server may need to notice that a process was killed

T = TypeVar("T")


def killed(place: str, act: Callable[[], object]) -> bool:
    """Whether a process that does this was killed at the place; False when it came to its end before."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.environ["DPONE_FAILPOINT"] = place
            failpoints._hits.clear()  # noqa: SLF001 - those of this process are none of its child's
            act()
            code = 0
        except DponeError:
            code = 2
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, -signal.SIGKILL}, f"{place}: the process ended with {code}"
    return code != 0


def patiently(act: Callable[[], T], seconds: float = PATIENCE) -> T:
    """What it gives, once the server has noticed that the last holder of the lease is gone."""
    until = monotonic() + seconds
    while True:
        try:
            return act()
        except StateError as error:
            if error.code != "state.leased" or monotonic() > until:
                raise
        sleep(0.05)
