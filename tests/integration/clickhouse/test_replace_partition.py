"""Why no load is published by REPLACE PARTITION: a server that is killed in it comes up with old and new rows together.

The statement is one step for its readers, and two on the disk: the new part is renamed into its place, and a part that
covers the old ones after it. This shows the server, and not dpone: should it fail, the server has learned it, and
docs/decisions/0010 can be thought over.
"""

from __future__ import annotations

from contextlib import suppress
from http.client import HTTPException
from threading import Event, Thread
from time import sleep
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from dpone.testing.services.endpoint import Endpoint
from dpone_clickhouse.embedded import EmbeddedClickHouse

pytestmark = [pytest.mark.integration_clickhouse, pytest.mark.timeout(600)]
KILLS = 60  # one in four is seen on a quiet machine: all of them missing it would be one chance in 30 million


def ask(endpoint: Endpoint, statement: str) -> str:
    assert endpoint.password is not None
    login = {"X-ClickHouse-User": endpoint.user or "", "X-ClickHouse-Key": endpoint.password.reveal()}
    url = f"http://{endpoint.host}:{endpoint.ports['http']}/?database={endpoint.database}"
    with urlopen(Request(url, data=statement.encode(), headers=login), timeout=60) as answer:
        return str(answer.read().decode().strip())


def replace_over_and_over(endpoint: Endpoint, ended: Event) -> None:
    """One partition is replaced by one part, in turns by rows of a and of b, until the server is gone."""
    turn = 0
    with suppress(URLError, OSError, HTTPException):
        while not ended.is_set():
            ask(endpoint, f"ALTER TABLE t REPLACE PARTITION 1 FROM {'ab'[turn % 2]}")
            turn += 1


def test_a_server_that_is_killed_while_it_replaces_a_partition_keeps_old_and_new_rows() -> None:
    service = EmbeddedClickHouse()
    with service as endpoint:
        for name in ("t", "a", "b"):
            columns = "(p Int32, id Int64, who String) ENGINE = MergeTree PARTITION BY p ORDER BY id"
            ask(endpoint, f"CREATE TABLE {name} {columns}")
        for name, rows in (("a", 600), ("b", 700)):
            ask(endpoint, f"INSERT INTO {name} SELECT 1, number, '{name}' FROM numbers({rows})")
        found: set[str] = set()
        for number in range(KILLS):
            ended = Event()
            thread = Thread(target=replace_over_and_over, args=(endpoint, ended))
            thread.start()
            sleep(0.05 + number % 7 * 0.013)
            service.kill()
            ended.set()
            thread.join()
            service.start()
            found.add(ask(endpoint, "SELECT arraySort(groupUniqArray(who)) FROM t WHERE p = 1"))
            if "['a','b']" in found:
                return
        pytest.fail(f"after {KILLS} kills the partition was {sorted(found)} and never both")
