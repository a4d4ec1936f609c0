"""What the tests of the repository read: its root, its members and its tracked files."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def members() -> dict[str, dict[str, Any]]:
    """Each distribution's name, and its pyproject.toml."""
    files = sorted((ROOT / "packages").glob("*/pyproject.toml"))
    return {file.parent.name: tomllib.loads(file.read_text()) for file in files}


@pytest.fixture(scope="session")
def tracked() -> list[Path]:
    """Every file that git holds and the tree still has."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


@pytest.fixture(scope="session")
def sessions() -> set[str]:
    """What `nox -l` lists."""
    listed = subprocess.run(
        [sys.executable, "-m", "nox", "-l"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return {line.split()[1] for line in listed.splitlines() if line.startswith(("* ", "- "))}
