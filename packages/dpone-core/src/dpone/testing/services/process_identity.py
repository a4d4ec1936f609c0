"""Tells a process from a later one that was given the same pid."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from msgspec import Struct


class ProcessIdentity(Struct, frozen=True):
    pid: int
    started: str  # opaque; unique for this pid, across reboots too

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """The identity of a living process; None when there is none, or only a zombie."""
        started = _started_linux(pid) if sys.platform == "linux" else _started_posix(pid)
        return None if started is None else cls(pid, started)

    @property
    def alive(self) -> bool:
        return ProcessIdentity.of(self.pid) == self


def _started_linux(pid: int) -> str | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # the second field is the name in parentheses and may itself hold spaces and parentheses
    fields = text[text.rindex(")") + 1 :].split()
    state, ticks = fields[0], fields[19]
    if state in "ZX":
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    return f"{boot}-{ticks}"


def _started_posix(pid: int) -> str | None:
    answer = subprocess.run(  # noqa: S603 - fixed arguments and a number
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return "-".join(started.split()) if started and not state.startswith("Z") else None
