"""What README.md, make, .ci/run and nox promise each other."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

VERBS = (
    *("help", "demo", "test", "lint", "types", "unit", "contract"),
    *("integration", "docs", "build", "bench", "certify", "clean"),
)
PACKAGES = ["core", "certify", "bigquery", "clickhouse", "kafka", "mssql", "postgres", "rest"]
SCREEN = 24  # lines of the smallest terminal


def make(root: Path, *arguments: str) -> str:
    quiet = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
    return subprocess.run(["make", *arguments], cwd=root, env=quiet, check=True, capture_output=True, text=True).stdout


def test_make_alone_lists_every_verb_on_one_screen(root: Path) -> None:
    lines = make(root).splitlines()
    assert [line.split()[1] for line in lines] == list(VERBS)
    assert len(lines) <= SCREEN


def test_a_synced_workspace_is_not_synced_again(root: Path) -> None:
    make(root, ".venv/.synced")
    assert "is up to date" in make(root, ".venv/.synced")


def test_the_readme_names_two_commands_and_both_exist(root: Path) -> None:
    first = re.search(r"```\n(.*?)```", (root / "README.md").read_text(), re.DOTALL)
    assert first is not None
    assert first[1].splitlines() == ["make demo", "make test"]
    assert {"demo", "test"} <= set(VERBS)


def test_ci_runs_what_the_readme_says(root: Path) -> None:
    script = root / ".ci/run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text()


def test_nox_lists_the_sessions_of_the_design(root: Path, sessions: set[str]) -> None:
    profiles = {f"certify-{profile}" for profile in ("mock_contract", "mock_local", "vendor_live")}
    assert {"lint", "types", "test", "docs", "build", "bench"} | profiles <= sessions
    assert {f"unit({package})" for package in PACKAGES} <= sessions
    testkits = root.glob("packages/dpone-connectors-*/src/dpone_*/testkit.py")
    driven = {"memory", "memory_publish"} | {path.parent.name.removeprefix("dpone_") for path in testkits}
    assert {f"contract({name})" for name in driven} == {s for s in sessions if s.startswith("contract(")}
    assert {f"integration({name})" for name in ("postgres", "mssql", "clickhouse", "kafka", "rest")} <= sessions


def test_every_session_that_make_calls_exists(root: Path, sessions: set[str]) -> None:
    makefile = (root / "Makefile").read_text()
    lines = re.findall(r"@\$\(NOX\) ([\w \"()]+)$", makefile, re.MULTILINE)
    called = {word.strip('"').partition("(")[0] for line in lines for word in line.split()}
    assert called <= {session.partition("(")[0] for session in sessions}
    assert {"lint", "types", "test", "contract"} <= called
