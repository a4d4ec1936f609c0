"""A terminal at which a test sits, and answers what a command asks."""

from __future__ import annotations

import os
import pty
import select
import subprocess
from collections.abc import Sequence

_PAUSE = 200  # milliseconds in which nothing more is said: it was a question, and no piece of a longer line


def answered(command: Sequence[str], answers: Sequence[str]) -> tuple[int, str]:
    """How the command ended that was given these answers in the current folder, and all that it said."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:  # noqa: S603 -- a test's own
        os.close(theirs)
        said, left = b"", list(answers)
        more = select.poll()
        more.register(ours, select.POLLIN)
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # it has ended, and with it the terminal
                break
            said += part
            if left and said.endswith(b": ") and not more.poll(_PAUSE):
                os.write(ours, f"{left.pop(0)}\n".encode())
        os.close(ours)
        return process.wait(), said.decode()
