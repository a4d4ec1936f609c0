"""The vendors' own systems, each at the connection that its profile names; what is not given is skipped by name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dpone import registry
from dpone.integration_matrix import SPECIFIED

pytestmark = pytest.mark.integration_live
CONNECTORS = [capabilities.name for capabilities in SPECIFIED]
BOTH = [capabilities.name for capabilities in SPECIFIED if capabilities.reads and capabilities.ops]


def dpone(*words: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("dpone")), *words]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def require(name: str) -> str:
    """The profile of a connector whose live connection was given."""
    profile = registry.load(name).profile.name
    variable = f"DPONE_CONN_{profile.upper()}"
    if not os.environ.get(variable):
        pytest.skip(f"{profile} needs {variable}")
    return profile


@pytest.mark.parametrize("name", CONNECTORS)
def test_the_profile_is_satisfied(name: str) -> None:
    done = dpone("doctor", "--profile", require(name))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("name", BOTH)
def test_a_case_is_certified_at_the_vendor(name: str, tmp_path: Path) -> None:
    require(name)
    case = f"{name}_to_{name}__full_refresh"
    run = ("ops", "certification-run", "--profile", "vendor_live", "--row-count", "1000", "--case-id", case)
    done = dpone(*run, "--artifact-dir", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
