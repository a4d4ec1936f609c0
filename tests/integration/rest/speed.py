"""Measures 100,000 records in pages of 1,000 against a loop of requests that only parses JSON; prints what it found.

python tests/integration/rest/speed.py [RECORDS] [ROUNDS]

The service is a process of its own. Rounds are interleaved, and medians compared. Memory is the greatest resident size
of a process that reads everything, and how much more that is than for a tenth of it.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import requests

from dpone.batch import ARROW
from dpone.connector import Column, ReadRequest
from dpone.strategies import Read
from dpone_rest import RestConfig, RestSource
from dpone_rest.client import Client
from dpone_rest.source import ApiSource

PAGE = 1000
COLUMNS = {
    "id": "int64",
    "name": "string",
    "email": "string",
    "state": "string",
    "quantity": "int64",
    "amount": "decimal(18,4)",
    "score": "float64",
    "active": "bool",
    "updated_at": "timestamptz(6)",
    "note": "string",
}


def record(number: int) -> str:
    return json.dumps(
        {
            "id": number,
            "name": f"name {number}",
            "email": f"u{number}@example.org",
            "state": "open" if number % 3 else "paid",
            "quantity": number % 17,
            "amount": number / 16,
            "score": (number % 997) / 8,
            "active": number % 2 == 0,
            "updated_at": f"2026-01-{number % 28 + 1:02}T12:00:00.{number % 10**6:06}Z",
            "note": None if number % 3 else "a longer note about this order",
        }
    )


@contextmanager
def service(records: int) -> Iterator[str]:
    """The mock service with so many orders, in another process."""
    command = [sys.executable, "-m", "dpone_rest.mock", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[1]
            rows = json.dumps([record(n) for n in range(records)])
            requests.put(f"{url}/_tables/orders", data=rows, timeout=60).raise_for_status()
            yield url
        finally:
            process.terminate()


def bare(url: str) -> int:
    """What a person would write."""
    seen = 0
    with requests.Session() as session:
        while records := session.get(
            f"{url}/offset/orders", params={"offset": str(seen), "limit": str(PAGE)}, timeout=30
        ).json()["data"]:
            seen += len(records)
    return seen


def options(**more: Any) -> dict[str, Any]:
    paging = {"type": "offset", "size": PAGE}
    return {"path": "offset/orders", "records": "data", "pagination": paging, "columns": COLUMNS, **more}


def read(url: str, **more: Any) -> int:
    """The same records as Arrow batches, each value in the type of its column."""
    config = RestConfig(url=url)
    source = ApiSource(Client(config), config)
    dataset = RestSource.model_validate(options(**more)).dataset()
    names = source.describe(dataset).names
    # a pipeline has its pages kept on the way, as those of a run are
    request = ReadRequest(dataset, Read.SCAN, tuple(Column(n, n) for n in names), ARROW, pipeline="speed")
    with tempfile.TemporaryDirectory() as folder, chdir(folder), source.open(request) as reading:
        return sum(batch.rows or 0 for split in reading.splits for batch in source.read(request, split))


def timed(call: Callable[[], int], records: int) -> tuple[float, float]:
    """Seconds by the wall and of our own processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    assert call() == records
    return time.perf_counter() - wall, time.process_time() - cpu


def memory(url: str) -> float:
    """Megabytes at the most of a process that reads all of it and does nothing else."""
    done = subprocess.run([sys.executable, __file__, url], capture_output=True, text=True, check=True)
    return float(done.stdout)


def own_peak() -> float:
    # not getrusage, whose answer a child takes over from its parent
    status = Path("/proc/self/status").read_text("ascii")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def measure(records: int, rounds: int) -> dict[str, float]:
    with service(records // 10) as url:
        tenth = memory(url)
    with service(records) as url:
        whole = memory(url)
        found: dict[str, list[tuple[float, float]]] = {"bare": [], "read": []}
        timed(lambda: bare(url), records)
        timed(lambda: read(url), records)
        for _ in range(rounds):
            found["bare"].append(timed(lambda: bare(url), records))
            found["read"].append(timed(lambda: read(url), records))
    wall = {name: statistics.median(w for w, _ in times) for name, times in found.items()}
    cpu = {name: statistics.median(c for _, c in times) for name, times in found.items()}
    return {
        "bare_seconds": wall["bare"],
        "read_seconds": wall["read"],
        "speed_by_wall": wall["bare"] / wall["read"],
        "speed_by_cpu": cpu["bare"] / cpu["read"],
        "peak_mb": whole,
        "growth_mb": whole - tenth,
    }


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1].startswith("http"):
        read(sys.argv[1])
        print(own_peak())  # noqa: T201 - the answer
    else:
        records, rounds = (int(a) for a in (sys.argv[1:] + ["100000", "5"][len(sys.argv) - 1 :])[:2])
        print(json.dumps(measure(records, rounds), indent=1))  # noqa: T201 - the answer
