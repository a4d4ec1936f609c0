"""The connector of docs/how-to/write-a-connector.md, as a third party would have it: beside dpone, known to nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/dpone-connectors-sqlite"
MATRIX = """
from dpone import registry
from dpone.integration_matrix import derive
from dpone_sqlite import connector
cases = derive([registry.load("postgres"), connector]).cases
print(sum((c.source, c.sink) == ("postgres", "sqlite") for c in cases), sum(c.source == "sqlite" for c in cases))
"""


def run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLE / "src")}
    return subprocess.run(
        [sys.executable, *command], cwd=EXAMPLE, env=environment, check=False, capture_output=True, text=True
    )


def test_it_enters_the_matrix_by_what_it_declares() -> None:
    assert run("-c", MATRIX).stdout.split() == ["10", "16"]


@pytest.mark.timeout(300)
def test_it_passes_the_suite() -> None:
    """A part of it; `nox -s example` runs all, in an environment of its own."""
    part = "test_declaration or test_whole_tables or test_commit or test_sweep"
    command = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", part, "--pyargs", "dpone.testing.suite")
    done = run(*command, "--testkit", "dpone_sqlite.testkit:testkit")
    assert done.returncode == 0, done.stdout[-3_000:]


def test_nothing_in_the_packages_knows_of_it() -> None:
    found = subprocess.run(
        ["git", "grep", "-l", "dpone_sqlite", "--", "packages"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert found.stdout == ""
