"""Intervals as months, days and microseconds, whichever of the two usual ways they are spelled in."""

from __future__ import annotations

import re
from decimal import Decimal

_ISO = re.compile(
    r"P(?:(?P<years>-?\d+)Y)?(?:(?P<mons>-?\d+)M)?(?:(?P<weeks>-?\d+)W)?(?:(?P<days>-?\d+)D)?"
    r"(?:T(?:(?P<hours>-?\d+)H)?(?:(?P<mins>-?\d+)M)?(?:(?P<secs>-?\d+(?:\.\d+)?)S)?)?"
)
_VERBOSE = re.compile(
    r"(?:(?P<years>[-+]?\d+) years? ?)?(?:(?P<mons>[-+]?\d+) mons? ?)?(?:(?P<days>[-+]?\d+) days? ?)?"
    r"(?:(?P<sign>[-+]?)(?P<hours>\d+):(?P<mins>\d+):(?P<secs>\d+(?:\.\d+)?))?"
)

Interval = tuple[int, int, Decimal]


def interval(text: str) -> Interval | str:
    """Months, days and seconds of an interval, or the text itself when it is spelled otherwise."""
    found = _ISO.fullmatch(text) or _VERBOSE.fullmatch(text)
    if found is None or not text:
        return text
    part = {name: Decimal(value) for name, value in found.groupdict().items() if value and name != "sign"}
    sign = -1 if found.groupdict().get("sign") == "-" else 1
    seconds = part.get("hours", 0) * 3_600 + part.get("mins", 0) * 60 + part.get("secs", Decimal(0))
    months = part.get("years", 0) * 12 + part.get("mons", 0)
    return int(months), int(part.get("weeks", 0) * 7 + part.get("days", 0)), sign * Decimal(seconds)
