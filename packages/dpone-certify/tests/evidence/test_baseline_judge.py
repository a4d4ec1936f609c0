"""A number beside its baseline: what it may fall to, and every reason why it does not hold, in its own words."""

from __future__ import annotations

from typing import Any

import pytest

from dpone_certify.baseline.judge import BaselineItem, compare
from dpone_certify.documents.document import Blocker

HIGHER, LOWER = {"value": 100, "direction": "higher"}, {"value": 100, "direction": "lower"}
MEASURE = "measure it, or take it out of the baseline by a reviewed change"
AGAIN = "measure the same profile again on a quiet machine before the baseline is touched"
WRITE = 'write {"value": <number>, "direction": "higher" or "lower"}'
NO_NUMBER = ("benchmark.invalid_metric:m", "m is no finite number", "measure it again")
NO_BASELINE = ("benchmark.invalid_baseline:m", "the baseline of m is not a value of zero or more with a direction")
NO_DIRECTION = ("benchmark.unknown_direction:m", "the baseline of m does not say whether higher or lower is better")


def item(**more: Any) -> BaselineItem:
    values: dict[str, Any] = {
        "metric": "m",
        "direction": "higher",
        "unit": None,
        "actual": 95.0,
        "baseline": 100.0,
        "allowed_threshold": None,
        "passed": False,
        "action": "",
    }
    return BaselineItem(**{**values, **more})


@pytest.mark.parametrize(
    "said, actual, allowed",
    [
        (HIGHER, 90, 90.0),
        (HIGHER, 90.5, 90.0),
        (LOWER, 110, 110.0),
        (LOWER, 0, 110.0),
        ({"value": 0, "direction": "lower"}, 0, 0.0),
        ({"value": 100, "direction": "higher", "unit": "rows/s"}, 10**300, 90.0),
    ],
)
def test_a_metric_that_holds(said: dict[str, Any], actual: float, allowed: float) -> None:
    found = compare({"m": actual, "other": 1}, {"m": said}, 0.1)
    assert found.blockers == ()
    assert found.items == (
        item(
            direction=said["direction"],
            unit=said.get("unit"),
            actual=float(actual),
            baseline=said["value"],
            allowed_threshold=allowed,
            passed=True,
        ),
    )


@pytest.mark.parametrize(
    "metrics, said, message, allowed",
    [
        (89.5, HIGHER, "m is 89.5, at least 90 is allowed (10% from 100)", 90.0),
        (110.5, LOWER, "m is 110.5, at most 110 is allowed (10% from 100)", 110.0),
    ],
)
def test_a_metric_that_fell_behind(metrics: float, said: dict[str, Any], message: str, allowed: float) -> None:
    found = compare({"m": metrics}, {"m": said}, 0.1)
    assert found.blockers == (Blocker(code="benchmark.regression:m", message=message, action=AGAIN),)
    assert found.items == (item(direction=said["direction"], actual=metrics, allowed_threshold=allowed, action=AGAIN),)


@pytest.mark.parametrize("actual", [None, "95", True, 10**300 + 1, -(10**300) - 1, [95]])
def test_a_metric_that_is_no_number(actual: object) -> None:
    found = compare({"m": actual}, {"m": HIGHER}, 0.1)
    assert [(b.code, b.message, b.action) for b in found.blockers] == [NO_NUMBER]
    assert found.items == (item(actual=None, action="measure it again"),)


def test_a_metric_that_was_not_measured() -> None:
    found = compare({}, {"m": HIGHER}, 0.1)
    assert [(b.code, b.message, b.action) for b in found.blockers] == [
        ("benchmark.missing_metric:m", "m was not measured", MEASURE)
    ]
    assert found.items == (item(actual=None, action=MEASURE),)


@pytest.mark.parametrize(
    "said, wrong, shown",
    [
        (100, NO_BASELINE, {"direction": None, "baseline": None}),
        ({"direction": "higher"}, NO_BASELINE, {"baseline": None}),
        ({"value": True, "direction": "lower"}, NO_BASELINE, {"direction": "lower", "baseline": None}),
        ({"value": -1, "direction": "higher"}, NO_BASELINE, {"baseline": -1.0}),
        ({**HIGHER, "ratio": 9}, NO_BASELINE, {}),
        ({"value": 100}, NO_DIRECTION, {"direction": None}),
        ({"value": 100, "direction": "up", "unit": 5}, NO_DIRECTION, {"direction": None}),
    ],
)
def test_a_baseline_that_says_nothing_that_can_be_held(
    said: object, wrong: tuple[str, str], shown: dict[str, Any]
) -> None:
    found = compare({"m": 95}, {"m": said}, 0.1)
    assert [(b.code, b.message, b.action) for b in found.blockers] == [(*wrong, WRITE)]
    assert found.items == (item(**shown, action=WRITE),)


def test_an_empty_baseline_holds_nothing() -> None:
    found = compare({"m": 95}, {}, 0.1)
    assert [(b.code, b.message, b.action) for b in found.blockers] == [
        (
            "benchmark.empty_baseline",
            "the baseline names no metric",
            "write what each metric has to reach, as {metric: {value, direction}}",
        )
    ]
    assert found.items == ()


def test_all_metrics_are_held_by_their_names_order_and_the_first_reason_says_what_to_do() -> None:
    found = compare({"z": 1}, {"z": HIGHER, "b": {"value": 1}, "a": LOWER}, 0.1)
    assert [b.code for b in found.blockers] == [
        "benchmark.missing_metric:a",
        "benchmark.unknown_direction:b",
        "benchmark.missing_metric:b",
        "benchmark.regression:z",
    ]
    assert [(i.metric, i.passed, i.action) for i in found.items] == [
        ("a", False, MEASURE),
        ("b", False, WRITE),
        ("z", False, AGAIN),
    ]
