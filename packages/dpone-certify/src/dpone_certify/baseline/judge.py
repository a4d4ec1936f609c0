"""Numbers beside a baseline: what each metric may fall to, and every reason why one does not hold. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Literal, TypeGuard, get_args

from msgspec import Struct

from dpone_certify.documents.document import Blocker, Part

Direction = Literal["higher", "lower"]
_KEYS = {"value", "direction", "unit"}


class BaselineItem(Part):
    """One metric; what could not be read is null, and its blocker says why."""

    metric: str
    direction: Direction | None
    unit: str | None
    actual: float | None
    baseline: float | None
    allowed_threshold: float | None
    passed: bool
    action: str


class Comparison(Struct, frozen=True):
    items: tuple[BaselineItem, ...]
    blockers: tuple[Blocker, ...]


def compare(metrics: Mapping[str, Any], baseline: Mapping[str, Any], ratio: float) -> Comparison:
    """Every metric of the baseline, held to it; passed is only one that is there, a number, and good enough."""
    items, blockers = [], []
    if not baseline:
        action = "write what each metric has to reach, as {metric: {value, direction}}"
        blockers.append(Blocker(code="benchmark.empty_baseline", message="the baseline names no metric", action=action))
    for metric in sorted(baseline):
        item, wrong = _held(metric, metrics, baseline[metric], ratio)
        items.append(item)
        blockers += wrong
    return Comparison(tuple(items), tuple(blockers))


def threshold(value: float, direction: Direction, ratio: float) -> float:
    """The worst number that still holds."""
    share = Decimal(str(ratio))
    return float(Decimal(str(value)) * (1 - share if direction == "higher" else 1 + share))


def _held(metric: str, metrics: Mapping[str, Any], said: Any, ratio: float) -> tuple[BaselineItem, tuple[Blocker, ...]]:
    wrong = list(_wrong_baseline(metric, said))
    said = said if isinstance(said, dict) else {}
    direction = said.get("direction") if said.get("direction") in get_args(Direction) else None
    value = said["value"] if _is_number(said.get("value")) else None
    unit = said.get("unit") if isinstance(said.get("unit"), str) else None
    actual = metrics.get(metric)
    if metric not in metrics:
        action = "measure it, or take it out of the baseline by a reviewed change"
        wrong.append(
            Blocker(code=f"benchmark.missing_metric:{metric}", message=f"{metric} was not measured", action=action)
        )
    elif not _is_number(actual):
        message = f"{metric} is no finite number"
        wrong.append(Blocker(code=f"benchmark.invalid_metric:{metric}", message=message, action="measure it again"))
    allowed = None
    if not wrong and direction is not None and value is not None and actual is not None:
        allowed = threshold(value, direction, ratio)
        if actual < allowed if direction == "higher" else actual > allowed:
            bound = "at least" if direction == "higher" else "at most"
            message = f"{metric} is {actual:g}, {bound} {allowed:g} is allowed ({ratio:.0%} from {value:g})"
            action = "measure the same profile again on a quiet machine before the baseline is touched"
            wrong.append(Blocker(code=f"benchmark.regression:{metric}", message=message, action=action))
    item = BaselineItem(
        metric=metric,
        direction=direction,
        unit=unit,
        actual=float(actual) if _is_number(actual) else None,
        baseline=value,
        allowed_threshold=allowed,
        passed=not wrong,
        action=wrong[0].action if wrong else "",
    )
    return item, tuple(wrong)


def _wrong_baseline(metric: str, said: Any) -> Iterator[Blocker]:
    action = 'write {"value": <number>, "direction": "higher" or "lower"}'
    if not isinstance(said, dict) or said.keys() - _KEYS or not _is_number(said.get("value")) or said["value"] < 0:
        message = f"the baseline of {metric} is not a value of zero or more with a direction"
        yield Blocker(code=f"benchmark.invalid_baseline:{metric}", message=message, action=action)
        return
    if said.get("direction") not in get_args(Direction):
        message = f"the baseline of {metric} does not say whether higher or lower is better"
        yield Blocker(code=f"benchmark.unknown_direction:{metric}", message=message, action=action)


def _is_number(value: Any) -> TypeGuard[float]:
    # bool is an int to Python; a float beyond the finite ones never leaves the parser
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _MOST


_MOST = 10**300
