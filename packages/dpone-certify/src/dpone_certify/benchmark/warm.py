"""Runs a manifest in a process that has already run another one, and tells what the second run alone cost.

A program of its own: `python warm.py FIRST.yaml MEASURED.yaml`. What differs from the whole process is start-up: the
interpreter, every import, the first connection.
"""

from __future__ import annotations

import json
import resource
import sys
import time

import dpone


def main(first: str, measured: str) -> None:
    _run(first)
    used, begun = _cpu(), time.perf_counter()
    rows = _run(measured)
    wall = time.perf_counter() - begun
    sys.stdout.write(json.dumps({"wall": wall, "cpu": _cpu() - used, "rows": rows}))


def _run(manifest: str) -> int:
    report = dpone.run(manifest)
    if not report.succeeded:
        sys.exit(f"{manifest}: {report.streams[0].error_code}")
    return report.streams[0].rows_after


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main(*sys.argv[1:])
