"""A run that reads an API and is killed, or whose API goes away: run again, the target is right and nothing is doubled.

It goes on after the last page that was safe, and a backfill after its last published chunk.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import dpone
from dpone.failpoints import RUN
from dpone.testing.services.postgres import EmbeddedPostgres
from dpone_rest.mock.faults import Wrong
from dpone_rest.mock.server import MockApi, serving

pytestmark = pytest.mark.integration_postgres
COLUMNS = {"id": {"type": "int64", "nullable": False}, "at": {"type": "timestamptz(6)", "nullable": False}}
STRATEGIES: dict[str, dict[str, Any]] = {
    "incremental_merge": {"key": ["id"], "cursor": {"column": "at", "lag": "1h"}},
    "full_refresh": {"key": ["id"]},
}


def record(number: int) -> str:
    return f'{{"id":{number},"at":"2026-01-01T{number // 60:02}:{number % 60:02}:00Z"}}'


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with EmbeddedPostgres() as endpoint:
        yield endpoint.url()


@pytest.fixture
def api() -> Iterator[MockApi]:
    with serving(MockApi()) as found:
        found.tables.put("orders", [record(n) for n in range(400)])
        yield found


@pytest.fixture
def place(server: str, api: MockApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"db_{abs(hash(tmp_path)) % 10**9}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
    url = f"{server.rpartition('/')[0]}/{name}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DPONE_CONN_DWH", url)
    monkeypatch.setenv("DPONE_CONN_API", f"{api.url}?retries=0")
    return url


def manifest(strategy: dict[str, Any], **source: Any) -> None:
    paging = {"type": "cursor", "path": "next", "size_param": "limit", "size": 50}
    reading = {"type": "rest", "connection": "api", "path": "cursor/orders", "records": "data", "pagination": paging}
    given = {"version": 1, "name": "orders", "source": {**reading, "columns": COLUMNS, **source}}
    given |= {"sink": {"type": "postgres", "connection": "dwh", "table": "public.orders"}, "strategy": strategy}
    Path("orders.yaml").write_text(json.dumps(given))


def run(place: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DPONE_FAILPOINT": place}
    command = [sys.executable, "-c", "from dpone.cli import main; main()", "run", "orders.yaml"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def ids(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT to_regclass('public.orders') IS NOT NULL").fetchone()
        if found is None or not found[0]:
            return []
        return [row[0] for row in connection.execute("SELECT id FROM public.orders ORDER BY 1")]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("failpoint", RUN)
def test_a_killed_run_is_run_again(failpoint: str, strategy: str, place: str, api: MockApi) -> None:
    manifest({"mode": strategy, **STRATEGIES[strategy]})
    assert dpone.run("orders.yaml").succeeded
    api.tables.put("orders", [record(n) for n in range(450)])
    killed = run(failpoint)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert ids(place) in (list(range(400)), list(range(450)))
    assert dpone.run("orders.yaml").succeeded
    assert ids(place) == list(range(450))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("wrong", [Wrong.CLOSED, Wrong.CUT, Wrong.NOT_JSON, Wrong.STATUS, Wrong.REPEAT])
def test_an_api_that_fails_between_pages_changes_nothing(wrong: Wrong, strategy: str, place: str, api: MockApi) -> None:
    manifest({"mode": strategy, **STRATEGIES[strategy]})
    assert dpone.run("orders.yaml").succeeded
    api.tables.put("orders", [record(n) for n in range(450)])
    api.fail(wrong, skip=4)
    assert not dpone.run("orders.yaml").succeeded
    assert ids(place) == list(range(400))
    api.plan.clear()
    assert dpone.run("orders.yaml").succeeded
    assert ids(place) == list(range(450))


PAGING: dict[str, dict[str, Any]] = {
    "page": {"pagination": {"type": "page", "size_param": "per_page", "size": 50, "total": "pages"}},
    "offset": {"pagination": {"type": "offset", "size": 50, "total": "total"}},
    "cursor": {},
    "link": {"pagination": {"type": "link", "path": "links.next"}, "params": {"limit": 50}},
    "header": {"pagination": {"type": "header"}, "params": {"limit": 50}, "records": None},
}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("pages", [1, 4, 8])
@pytest.mark.parametrize("way", PAGING)
def test_a_run_that_is_killed_at_a_page_goes_on_after_it(
    way: str, pages: int, strategy: str, place: str, api: MockApi
) -> None:
    manifest({"mode": strategy, **STRATEGIES[strategy]}, path=f"{way}/orders", **PAGING[way])
    killed = run(f"rest.page:{pages}")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert ids(place) == []
    api.asked.clear()
    report = dpone.run("orders.yaml")
    assert report.succeeded
    assert ids(place) == list(range(400))
    (stream,) = report.streams
    assert stream.continued is not None
    assert stream.continued["parts"] == pages
    describes = 1
    assert len(api.pages()) <= describes + min(pages, 2) + 8 - pages
    api.asked.clear()
    assert dpone.run("orders.yaml").streams[0].continued is None
    assert ids(place) == list(range(400))


def test_a_run_that_is_killed_at_one_page_after_another_comes_to_its_end(place: str, api: MockApi) -> None:
    manifest({"mode": "full_refresh", "key": ["id"]})
    for _ in range(3):
        assert run("rest.page").returncode == -signal.SIGKILL  # each process keeps one page more
    api.asked.clear()
    (stream,) = dpone.run("orders.yaml").streams
    assert stream.continued is not None
    assert stream.continued["parts"] == 3
    assert ids(place) == list(range(400))


def test_a_killed_backfill_goes_on_after_its_last_chunk(place: str, api: MockApi) -> None:
    narrowed = {"params": {"by": "id"}, "since": {"column": "id", "params": {"since": "{since}", "until": "{until}"}}}
    manifest({"mode": "backfill", "column": "id", "bounds": {"from": 0, "to": 400}, "chunk": 100}, **narrowed)
    killed = run("after_commit:2")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert ids(place) == list(range(200))
    api.asked.clear()
    assert dpone.run("orders.yaml").succeeded
    assert ids(place) == list(range(400))
    assert {query.get("since") for query in api.pages()} == {None, "200", "300"}  # None describes
