"""The rules of the suite itself: who is tested, and what a declared deviation must be."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from _pytest.config import ExitCode

SuiteRun = Callable[..., tuple[int, str]]
CHOSEN = ("--pyargs", "dpone.testing.suite.test_state", "-k", "test_a_new_target_has_no_state or test_each_commit")


def test_only_a_server_that_was_given_may_lack_something(run_suite: SuiteRun) -> None:
    args = ("--pyargs", "dpone.testing.suite.test_upsert", "-k", "test_upsert_leaves_equal_rows_untouched", "-rs")
    code, said = run_suite("deviating:lacking_there", *args)
    assert code == ExitCode.OK, said
    assert "the server that was given: rows cannot be shown" in said
    code, said = run_suite("deviating:lacking_here", *args)
    assert code == ExitCode.TESTS_FAILED, said
    assert "Lacking" in said


def test_a_deviation_that_fails_by_its_code_is_expected(run_suite: SuiteRun) -> None:
    code, said = run_suite("deviating:as_declared", *CHOSEN)
    assert code == ExitCode.OK, said
    assert "1 passed, " in said
    assert "1 xfailed" in said


def test_a_deviation_that_passes_is_red(run_suite: SuiteRun) -> None:
    code, said = run_suite("deviating:no_longer", *CHOSEN)
    assert code == ExitCode.TESTS_FAILED, said
    assert "is no deviation: remove it" in said


def test_a_deviation_that_fails_by_another_code_is_red(run_suite: SuiteRun) -> None:
    code, said = run_suite("deviating:by_another_code", *CHOSEN)
    assert code == ExitCode.TESTS_FAILED, said
    assert re.search(r"FAILED .*test_each_commit_raises_the_generation_by_one", said)


def test_a_deviation_that_fails_an_assertion_is_red(run_suite: SuiteRun) -> None:
    code, said = run_suite("deviating:by_wrong_rows", *CHOSEN)
    assert code == ExitCode.TESTS_FAILED, said
    assert "AssertionError" in said


def test_a_deviation_of_another_fidelity_does_not_count(run_suite: SuiteRun) -> None:
    code, said = run_suite("deviating:of_another_fidelity", *CHOSEN)
    assert code == ExitCode.TESTS_FAILED, said
    assert "xfailed" not in said


def test_a_deviation_of_a_test_that_is_not_there_is_red(run_suite: SuiteRun) -> None:
    args = ("--pyargs", "dpone.testing.suite.test_declaration", "-k", "deviations")
    code, said = run_suite("deviating:of_no_test", *args)
    assert code == ExitCode.TESTS_FAILED, said
    code, said = run_suite("deviating:as_declared", *args)
    assert code == ExitCode.OK, said


def test_a_deviation_may_be_one_case_of_a_test(run_suite: SuiteRun) -> None:
    args = ("--pyargs", "dpone.testing.suite.test_state", "-k", "test_a_position_is_found_as_it_was_saved")
    code, said = run_suite("deviating:of_one_case", *args)
    assert code == ExitCode.OK, said
    assert "1 xfailed" in said


@pytest.mark.parametrize(
    "args, says",
    [
        (["--pyargs", "dpone.testing.suite"], "needs to know whom to test"),
        (["--pyargs", "dpone.testing.suite", "--connector", "nobody"], "no testkit is registered for 'nobody'"),
    ],
    ids=["nobody_asked_for", "unknown"],
)
def test_a_suite_that_tests_nobody_says_so(args: list[str], says: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *args]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert says in done.stdout + done.stderr


def test_a_walk_over_the_sources_collects_no_suite() -> None:
    import dpone.testing.suite

    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider"]
    done = subprocess.run([*command, *dpone.testing.suite.__path__], capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.NO_TESTS_COLLECTED, done.stdout
