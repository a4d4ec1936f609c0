"""Splits on a real Dask cluster, between tables of a real PostgreSQL: equal to the local run, whatever dies."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from msgspec import Struct, field

from dpone import api, events
from dpone.errors import DponeError, MissingPackage
from dpone.integration_matrix import DEFAULT_INTEGRATION_MATRIX
from dpone.manifest import from_url
from dpone.observe.record import RunReport
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.services.postgres import EmbeddedPostgres
from dpone_certify.certification.document import CertificationReport, Selection
from dpone_certify.certification.run import Order, carry_out, refuse_unreachable
from dpone_certify.certification.volume import volume_of
from dpone_postgres import connector

pytestmark = pytest.mark.integration_postgres
Db = psycopg.Connection[Any]
_PATIENCE = 60  # seconds that a process of the cluster may take to come up
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with EmbeddedPostgres() as found:
        yield found


@pytest.fixture
def db(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Iterator[Db]:
    monkeypatch.setenv("DPONE_CONN_SHOP", endpoint.url())
    with psycopg.connect(endpoint.url(), autocommit=True) as connection:
        schema = f"dask{next(_numbers)}"
        connection.execute(f"CREATE SCHEMA {schema}".encode())
        connection.execute(f"SET search_path = {schema}".encode())
        connection.execute("CREATE TABLE src (id int PRIMARY KEY, day date NOT NULL, v text NOT NULL)")
        connection.execute(
            "INSERT INTO src SELECT i, date '2026-01-01' + i % 8, repeat('v' || i, 40) FROM generate_series(1, 20000) i"
        )
        yield connection
        connection.execute(f"DROP SCHEMA {schema} CASCADE".encode())


class Cluster(Struct):
    """A scheduler and its workers, each a process of its own."""

    folder: Path
    environment: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    port: str = ""

    @property
    def address(self) -> str:
        return f"dask://127.0.0.1:{self.port}"

    def start(self, kind: str, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """The process, once its log says that it is up."""
        log = self.folder / f"{len(self.processes)}-{kind}.log"
        up = re.compile(r"Scheduler at: +tcp://127\.0\.0\.1:(\d+)" if kind == "scheduler" else r"Registered to:")
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", kind, "--host", "127.0.0.1", "--no-dashboard", *arguments],
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**self.environment, **environment},
                cwd=self.folder,
            )
        self.processes.append(process)
        end = time.monotonic() + _PATIENCE
        while not (found := up.search(log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        if kind == "scheduler":
            self.port = found[1]
        return process

    def worker(self, **environment: str) -> subprocess.Popen[bytes]:
        return self.start("worker", f"tcp://127.0.0.1:{self.port}", "--nthreads", "1", "--no-nanny", **environment)

    def said(self) -> str:
        """Everything that its processes logged."""
        return "".join(log.read_text() for log in sorted(self.folder.glob("*.log")))


@contextmanager
def cluster_of(folder: Path, **environment: str) -> Iterator[Cluster]:
    cluster = Cluster(folder, {**os.environ, **environment, "DASK_DISTRIBUTED__ADMIN__LOW_LEVEL_LOG_LENGTH": "0"})
    try:
        cluster.start("scheduler", "--port", "0")
        yield cluster
    finally:
        for process in reversed(cluster.processes):
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()


@pytest.fixture(scope="module")
def ready(endpoint: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One with two workers, which nothing happens to."""
    with cluster_of(tmp_path_factory.mktemp("cluster"), DPONE_CONN_SHOP=endpoint.url()) as found:
        found.worker()
        found.worker()
        yield found


@pytest.fixture
def cluster(db: Db, tmp_path: Path) -> Iterator[Cluster]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    del db  # its workers find the connection in the environment that came with it
    with cluster_of(folder) as found:
        yield found


@pytest.fixture
def manifest(db: Db, tmp_path: Path) -> Callable[..., Path]:
    row = db.execute("SELECT current_schema()").fetchone()
    assert row is not None

    def write(strategy: str, name: str = "tgt") -> Path:
        path = tmp_path / f"{name}.yaml"
        path.write_text(
            f"version: 1\nname: {name}\n"
            f"source: {{connection: shop, type: postgres, table: {row[0]}.src, splits: 4}}\n"
            f"sink: {{connection: shop, type: postgres, table: {row[0]}.{name}}}\n"
            f"strategy: {strategy}\n"
        )
        return path

    return write


FULL = "{mode: full_refresh, key: [id]}"
CHUNKS = (
    "{mode: backfill, column: day, bounds: {from: 2026-01-01, to: 2026-01-09}, chunk: 1 day, workers: 3, key: [id]}"
)


def same(db: Db, name: str = "tgt") -> bool:
    both = f"(TABLE src EXCEPT ALL TABLE {name}) UNION ALL (TABLE {name} EXCEPT ALL TABLE src)"
    return not db.execute(both.encode()).fetchall()


def left_over(db: Db) -> list[str]:
    found = db.execute("SELECT tablename FROM pg_tables WHERE tablename ~ '^_dpone_[0-9a-f]{20}_'").fetchall()
    return [name for (name,) in found]


@pytest.mark.parametrize("strategy", [FULL, CHUNKS, "{mode: snapshot_diff, key: [id]}"])
def test_workers_land_what_threads_land(
    db: Db, ready: Cluster, manifest: Callable[..., Path], tmp_path: Path, strategy: str
) -> None:
    told: list[events.Event] = []

    def run() -> RunReport:
        return api.run(
            manifest(strategy),
            runs=tmp_path / "runs",
            executor=ready.address,
            observers=[lambda _, event: told.append(event)],
        )

    assert run().succeeded
    assert same(db)
    report = run()  # onto what is there
    assert report.succeeded
    assert same(db)
    local = api.run(manifest(strategy, "here"), runs=tmp_path / "runs")
    assert local.succeeded
    assert same(db, "here")
    assert report.streams[0].rows_staged == local.streams[0].rows_staged == 20_000
    assert {event.split for event in told if isinstance(event, events.BatchStaged)} >= {"0"}
    assert not left_over(db)


def test_secrets_do_not_travel(
    db: Db, endpoint: Endpoint, cluster: Cluster, manifest: Callable[..., Path], tmp_path: Path
) -> None:
    """A worker that is not told the connection cannot have it, and says which one it lacks."""
    cluster.worker(DPONE_CONN_SHOP="postgres://nobody@127.0.0.1:1/nothing")
    report = api.run(manifest(FULL), runs=tmp_path / "runs", executor=cluster.address)
    assert not report.succeeded
    assert report.streams[0].error_code in {"source.unreachable", "sink.unreachable"}
    assert endpoint.password is None or endpoint.password.reveal() not in cluster.said()
    assert not left_over(db)


@pytest.mark.parametrize("strategy", [FULL, CHUNKS])
def test_a_worker_killed_in_the_middle_of_a_split_is_replaced(
    db: Db, cluster: Cluster, manifest: Callable[..., Path], tmp_path: Path, strategy: str
) -> None:
    dying = cluster.worker(DPONE_FAILPOINT="after_first_batch:2")
    cluster.worker()
    assert api.run(manifest(strategy), runs=tmp_path / "runs", executor=cluster.address).succeeded
    assert dying.wait(_PATIENCE) == -signal.SIGKILL
    assert same(db)
    assert not left_over(db)


def test_a_lost_scheduler_ends_the_run_and_publishes_nothing(
    db: Db, cluster: Cluster, manifest: Callable[..., Path], tmp_path: Path
) -> None:
    cluster.worker()
    assert api.run(manifest(FULL), runs=tmp_path / "runs", executor=cluster.address).succeeded
    db.execute("UPDATE src SET v = 'new'")
    scheduler, _ = cluster.processes

    def kill(_stream: str, event: events.Event) -> None:
        if isinstance(event, events.ReadingOpened):
            scheduler.kill()
            scheduler.wait()

    report = api.run(manifest(FULL), runs=tmp_path / "runs", executor=cluster.address, observers=[kill])
    assert not report.succeeded
    assert report.streams[0].error_code == "executor.lost"
    assert db.execute("SELECT count(*) FROM tgt WHERE v = 'new'").fetchone() == (0,)
    assert api.run(manifest(FULL), runs=tmp_path / "runs").succeeded
    assert same(db)
    assert not left_over(db)


def test_an_error_of_a_worker_is_the_error_of_the_run(
    db: Db, ready: Cluster, manifest: Callable[..., Path], tmp_path: Path
) -> None:
    db.execute("ALTER TABLE src DROP CONSTRAINT src_pkey")
    db.execute("ALTER TABLE src ALTER id DROP NOT NULL")
    db.execute("INSERT INTO src VALUES (NULL, '2026-01-01', 'no key')")
    report = api.run(manifest(FULL), runs=tmp_path / "runs", executor=ready.address)
    assert report.streams[0].error_code == "stage.null_key"


@pytest.mark.parametrize(
    "address, code",
    [
        ("dask", "executor.malformed"),
        ("dask://127.0.0.1", "executor.malformed"),
        ("dask://me:secret@127.0.0.1:8786", "executor.malformed"),
        ("processes", "executor.malformed"),
        ("dask://10.0.0.1:8786", "executor.not_secure"),
        ("dask://127.0.0.1:1", "executor.unreachable"),
    ],
)
def test_a_cluster_that_cannot_be_used_is_named(
    db: Db,
    manifest: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    code: str,
) -> None:
    monkeypatch.setattr("dpone.cluster._PATIENCE", 1)
    with pytest.raises(DponeError) as caught:
        api.run(manifest(FULL), runs=tmp_path / "runs", executor=address)
    assert caught.value.code == code
    assert "secret" not in str(caught.value)
    assert not left_over(db)


def test_without_the_library_the_pip_line_is_shown(
    manifest: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingPackage, match="distributed") as caught:
        api.run(manifest(FULL), runs=tmp_path / "runs", executor="dask://127.0.0.1:8786")
    assert caught.value.hint == "pip install 'dpone-core[dask]'"


def test_a_secret_in_the_command_is_not_sent() -> None:
    """A connection of the manifest goes as it is written there, by references; one that holds a secret is refused."""
    with pytest.raises(DponeError) as caught:
        from_url("postgres://me:open@127.0.0.1/shop", connector).sent()
    assert caught.value.code == "executor.literal_secret"
    assert "open" not in caught.value.message
    sent = from_url("postgres://me:${env:PW}@127.0.0.1/shop", connector).sent()
    assert "PW" not in repr(sent)
    assert sent.found(connector).described()["user"] == "me"


@pytest.mark.parametrize(
    "profile, cases",
    [
        ("mock_contract", "postgres_to_mssql__replace,clickhouse_to_kafka__snapshot_diff,rest_to_bigquery__scd2"),
        ("mock_local", "postgres_to_postgres__incremental_merge"),
    ],
)
def test_workers_certify_what_processes_certify(ready: Cluster, tmp_path: Path, profile: Any, cases: str) -> None:
    def certified(executor: str) -> CertificationReport:
        order = Order(
            profile=profile,
            selection=Selection(case_id=cases),
            volume=volume_of(1_000, 0.02, 0.01, 1),
            folder=tmp_path / executor.partition(":")[0],
            workers=2,
            executor=executor,
            matrix=DEFAULT_INTEGRATION_MATRIX,
        )
        return carry_out(order, lambda _: None, lambda *_: None)

    here, there = certified("processes"), certified(ready.address)
    assert there.passed, there.blockers
    assert there.case_count == len(cases.split(","))
    assert {r.case_id: r.state for r in there.results} == {r.case_id: r.state for r in here.results}
    assert {r.case_id: r.fidelity for r in there.results} == {r.case_id: r.fidelity for r in here.results}


@pytest.mark.parametrize(
    "profile, executor", [("vendor_live", "dask://127.0.0.1:8786"), ("mock_local", "dask://10.0.0.1:8786")]
)
def test_services_that_workers_should_not_reach_are_refused(profile: Any, executor: str) -> None:
    with pytest.raises(DponeError) as caught:
        refuse_unreachable(profile, executor)
    assert caught.value.code == "executor.wrong_profile"
