"""`dpone init` on real tables: what it writes, asked by options or at a terminal, runs twice into another engine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

import dpone
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.terminal import answered
from dpone_certify.benchmark.pipelines import Workplace
from dpone_clickhouse.testkit import testkit as clickhouse
from dpone_mssql.testkit import testkit as mssql
from dpone_postgres.testkit import testkit as postgres

pytestmark = [
    pytest.mark.integration_postgres,
    pytest.mark.integration_clickhouse,
    pytest.mark.integration_mssql,
    pytest.mark.timeout(600),
]
TABLES = """
CREATE TABLE orders (id bigint PRIMARY KEY, state text, amount numeric(12,2), updated_at timestamptz NOT NULL);
INSERT INTO orders
SELECT i, 'open', i / 4.0, timestamptz '2026-06-01Z' + i * interval '1 h' FROM generate_series(1, 500) i;
CREATE TABLE customers (id int PRIMARY KEY, name text);
INSERT INTO customers SELECT i, 'name ' || i FROM generate_series(1, 30) i;
CREATE TABLE log (line text);
INSERT INTO log SELECT 'line ' || i FROM generate_series(1, 10) i;
ANALYZE;
"""


@pytest.fixture(scope="module")
def places() -> Iterator[dict[str, tuple[Any, Endpoint]]]:
    with ExitStack() as stack:
        found = {
            kit.connector.name: (kit, stack.enter_context(kit.service(kit.providers()[0])))
            for kit in (postgres, clickhouse, mssql)
        }
        with psycopg.connect(found["postgres"][1].url(), autocommit=True) as connection:
            connection.execute(TABLES.encode())
        yield found


@pytest.mark.parametrize("sink", ["clickhouse", "mssql"])
@pytest.mark.parametrize("asked", ["by options", "at a terminal"])
def test_what_it_writes_runs_twice(
    places: dict[str, tuple[Any, Endpoint]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sink: str,
    asked: str,
) -> None:
    work = Workplace(tmp_path)
    for kit, endpoint in places.values():
        work.know(kit, endpoint)
    monkeypatch.chdir(tmp_path)
    for name, url in work.secret.items():
        monkeypatch.setenv(name, url)
    into = f"{asked[:2]}_{{table}}"
    command = [sys.executable, "-c", "from dpone.cli import main; main()", "init", "--into", into]
    if asked == "at a terminal":
        code, said = answered(command, ["bench_postgres", "1 3, public.lo*", f"bench_{sink}"])
        assert code == 0, said
    else:
        given = ["--source", "bench_postgres", "--table", "public.*", "--sink", f"bench_{sink}"]
        said = subprocess.run([*command, *given], capture_output=True, text=True, check=True).stdout
    assert "public.customers, about 30 rows, " in said
    assert ": snapshot_diff, because it has the key id, but nothing tells what changed: all 30 rows are read" in said
    assert ": incremental_merge, because it has the key id, and updated_at tells what changed" in said
    assert ": full_refresh, because it has no key, so the target is rebuilt: all 10 rows are read" in said
    for inserted in ({"customers": 30, "log": 10, "orders": 500}, {"customers": 0, "log": 10, "orders": 0}):
        report = dpone.run("bench_postgres.yaml")
        assert report.succeeded, [stream.error for stream in report.streams]
        assert {s.name.rpartition(".")[2]: s.inserted for s in report.streams} == inserted
    kit, endpoint = places[sink]
    landed = {name: kit.rows(endpoint, kit.target(endpoint, into.format(table=name))).num_rows for name in inserted}
    assert landed == {"customers": 30, "log": 10, "orders": 500}
