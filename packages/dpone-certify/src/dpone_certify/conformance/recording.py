"""A pytest plugin that writes what became of each test as JSON: `-p dpone_certify.conformance.recording`.

The file is named by DPONE_CONFORMANCE_RECORD. The tests do not outlive DPONE_CONFORMANCE_PARENT, the process that wants
to know, however that one ends.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from threading import Thread
from time import sleep
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

VARIABLE, PARENT = "DPONE_CONFORMANCE_RECORD", "DPONE_CONFORMANCE_PARENT"
_tests: dict[str, dict[str, Any]] = {}


def pytest_configure() -> None:
    """With this process its workers end, too."""
    if (parent := os.environ.get(PARENT)) and "PYTEST_XDIST_WORKER" not in os.environ:
        Thread(target=_end_with, args=(int(parent),), name="dpone-conformance-parent", daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        sleep(1)
    os._exit(1)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """The last word on a test is the worst of what its phases said."""
    entry = _tests.setdefault(report.nodeid, {"state": "passed", "reason": "", "seconds": 0.0})
    entry["seconds"] += report.duration
    if report.failed:
        entry |= {"state": "failed" if report.when == "call" else "error", "reason": _cause(report)}
    elif report.skipped:
        deviation = getattr(report, "wasxfail", None)
        said = deviation.removeprefix("reason: ") if deviation is not None else _skipped(report.longrepr)
        entry |= {"state": "skipped" if deviation is None else "deviated", "reason": said}


def pytest_sessionfinish() -> None:
    if (path := os.environ.get(VARIABLE)) and "PYTEST_XDIST_WORKER" not in os.environ:  # whose tests are told here, too
        Path(path).write_text(json.dumps(_tests), encoding="utf-8")


def _cause(report: pytest.TestReport) -> str:
    """The line that pytest shows of a failure."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash is not None else report.longrepr).strip().splitlines()[0][:500]


def _skipped(said: object) -> str:
    return str(said[2] if isinstance(said, tuple) else said).removeprefix("Skipped: ")
