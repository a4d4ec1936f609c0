"""Runs pipes of commands and tells what they cost. A program of its own: a job as JSON on stdin, its answer on stdout.

The kernel counts what a process held before `exec` into its peak memory, so a child of a large process never looks
small. Therefore this one imports next to nothing, and the benchmark starts it instead of the commands.
"""

from __future__ import annotations

import json
import os
import sys
import time

KIBI = 1024  # ru_maxrss counts in these on Linux, and in bytes on macOS
TAIL = 2000  # bytes of what was said that a failure quotes


def run(directory: str, pipes: list[list[tuple[list[str], dict[str, str]]]]) -> dict[str, object]:
    """Every pipe is carried out after the other; wall seconds, CPU seconds and peak bytes of all their processes."""
    os.chdir(directory)
    out, errors = _file("meter.out"), _file("meter.errors")
    cpu, peak = 0.0, 0
    begun = time.perf_counter()
    for pipe in pipes:
        ended = [os.wait4(child, 0) for child in _spawn(pipe, out, errors)]
        cpu += sum(used.ru_utime + used.ru_stime for _, _, used in ended)
        peak = max(peak, sum(used.ru_maxrss for _, _, used in ended))
        for (arguments, _), (_, status, _) in zip(pipe, ended, strict=True):
            if status:
                said = _text(errors)[-TAIL:]
                return {"failed": arguments[0], "status": os.waitstatus_to_exitcode(status), "errors": said}
    wall = time.perf_counter() - begun
    unit = 1 if sys.platform == "darwin" else KIBI
    return {"wall": wall, "cpu": cpu, "memory": peak * unit, "out": _text(out)}


def _spawn(pipe: list[tuple[list[str], dict[str, str]]], out: int, errors: int) -> list[int]:
    """All processes of one pipe, each reading what the one before it writes."""
    children: list[int] = []
    source = os.open(os.devnull, os.O_RDONLY)
    for number, (arguments, environment) in enumerate(pipe):
        last = number == len(pipe) - 1
        following, sink = (-1, out) if last else os.pipe()
        actions = [(os.POSIX_SPAWN_DUP2, *pair) for pair in ((source, 0), (sink, 1), (errors, 2))]
        children.append(os.posix_spawn(arguments[0], arguments, environment, file_actions=actions))
        os.close(source)
        if not last:
            os.close(sink)
            source = following
    return children


def _file(name: str) -> int:
    return os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)


def _text(file: int) -> str:
    return os.pread(file, os.fstat(file).st_size, 0).decode(errors="replace")


if __name__ == "__main__":
    json.dump(run(**json.load(sys.stdin)), sys.stdout)
