"""Oracle, default SQL rendering and postconditions against each other, over random loads of every strategy."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings

from algebra.loads import run
from algebra.scenarios import Scenario, drawn_scenarios, seeded_scenarios
from dpone.strategies import STRATEGIES

FULL = os.environ.get("DPONE_HYPOTHESIS_PROFILE") == "full"
EXAMPLES = 1_000 if FULL else 150
LOADS = 2_000 if FULL else 300

quickly = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=not FULL,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_oracle_sql_and_postcondition_agree(
    strategy: str, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    loads = 0

    @settings(quickly, max_examples=EXAMPLES // 5)
    @given(drawn_scenarios(strategy))
    def hold(scenario: Scenario) -> None:
        nonlocal loads
        loads += run(scenario)

    @quickly
    @given(seeded_scenarios(strategy))
    def hold_many(scenario: Scenario) -> None:
        nonlocal loads
        loads += run(scenario)

    hold()
    hold_many()
    record_property("loads", loads)
    with capsys.disabled():
        sys.stdout.write(f"\n{strategy}: {loads} loads alike in oracle, SQL and postcondition ")
    assert loads >= LOADS


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_nan_is_one_value_to_oracle_and_postcondition(strategy: str) -> None:
    # SQLite stores NaN as NULL, so that the rendering cannot be asked here; the engines' own suites do
    @settings(quickly, max_examples=EXAMPLES // 2)
    @given(seeded_scenarios(strategy, nan=True))
    def hold(scenario: Scenario) -> None:
        run(scenario, engine=None)

    hold()
