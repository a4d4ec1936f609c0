"""How far a server's clock is from this machine's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from dpone.connector import Finding

_MOST = timedelta(seconds=2)
_ACTION = "set both clocks by NTP: freshness checks and lags by the clock are off by as much"


def clock(ask: Callable[[], datetime]) -> Finding:
    """The server's time lies between the moments when it was asked and when it answered, or close to them."""
    asked = datetime.now(UTC)
    found = ask()
    answered = datetime.now(UTC)
    ahead = found - answered if found > answered else found - asked if found < asked else timedelta(0)
    word = "ahead of" if ahead > timedelta(0) else "behind"
    said = "as here" if abs(ahead) < _MOST else f"{abs(ahead).total_seconds():,.1f} s {word} this machine"
    return Finding("clock", ok=abs(ahead) < _MOST, found=said, action=_ACTION, unless="warning")
