"""Programs that a vendor brings, found on the PATH and asked for their version."""

from __future__ import annotations

import re
import shutil
import subprocess

from dpone.connector import Finding

_SECONDS = 10
_VERSION = re.compile(r"\d+(?:\.\d+)+")


def client(program: str, *arguments: str, needed_for: str) -> Finding:
    """The program answers when it is asked for its version with these arguments; one that is absent is a warning."""
    name = f"client {program}"
    path = shutil.which(program)
    if path is None:
        return Finding(name, ok=False, found="not on the PATH", action=f"needed for {needed_for}", unless="warning")
    try:
        answer = subprocess.run(  # noqa: S603 - the program that the PATH names, without anything of a user's
            [path, *arguments], capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return _broken(name, path, type(error).__name__, needed_for)
    version = _VERSION.search(answer.stdout) or _VERSION.search(answer.stderr)
    if version is None or (answer.returncode and not answer.stdout):
        return _broken(name, path, f"it ended with {answer.returncode} and named no version", needed_for)
    return Finding(name, ok=True, found=f"{version[0]}, {path}")


def _broken(name: str, path: str, why: str, needed_for: str) -> Finding:
    action = f"reinstall it; needed for {needed_for}"
    return Finding(name, ok=False, found=f"{path}: {why}", action=action, unless="warning")
