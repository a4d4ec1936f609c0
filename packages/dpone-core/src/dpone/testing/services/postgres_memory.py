"""Frees the System V shared memory segment that a killed PostgreSQL leaves behind."""

from __future__ import annotations

import ctypes
from pathlib import Path

_IPC_RMID = 0
_SEGMENT_LINE = 6  # of postmaster.pid: "key id"


def free_segment(data: Path) -> None:
    """A server that ended in order left nothing; of one that was killed, the segment named in its pid file is freed.

    A restart on the same data frees it too. This is for data about to be removed: the system has 4096 segments in all.
    """
    try:
        line = (data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()[_SEGMENT_LINE]
        segment = int(line.split()[1])
    except (OSError, IndexError, ValueError):
        return
    # refused by the system, without harm, when the segment is gone or somebody else's
    ctypes.CDLL(None).shmctl(segment, _IPC_RMID, None)
