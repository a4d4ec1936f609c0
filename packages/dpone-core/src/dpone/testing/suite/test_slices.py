"""ReplaceSlice against the oracle: whole slices and half-open ranges, and nothing beside them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dpone.ops import (
    Append,
    Grain,
    ReplaceSlice,
)
from dpone.schema import Schema
from dpone.testing.suite.rig import SinkRig
from dpone.testing.suite.shapes import (
    DAY_ZERO,
    FREE,
    MIXED,
    NOON,
    row,
)
from dpone.testing.suite.streams import stream_of


@pytest.mark.parametrize("grain", Grain)
def test_the_slices_of_the_stage_are_exchanged(sink: SinkRig, grain: Grain) -> None:
    sink.require(Append, ReplaceSlice)
    column = "seen_at" if grain is Grain.HOUR else "day"
    sliced = Schema(MIXED.fields)
    s = stream_of(sink, (Append("first"),), sliced)
    moments = [0, 1, 30, 59, 60, 61, 23 * 60, 24 * 60, 31 * 24 * 60, 366 * 24 * 60]
    day_of = [(NOON + timedelta(minutes=m)) for m in moments]
    s.load([*(row(i, seen_at=at, day=at.date()) for i, at in enumerate(day_of)), row(90, seen_at=None, day=None)])
    program = (ReplaceSlice(column, grain, None, FREE),)
    s.job = stream_of(sink, program, sliced, target=s.job.target).job
    at = NOON + timedelta(minutes=61)
    s.load([row(50, seen_at=at, day=at.date())])
    s.load([])


@pytest.mark.parametrize(
    "column, lo, hi, inside",
    [
        pytest.param("id", 10, 20, 15, id="int"),
        pytest.param("day", DAY_ZERO, DAY_ZERO + timedelta(days=3), DAY_ZERO + timedelta(days=2), id="date"),
        pytest.param("seen_at", NOON, NOON + timedelta(hours=12), NOON + timedelta(microseconds=1), id="instant"),
    ],
)
def test_a_range_is_exchanged_and_its_bounds_are_half_open(
    sink: SinkRig, column: str, lo: Any, hi: Any, inside: Any
) -> None:
    sink.require(Append, ReplaceSlice)
    sliced = Schema(MIXED.fields)
    s = stream_of(sink, (Append("first"),), sliced)
    step = 1 if column == "id" else timedelta(days=1) if column == "day" else timedelta(microseconds=1)
    s.load([row(n, **{column: v}) for n, v in enumerate([lo - step, lo, inside, hi - step, hi, hi + step])])
    s.job = stream_of(sink, (ReplaceSlice(column, Grain.VALUE, (lo, hi), FREE),), sliced, target=s.job.target).job
    s.load([row(70, **{column: lo}), row(71, **{column: inside})])
    s.load([])
