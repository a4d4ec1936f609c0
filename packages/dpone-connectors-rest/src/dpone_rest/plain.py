"""What a person writes with requests alone: a loop of pages, each parsed, their records one a line.

A program of its own, which the benchmark measures dpone beside: `python plain.py URL PAGE WIRE`, its token in the
environment.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

from dpone.testing.plain import put


def records(url: str, page: int) -> Iterator[dict[str, Any]]:
    """The records of all pages, until one is empty."""
    import requests

    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {os.environ['DPONE_BENCH_TOKEN']}"
        seen = 0
        while found := session.get(url, params={"offset": seen, "limit": page}, timeout=60).json()["data"]:
            yield from found
            seen += len(found)


if __name__ == "__main__":
    put(records(sys.argv[1], int(sys.argv[2])), sys.argv[3], sys.stdout)
