"""Medians of ratios, and how far they may be trusted: a percentile bootstrap over rounds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from statistics import median

from msgspec import Struct

_RESAMPLES = 5000
_SEED = 20240601  # the same measurement gives the same interval
_TAIL = 0.025


class Interval(Struct, frozen=True):
    """A median with the bounds between which it lies in 95 of 100 resamplings of the rounds."""

    median: float
    low: float
    high: float


def ratio(measured: Sequence[float], control: Sequence[float]) -> Interval:
    """The median of measured / control, round by round: what slows both ends of a round down leaves its ratio alone."""
    ratios = [m / c for m, c in zip(measured, control, strict=True)]
    chance = random.Random(_SEED)  # noqa: S311 - resampling is no secret
    medians = sorted(median(chance.choices(ratios, k=len(ratios))) for _ in range(_RESAMPLES))
    cut = int(_TAIL * _RESAMPLES)
    return Interval(median(ratios), medians[cut], medians[-cut - 1])
