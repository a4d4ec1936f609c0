from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SuiteRun = Callable[..., tuple[int, str]]


@pytest.fixture(scope="session")
def run_suite() -> Iterator[SuiteRun]:
    """Runs the conformance suite for a testkit of this folder; the exit code, and what pytest said."""
    if not hasattr(os, "fork"):
        pytest.skip("this platform has no fork")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}
    env = {name: value for name, value in env.items() if not name.startswith(("PYTEST_", "DPONE_"))}
    with subprocess.Popen(
        [sys.executable, str(HERE / "warm.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=env,
        text=True,
        encoding="utf-8",
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def run(testkit: str, *args: str) -> tuple[int, str]:
            order = ["-p", "no:cacheprovider", "-p", "no:xdist", "-q", "--tb=short"]
            # dpone is imported already, so that asserts can no longer be rewritten
            order += ["--no-showlocals", "--assert=plain", "--testkit", testkit, *args]
            print(json.dumps(order), file=stdin, flush=True)
            code, said = json.loads(stdout.readline())
            return code, said

        yield run
        stdin.close()
