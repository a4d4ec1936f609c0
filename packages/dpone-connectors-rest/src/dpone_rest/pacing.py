"""When the next request may be sent: the rate that was agreed on, growing waits after failures, and Retry-After."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Lock
from time import monotonic, sleep

_FIRST, _LONGEST = 0.5, 30.0  # seconds of the first and the longest wait that we choose ourselves


class Pace:
    """At most `rate` requests per second, whoever sends them; None is without a limit."""

    def __init__(self, rate: float | None, wait: Callable[[float], None] = sleep) -> None:
        self._gap = 0.0 if rate is None else 1 / rate
        self._wait = wait
        self._next = 0.0
        self._lock = Lock()

    def take(self) -> None:
        """Returns when the next request is due."""
        if not self._gap:
            return
        with self._lock:
            now = monotonic()
            due = max(self._next, now)
            self._next = due + self._gap
        if due > now:
            self._wait(due - now)


def backoff(attempt: int, dice: Callable[[], float]) -> float:
    """Seconds to wait after the attempt of this number, from one on: half of them fixed, half by the dice."""
    longest = min(_LONGEST, _FIRST * 2.0 ** (attempt - 1))
    return longest / 2 + longest / 2 * dice()


def retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """The seconds that the header asks for, be it by a number or by a date; None when it says nothing."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - (now or datetime.now(UTC))).total_seconds())
