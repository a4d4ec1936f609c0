"""Ratios and their intervals, on numbers whose answer is known."""

from __future__ import annotations

import pytest

from dpone_certify.benchmark.intervals import ratio


def test_a_constant_ratio_has_no_width() -> None:
    found = ratio([2.0, 4.0, 8.0], [1.0, 2.0, 4.0])
    assert (found.median, found.low, found.high) == (2.0, 2.0, 2.0)


def test_a_slow_round_that_slows_both_changes_nothing() -> None:
    calm = ratio([1.1, 1.0, 1.2, 1.1], [1.0, 1.0, 1.0, 1.0])
    disturbed = ratio([1.1, 50.0, 1.2, 1.1], [1.0, 50.0, 1.0, 1.0])
    assert (calm.median, calm.low, calm.high) == pytest.approx((disturbed.median, disturbed.low, disturbed.high))


def test_the_median_is_of_ratios_and_not_a_ratio_of_medians() -> None:
    assert ratio([1.0, 30.0, 2.0], [2.0, 10.0, 1.0]).median == 2.0
    assert 2.0 / 2.0 == 1.0  # what the ratio of medians would be


def test_the_interval_holds_the_median_and_stays_within_the_rounds() -> None:
    ours = [1.0, 1.4, 0.9, 1.1, 1.2, 1.05, 0.95]
    found = ratio(ours, [1.0] * 7)
    assert min(ours) <= found.low < found.median < found.high <= max(ours)
    assert found == ratio(ours, [1.0] * 7), "the same measurement gives the same interval"


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    import random

    chance = random.Random(7)
    covered = 0
    for _ in range(60):
        found = ratio([chance.lognormvariate(0, 0.2) for _ in range(15)], [1.0] * 15)
        covered += found.low <= 1.0 <= found.high
    assert covered >= 52


def test_rounds_must_be_pairs() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio([1.0, 2.0], [1.0])
