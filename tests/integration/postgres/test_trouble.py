"""What happens to others and to servers while a run is on its way: deadlocks, a killed server, a killed backfill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dpone.errors import RemoteError
from dpone.failpoints import arm
from dpone.manifest import from_url
from dpone.testing.services.postgres import EmbeddedPostgres
from dpone_postgres import connector

pytestmark = pytest.mark.integration_postgres
Db = psycopg.Connection[Any]
Make = Callable[..., Any]


def rows(db: Db, query: str) -> list[tuple[Any, ...]]:
    return db.execute(query.encode()).fetchall()


@pytest.fixture
def make(db: Db, schema: str, config: Any, pipeline_type: Any) -> Make:
    db.execute("CREATE TABLE src (id int PRIMARY KEY, v text NOT NULL)")
    db.execute("INSERT INTO src SELECT i, 'v' || i FROM generate_series(1, 90) i")

    def pipeline(strategy: str, **more: Any) -> Any:
        return pipeline_type(config, (schema, "src"), (schema, "tgt"), strategy, **{"key": ("id",), **more})

    return pipeline


def same(db: Db) -> bool:
    return not rows(db, "(TABLE src EXCEPT ALL TABLE tgt) UNION ALL (TABLE tgt EXCEPT ALL TABLE src)")


# ------------------------------------------------------------------------- deadlocks


@pytest.mark.parametrize("strategy", ["full_refresh", "snapshot_diff"])
def test_a_deadlock_with_another_transaction_is_tried_again(
    db: Db, schema: str, make: Make, endpoint: Any, strategy: str
) -> None:
    """The other one holds a row lock of dpone's own table and waits for the target: one of the two is stopped."""
    make(strategy).run()
    db.execute("UPDATE src SET v = 'new' || id")
    happened: list[threading.Thread] = []
    attempts: list[int] = []

    def collide() -> None:
        attempts.append(1)
        if happened:
            return
        held = threading.Event()

        def other() -> None:
            with psycopg.connect(endpoint.url()) as rival:
                rival.execute("SET deadlock_timeout = '10s'")  # we are the first to look, and so the one who is stopped
                rival.execute(f"SELECT 1 FROM {schema}._dpone_state FOR UPDATE".encode())
                held.set()
                rival.execute(f"LOCK TABLE {schema}.tgt IN ROW EXCLUSIVE MODE".encode())
                rival.rollback()

        happened.append(threading.Thread(target=other))
        happened[0].start()
        held.wait(10)

    with arm("after_reconcile", collide):
        outcome = make(strategy).run()
    happened[0].join()
    assert len(attempts) == 2
    assert sum(outcome.counts) == (180 if strategy == "full_refresh" else 90)
    assert same(db)


# --------------------------------------------------------------------- killed servers

_SHOP = """
CREATE SCHEMA raw;
CREATE TABLE src (id int PRIMARY KEY, v text NOT NULL);
INSERT INTO src SELECT i, repeat('v', 200) || i FROM generate_series(1, 20000) i;
"""


@pytest.mark.parametrize("place", ["after_first_batch", "after_seal", "after_each_op", "after_save_position"])
@pytest.mark.parametrize("strategy", ["full_refresh", "snapshot_diff"])
def test_a_server_that_is_killed_in_mid_load_is_an_error_and_the_next_run_is_right(
    pipeline_type: Any, strategy: str, place: str
) -> None:
    service = _server()
    with psycopg.connect(service.endpoint.url(), autocommit=True) as admin:
        admin.execute(b"DROP SCHEMA IF EXISTS raw CASCADE; DROP TABLE IF EXISTS src;" + _SHOP.encode())
    config = from_url(service.endpoint.url(), connector).resolve()
    pipeline = pipeline_type(config, ("public", "src"), ("raw", "tgt"), strategy, ("id",))
    pipeline.run()
    with psycopg.connect(service.endpoint.url(), autocommit=True) as admin:
        admin.execute("UPDATE src SET v = 'new' || id WHERE id < 15000")

    def crash() -> None:
        service.kill()
        service.start()

    with arm(place, crash), pytest.raises(RemoteError) as caught:
        pipeline.run()
    assert caught.value.code in {"sink.unreachable", "source.unreachable"}
    pipeline.run()
    with psycopg.connect(service.endpoint.url(), autocommit=True) as admin:
        assert not rows(admin, "(TABLE src EXCEPT ALL TABLE raw.tgt) UNION ALL (TABLE raw.tgt EXCEPT ALL TABLE src)")
        assert not rows(admin, "SELECT relname FROM pg_class WHERE relname ~ '^_dpone_.*_(open|raw)$'")


_running: list[EmbeddedPostgres] = []


def _server() -> EmbeddedPostgres:
    """One server for all tests here that kill theirs; it ends with the process."""
    if not _running:
        _running.append(EmbeddedPostgres())
        _running[0].start()
    return _running[0]


# -------------------------------------------------------------------- killed backfills

_MANIFEST = """
version: 1
name: days
source: {{type: postgres, connection: shop, table: {schema}.daily}}
sink: {{type: postgres, connection: dwh, table: {schema}.landed}}
strategy:
  mode: backfill
  key: [id]
  column: on_day
  bounds: {{from: 2026-01-01, to: 2026-01-31}}
  chunk: day
  workers: 4
"""

_DIE_HALFWAY = """
import os, signal, sys
import dpone
from dpone import failpoints
done = []
def count():
    done.append(1)
    if len(done) == 15:
        os.kill(os.getpid(), signal.SIGKILL)
with failpoints.arm("after_commit", count):
    dpone.run("days.yaml")
"""


def test_a_backfill_of_30_days_that_was_killed_halfway_does_only_the_rest(
    db: Db, schema: str, endpoint: Any, tmp_path: Path
) -> None:
    db.execute("CREATE TABLE daily (id int PRIMARY KEY, on_day date NOT NULL, v text)")
    db.execute("INSERT INTO daily SELECT i, date '2026-01-01' + i % 30, 'v' || i FROM generate_series(0, 2999) i")
    tmp_path.joinpath("days.yaml").write_text(_MANIFEST.format(schema=schema))
    url = endpoint.url()
    environment = {**os.environ, "DPONE_CONN_SHOP": url, "DPONE_CONN_DWH": url}

    def python(code: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    killed = python(_DIE_HALFWAY)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert rows(db, "SELECT count(*) FROM landed") == [(1500,)]
    done = {name for (name,) in rows(db, "SELECT chunk FROM _dpone_chunks")}
    assert len(done) == 15
    before = rows(db, "SELECT min(xmin::text::bigint), max(xmin::text::bigint) FROM landed")
    again = python(
        """
        import dpone
        from dpone import events
        class Count:
            skipped = committed = 0
            def __call__(self, stream, event):
                self.skipped += isinstance(event, events.ChunkSkipped)
                self.committed += isinstance(event, events.StateCommitted)
        seen = Count()
        report = dpone.run("days.yaml", observers=[seen])
        print(report.succeeded, seen.skipped, seen.committed)
        """
    )
    assert again.stdout.split() == ["True", "15", "15"], again.stderr
    assert not rows(db, "(TABLE daily EXCEPT ALL TABLE landed) UNION ALL (TABLE landed EXCEPT ALL TABLE daily)")
    kept = rows(db, f"SELECT count(*) FROM landed WHERE xmin::text::bigint BETWEEN {before[0][0]} AND {before[0][1]}")
    assert kept == [(1500,)]
    assert rows(db, "SELECT count(*) FROM _dpone_chunks") == [(0,)]
    assert not rows(
        db,
        "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace "
        "AND relname ~ '^_dpone_.*_(open|raw|live|dead|present)$'",
    )
