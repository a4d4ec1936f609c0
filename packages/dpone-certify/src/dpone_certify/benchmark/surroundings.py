"""On what a benchmark ran: the machine, how busy it was, and which dpone."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

_CPUINFO = Path("/proc/cpuinfo")


def environment() -> dict[str, Any]:
    """The machine as it is now; nothing that names it or its user."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": _memory_gb(),
        "load_average": [round(n, 2) for n in os.getloadavg()] if hasattr(os, "getloadavg") else None,
    }


def _processor() -> str:
    if not _CPUINFO.exists():
        return platform.processor()
    lines = _CPUINFO.read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):
        return None


def subject() -> dict[str, Any]:
    """Versions of every installed distribution of dpone; commit and dirty flag where the code is a checkout."""
    versions = {name: d.version for d in distributions() if (name := d.metadata["Name"] or "").startswith("dpone-")}
    commit = _git("rev-parse", "HEAD")
    status = _git("status", "--porcelain", "--untracked-files=no")
    return {
        "distributions": dict(sorted(versions.items())),
        "commit": commit,
        "dirty": None if commit is None or status is None else bool(status),
    }


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", *arguments],  # noqa: S607 - whichever git there is
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
