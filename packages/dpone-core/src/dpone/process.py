"""Which process this is, in words that no later process shares: a record can then tell whether its run still lives.

A pid alone says too little: in a container every run may be pid 1, and pids come again.
"""

from __future__ import annotations

import os
from pathlib import Path

_START = 19  # of the fields behind the command in /proc/<pid>/stat: when it started, in ticks since the machine did


def this_process() -> str:
    """This process by its pid, its start and, where the system tells, the machine's own start."""
    return _named(os.getpid())


def is_alive(process: str) -> bool:
    """True while the process that `this_process` named runs on this machine."""
    pid, _, _ = process.partition("@")
    if not pid.isdecimal() or int(pid) == 0:
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, but there
        pass
    return _named(int(pid)) == process


def _named(pid: int) -> str:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:  # not Linux: the pid is all that there is
        return str(pid)
    return f"{pid}@{fields[_START]}/{boot}"
