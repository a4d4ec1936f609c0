"""A suite that stays green over a wrong connector proves nothing: each planted bug must turn its test red."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from _pytest.config import ExitCode


def _planted() -> dict[str, tuple[object, str, bool]]:
    """The bugs by name; the modules that hold them are found by the suite's process through PYTHONPATH."""
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        plants: dict[str, tuple[object, str, bool]] = import_module("planted").PLANTS
    finally:
        sys.path.pop(0)
    return plants


PLANTS = _planted()


@pytest.mark.parametrize("bug", PLANTS)
def test_the_suite_goes_red(bug: str, run_suite: Callable[..., tuple[int, str]]) -> None:
    _, caught_by, _ = PLANTS[bug]
    file, _, test = caught_by.partition("::")
    code, said = run_suite(f"planted:memory_with_{bug}", "-x", "-k", test, "--pyargs", f"dpone.testing.suite.{file}")
    assert code == ExitCode.TESTS_FAILED, f"{bug} was not caught: {said}"
    assert re.search(rf"FAILED .*{file}\.py::{test}\b", said), f"{bug} was caught elsewhere: {said}"


def test_there_are_bugs_of_every_part() -> None:
    assert len(PLANTS) >= 40
