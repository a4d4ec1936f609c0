"""A process that has imported what the suite needs, and runs pytest in forks of itself: one order a line of stdin."""

from __future__ import annotations

import json
import os
import sys
import tempfile

import pyarrow as pa
import pytest

pa.array([1])  # imports what pyarrow first needs here, once for all forks


def _in_fork(args: list[str]) -> tuple[int, str]:
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        child = os.fork()
        if child == 0:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            code = int(pytest.main(args))
            sys.stdout.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        said.seek(0)
        return os.waitstatus_to_exitcode(status), said.read()[-6_000:]


for line in sys.stdin:
    sys.stdout.write(json.dumps(_in_fork(json.loads(line))) + "\n")
    sys.stdout.flush()
