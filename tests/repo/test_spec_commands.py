"""Every pytest line that the specification shows selects at least one test, with and without its variables."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ON = {"DPONE_RUN_INTEGRATION": "1"}
MATRIX = {**ON, "DPONE_RUN_INTEGRATION_MATRIX": "1"}
LINES: dict[str, dict[str, str]] = {
    "-m|not integration_live and not integration_matrix": {},
    "tests/integration/matrix|-m|integration_matrix_mock": {},
    "tests/integration/matrix|-m|integration_matrix": {},
    "-m|integration_matrix|tests/integration/matrix|-q": MATRIX,
    "tests/integration|-m|integration_mssql": ON,
    "tests/integration|-m|integration_postgres": ON,
    "tests/integration|-m|integration_clickhouse": ON,
    "tests/integration|-m|integration_kafka": ON,
    "-m|integration_replay|tests/integration/replay|-q": {"DPONE_RUN_INTEGRATION_REPLAY": "1"},
    "tests/integration|-m|integration_live": {**ON, "DPONE_RUN_INTEGRATION_LIVE": "1"},
}


@pytest.mark.timeout(600)  # all tests are collected, beside others
@pytest.mark.parametrize("is_set", [True, False], ids=["with its variables", "without"])
@pytest.mark.parametrize("line", LINES)
def test_the_line_selects_tests(line: str, is_set: bool) -> None:  # noqa: FBT001 -- a parameter of pytest
    plain = {name: value for name, value in os.environ.items() if not name.startswith("DPONE_")}
    environment = {**plain, **(LINES[line] if is_set else {})}
    command = [sys.executable, "-m", "pytest", *line.split("|"), "--collect-only", "-q", "-p", "no:cacheprovider"]
    collected = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    assert collected.returncode == 0, collected.stdout[-1_500:]


@pytest.mark.timeout(600)
def test_one_case_of_the_matrix_is_run_by_its_name(tmp_path: Path) -> None:
    case = "postgres_to_mssql__incremental_merge"
    environment = {**os.environ, **MATRIX, "DPONE_MATRIX_CASE_ID": case, "DPONE_MATRIX_ARTIFACT_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-m", "integration_matrix", "tests/integration/matrix", "-q"]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-1_500:]
    assert [path.name for path in tmp_path.glob("*__behavior.json")] == [f"{case}__behavior.json"]
