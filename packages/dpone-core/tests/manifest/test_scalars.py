"""Durations, sizes, steps, types and bounds: what their texts mean, and that they print what they read."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from dpone.manifest import scalars
from dpone.manifest.scalars import Step, duration_of, moment_of, print_duration, size_of, step_of


@pytest.mark.parametrize(
    "text, seconds",
    [("30s", 30), ("5m", 300), ("2 hours", 7200), ("1 day", 86400), ("2 weeks", 1209600), ("0s", 0), ("10 min", 600)],
)
def test_durations(text: str, seconds: int) -> None:
    assert duration_of(text) == timedelta(seconds=seconds)
    assert re.search(scalars.DURATION_PATTERN, text)


@pytest.mark.parametrize(
    "text", ["5", "5 parsecs", "-5m", "5  m", "1h30m", "", "m", "9999999d", 55, True, None, "5m\n"]
)
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(PydanticCustomError, match="expected a duration"):
        duration_of(text)


@given(st.integers(0, 999_999), st.sampled_from(["s", "m", "h", "d", "w"]))
def test_a_duration_prints_what_is_read(count: int, unit: str) -> None:
    duration = duration_of(f"{count}{unit}")
    if duration < timedelta(weeks=999_999):
        printed = print_duration(duration)
        assert len(printed) > 7 or duration_of(printed) == duration


@pytest.mark.parametrize(
    "text, size", [("1B", 1), ("512MiB", 512 << 20), ("2 GB", 2_000_000_000), ("3KiB", 3072), (100, 100)]
)
def test_sizes(text: object, size: int) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["0B", "MiB", "1.5GB", "1 gb", -1, 0, True, "5"])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(PydanticCustomError, match="expected a size"):
        size_of(text)


@pytest.mark.parametrize(
    "text, step",
    [
        ("month", Step(1, "month")),
        ("7 days", Step(7, "day")),
        ("1 year", Step(1, "year")),
        ("hours", Step(1, "hour")),
        (1000, Step(1000, "value")),
    ],
)
def test_steps(text: object, step: Step) -> None:
    assert step_of(text) == step
    assert step_of(step.count if step.unit == "value" else str(step)) == step


@pytest.mark.parametrize("text", ["0 days", "fortnight", "", 0, -1, True, None, "7days", "months of"])
def test_what_is_no_step(text: object) -> None:
    with pytest.raises(PydanticCustomError, match="expected a step"):
        step_of(text)


@pytest.mark.parametrize(
    "text", ["2026-01-31", "2026-01-31T12:00", "2026-01-31 12:00:00.123456+02:00", "2026-01-31T00:00:00Z"]
)
def test_moments(text: str) -> None:
    assert moment_of(text) is not None


@pytest.mark.parametrize(
    "text", ["2026-02-30", "31.01.2026", "20260131", "2026-01-31T25:00", "yesterday", "2026-01-31\n"]
)
def test_what_is_no_moment(text: str) -> None:
    assert moment_of(text) is None
