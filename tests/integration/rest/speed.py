"""Measures 100,000 records in pages of 1,000 against a loop of requests that only parses JSON; prints what it found.

python tests/integration/rest/speed.py [RECORDS] [ROUNDS]

The service is a process of its own. Rounds are interleaved, and medians compared. Memory is the growth of the greatest
resident size over a reading ten times as long.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    request = ReadRequest(dataset, Read.SCAN, tuple(Column(n, n) for n in names), ARROW)
    with source.open(request) as reading:
        return sum(batch.rows or 0 for split in reading.splits for batch in source.read(request, split))


def timed(call: Callable[[], int], records: int) -> tuple[float, float]:
    """Seconds by the wall and of our own processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    assert call() == records
    return time.perf_counter() - wall, time.process_time() - cpu


def peak() -> float:
    """Megabytes at the most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(records: int, rounds: int) -> dict[str, float]:
    with service(records) as url:
        found: dict[str, list[tuple[float, float]]] = {"bare": [], "read": []}
        timed(lambda: bare(url), records)
        timed(lambda: read(url), records)
        before = peak()
        for _ in range(rounds):
            found["bare"].append(timed(lambda: bare(url), records))
            found["read"].append(timed(lambda: read(url), records))
        after = peak()
    wall = {name: statistics.median(w for w, _ in times) for name, times in found.items()}
    cpu = {name: statistics.median(c for _, c in times) for name, times in found.items()}
    return {
        "bare_seconds": wall["bare"],
        "read_seconds": wall["read"],
        "speed_by_wall": wall["bare"] / wall["read"],
        "speed_by_cpu": cpu["bare"] / cpu["read"],
        "peak_mb": after,
        "growth_mb": after - before,
    }


if __name__ == "__main__":
    records, rounds = (int(a) for a in (sys.argv[1:] + ["100000", "5"][len(sys.argv) - 1 :])[:2])
    print(json.dumps(measure(records, rounds), indent=1))  # noqa: T201 - the answer
