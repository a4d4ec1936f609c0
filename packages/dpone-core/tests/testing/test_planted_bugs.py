"""A suite that stays green over a wrong connector proves nothing: each planted bug must turn its test red."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from _pytest.config import ExitCode


def _planted() -> ModuleType:
    path = Path(__file__).parent / "planted.py"
    spec = importlib.util.spec_from_file_location("planted", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PLANTS: dict[str, tuple[object, str, bool]] = _planted().PLANTS


@pytest.mark.parametrize("bug", PLANTS)
def test_the_suite_goes_red(bug: str, run_suite: Callable[..., tuple[int, str]]) -> None:
    _, caught_by, _ = PLANTS[bug]
    file, _, test = caught_by.partition("::")
    code, said = run_suite(f"planted:memory_with_{bug}", "-x", "-k", test, "--pyargs", f"dpone.testing.suite.{file}")
    assert code == ExitCode.TESTS_FAILED, f"{bug} was not caught: {said}"
    assert re.search(rf"FAILED .*{file}\.py::{test}\b", said), f"{bug} was caught elsewhere: {said}"


def test_there_are_bugs_of_every_part() -> None:
    assert len(PLANTS) >= 40
