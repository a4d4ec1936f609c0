"""The markers and variables of tests/conftest.py do what they promise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest

def test_plain(): ...

@pytest.mark.integration_matrix_mock
def test_mock(): ...

@pytest.mark.integration_postgres
def test_postgres(): ...

@pytest.mark.integration_replay
def test_replay(): ...

@pytest.mark.integration_matrix
def test_matrix(): ...

@pytest.mark.integration_live
def test_live(): ...
"""

ALWAYS = {"test_plain", "test_mock"}


def outcome(root: Path, folder: Path, source: str, *set_variables: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_sample.py").write_text(source)
    (folder / "conftest.py").write_text((root / "tests/conftest.py").read_text())
    command = [sys.executable, "-m", "pytest", "-c", str(root / "pyproject.toml"), "--rootdir", str(folder), "-vrs"]
    environment = dict.fromkeys(set_variables, "1")
    return subprocess.run(
        [*command, "-p", "no:cacheprovider", str(folder)],
        env=environment,
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "variables, also",
    [
        pytest.param((), set(), id="none"),
        pytest.param(("DPONE_RUN_INTEGRATION",), {"test_postgres"}, id="integration"),
        pytest.param(("DPONE_RUN_INTEGRATION_REPLAY",), {"test_replay"}, id="replay"),
        pytest.param(("DPONE_RUN_INTEGRATION_MATRIX",), set(), id="matrix-alone"),
        pytest.param(
            ("DPONE_RUN_INTEGRATION", "DPONE_RUN_INTEGRATION_MATRIX"), {"test_postgres", "test_matrix"}, id="matrix"
        ),
        pytest.param(
            ("DPONE_RUN_INTEGRATION", "DPONE_RUN_INTEGRATION_LIVE"), {"test_postgres", "test_live"}, id="live"
        ),
    ],
)
def test_a_marker_runs_with_its_variables_alone(
    root: Path, tmp_path: Path, variables: tuple[str, ...], also: set[str]
) -> None:
    result = outcome(root, tmp_path, TESTS, *variables)
    passed = {line.split("::")[1].split()[0] for line in result.stdout.splitlines() if " PASSED" in line}
    assert passed == ALWAYS | also, result.stdout


def test_a_skip_names_the_variable_that_is_missing(root: Path, tmp_path: Path) -> None:
    skipped = outcome(root, tmp_path, TESTS, "DPONE_RUN_INTEGRATION").stdout
    assert "integration_matrix needs DPONE_RUN_INTEGRATION_MATRIX=1" in skipped


def test_both_matrix_markers_on_one_test_are_refused(root: Path, tmp_path: Path) -> None:
    both = "import pytest\n@pytest.mark.integration_matrix\n@pytest.mark.integration_matrix_mock\ndef test(): ...\n"
    result = outcome(root, tmp_path, both)
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert "has both matrix markers" in result.stdout + result.stderr
