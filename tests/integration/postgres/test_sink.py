"""What a sink must withstand: killed runs, runs at once, readers throughout, lost tables, newer books, wrong logins."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from dpone.connector import Cursor, Position, Target
from dpone.errors import DponeError
from dpone.failpoints import RUN, arm
from dpone.strategies import Read
from dpone.testing.fixtures import crowd
from dpone.testing.suite.refusals import code_of
from dpone_postgres import PostgresConfig
from dpone_postgres.sink import PostgresSink
from dpone_postgres.source import PostgresSource

__all__ = ["crowd"]

pytestmark = pytest.mark.integration_postgres
Db = psycopg.Connection[Any]
Make = Callable[..., Any]


def rows(db: Db, query: str) -> list[tuple[Any, ...]]:
    return db.execute(query.encode()).fetchall()


@pytest.fixture
def make(db: Db, schema: str, config: PostgresConfig, pipeline_type: Any) -> Make:
    db.execute("CREATE TABLE src (id int PRIMARY KEY, v text NOT NULL, c timestamptz NOT NULL DEFAULT now())")
    db.execute("INSERT INTO src SELECT i, 'v' || i FROM generate_series(1, 90) i")

    def pipeline(strategy: str, **more: Any) -> Any:
        if strategy == "incremental_merge":
            more["cursor"] = Cursor("c", lag=timedelta(days=1))
        return pipeline_type(config, (schema, "src"), (schema, "tgt"), strategy, **{"key": ("id",), **more})

    return pipeline


def same(db: Db) -> bool:
    return not rows(db, "(TABLE src EXCEPT ALL TABLE tgt) UNION ALL (TABLE tgt EXCEPT ALL TABLE src)")


def stages(db: Db) -> list[Any]:
    return rows(
        db,
        "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' "
        "AND relname ~ '^_dpone_.*_(open|raw|live|dead|present)$'",
    )


def test_a_process_may_have_more_open_files_than_select_knows(make: Make, db: Db, crowd: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        select.select([crowd], [], [], 0)
    make("full_refresh").run()
    make("full_refresh").run()
    assert same(db)


# ------------------------------------------------------------------------------ kills

_CHILD = """
import importlib.util, json, os, sys
spec = importlib.util.spec_from_file_location("suite_conftest", os.environ["CONFTEST"])
module = importlib.util.module_from_spec(spec)
sys.modules["suite_conftest"] = module
spec.loader.exec_module(module)
said = json.load(sys.stdin)
config = module.from_url(said["url"], module.connector).resolve()
if said["strategy"] == "incremental_merge":
    from datetime import timedelta
    cursor = module.Cursor("c", lag=timedelta(days=1))
else:
    cursor = None
ends = (said["schema"], "src"), (said["schema"], "tgt")
module.Pipeline(config, *ends, said["strategy"], ("id",), cursor=cursor).run(said["run"])
"""


def killed_at(place: str, url: str, schema: str, strategy: str) -> None:
    import json

    said = json.dumps({"url": url, "schema": schema, "strategy": strategy, "run": f"killed-{place}"})
    environment = {
        **os.environ,
        "DPONE_FAILPOINT": place,
        "CONFTEST": str(Path(__file__).with_name("conftest.py")),
    }
    done = subprocess.run(
        [sys.executable, "-c", _CHILD], input=said, text=True, env=environment, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize("strategy", ["cdc", "full_refresh"])
@pytest.mark.parametrize("place", RUN)
def test_a_run_that_is_killed_anywhere_and_run_again_ends_right(
    db: Db, schema: str, make: Make, endpoint: Any, strategy: str, place: str
) -> None:
    make(strategy).run()
    db.execute("DELETE FROM src WHERE id <= 5")
    db.execute("UPDATE src SET v = 'new' WHERE id <= 15")
    db.execute("INSERT INTO src SELECT i, 'add' FROM generate_series(91, 95) i")
    killed_at(place, endpoint.url(), schema, strategy)
    make(strategy).run()
    assert same(db)
    assert stages(db) == []
    assert rows(db, "SELECT count(*) FROM _dpone_loads WHERE NOT committed") == [(0,)]


def test_sweep_removes_what_a_killed_run_left_and_nothing_else(
    db: Db, schema: str, make: Make, endpoint: Any, config: PostgresConfig
) -> None:
    db.execute("CREATE TABLE _dpone_mine_raw (id int)")
    killed_at("after_seal", endpoint.url(), schema, "snapshot_diff")
    assert len(stages(db)) == 2
    sink = PostgresSink(config)
    assert sink.sweep(timedelta(hours=1)) == []
    swept = sink.sweep(timedelta(0))
    assert any(name.startswith(f"{schema}._dpone_") for name in swept)
    assert stages(db) == [("_dpone_mine_raw",)]
    make("snapshot_diff").run()
    assert same(db)


def test_sweep_leaves_a_running_load_alone(db: Db, make: Make, config: PostgresConfig) -> None:
    seen: list[Any] = []
    with arm("after_seal", lambda: seen.append((PostgresSink(config).sweep(timedelta(0)), len(stages(db))))):
        make("snapshot_diff").run()
    assert seen == [([], 1)]


# ---------------------------------------------------------------------------- at once


def test_of_two_runs_at_once_one_is_refused_or_waits(db: Db, schema: str, make: Make) -> None:
    impatient = {"lease_timeout": 0}
    refused: list[str] = []
    with arm("after_seal", lambda: refused.append(code_of(make("snapshot_diff", options=impatient, name="b").run))):
        make("snapshot_diff").run()
    assert refused == ["state.leased"]

    patient: list[threading.Thread] = []

    def start() -> None:
        db.execute("UPDATE src SET v = 'later' WHERE id = 1")
        patient.append(threading.Thread(target=make("snapshot_diff", options={"lease_timeout": 20}).run))
        patient[0].start()

    with arm("before_seal", start):
        make("full_refresh", name="pipe").run() if not patient else None
    for thread in patient:
        thread.join()
    assert same(db)


@contextmanager
def polling(url: str, schema: str) -> Iterator[list[int]]:
    """The counts that a reader sees all the time."""
    seen: list[int] = []
    over = threading.Event()

    def poll() -> None:
        with psycopg.connect(url, autocommit=True) as reader:
            while not over.is_set():
                seen.append(reader.execute(f"SELECT count(*) FROM {schema}.tgt".encode()).fetchone()[0])  # type: ignore[index] # a count

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("strategy", ["full_refresh", "replace", "snapshot_diff", "incremental_merge"])
def test_readers_never_see_an_empty_or_half_loaded_table(
    db: Db, schema: str, make: Make, endpoint: Any, strategy: str
) -> None:
    make(strategy).run()
    db.execute("INSERT INTO src SELECT i, 'add' FROM generate_series(91, 9000) i")
    with psycopg.connect(endpoint.url()) as old:
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        old.execute("SELECT 1 FROM pg_class")
        with polling(endpoint.url(), schema) as seen:
            make(strategy).run()
        assert old.execute(f"SELECT count(*) FROM {schema}.tgt".encode()).fetchone() == (90,)
    assert set(seen) <= {90, 9000}
    assert same(db)


# ------------------------------------------------------------------------- refusals


def test_a_target_that_is_gone_is_not_filled_with_a_window(db: Db, make: Make, schema: str, config: Any) -> None:
    make("incremental_merge").run()
    db.execute("DROP TABLE tgt")
    assert code_of(make("incremental_merge").run) == "state.target_missing"
    PostgresSink(config).set_position(Target((schema, "tgt")), "pipe", None)
    make("incremental_merge").run()
    assert same(db)


def test_books_of_a_newer_dpone_are_refused(db: Db, make: Make) -> None:
    make("replace").run()
    db.execute("COMMENT ON TABLE _dpone_state IS 'dpone, shape 99'")
    assert code_of(make("replace").run) == "state.newer_version"
    db.execute("COMMENT ON TABLE _dpone_state IS 'mine'")
    assert code_of(make("replace").run) == "state.not_ours"


def test_books_of_an_older_dpone_are_brought_forward(db: Db, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from dpone_postgres import state

    make("replace").run()
    newer = {**state.SHAPES, state.STATE: (*state.SHAPES[state.STATE], "ALTER TABLE {0} ADD COLUMN note text")}
    monkeypatch.setattr(state, "SHAPES", newer)
    make("replace").run()
    assert rows(db, "SELECT count(note) FROM _dpone_state") == [(0,)]
    assert rows(db, "SELECT obj_description('_dpone_state'::regclass)") == [("dpone, shape 2",)]


def test_books_can_be_kept_elsewhere(db: Db, schema: str, make: Make) -> None:
    db.execute(f"CREATE SCHEMA {schema}_books".encode())
    make("replace", options={"state_schema": f"{schema}_books"}).run()
    assert rows(db, f"SELECT generation FROM {schema}_books._dpone_state") == [(1,)]
    assert rows(db, "SELECT to_regclass('_dpone_state')::text") == [(None,)]
    db.execute(f"DROP SCHEMA {schema}_books CASCADE".encode())


def test_what_depends_on_a_column_stops_its_removal_by_name(db: Db, make: Make) -> None:
    make("full_refresh").run()
    db.execute("CREATE VIEW seen AS SELECT v FROM tgt")
    make("full_refresh").run()
    db.execute("ALTER TABLE src DROP COLUMN v")
    assert code_of(make("full_refresh").run) == "sink.dependent_objects"
    assert rows(db, "SELECT count(*) FROM seen") == [(90,)]


def test_a_type_that_the_sink_has_not_is_named(db: Db, make: Make, endpoint: Any) -> None:
    db.execute("CREATE TYPE mood AS ENUM ('ok')")
    db.execute("ALTER TABLE src ADD COLUMN m mood")
    pipeline = make("full_refresh")
    plan = pipeline.compiled()
    db.execute("ALTER TABLE src DROP COLUMN m")
    db.execute("DROP TYPE mood")
    pipeline.compiled = lambda: plan
    assert code_of(pipeline.run) in {"source.unknown_column", "sink.missing_object"}


def test_a_table_that_is_locked_is_an_error_in_time(db: Db, schema: str, make: Make, endpoint: Any) -> None:
    make("replace").run()
    with psycopg.connect(endpoint.url()) as other:
        other.execute(f"LOCK TABLE {schema}.tgt IN ROW EXCLUSIVE MODE".encode())
        assert code_of(make("replace", options={"lock_timeout": 0.3}).run) == "sink.locked"


@pytest.mark.parametrize(
    "change, code",
    [
        ({"password": SecretStr("canary-secret")}, "login_refused"),
        ({"database": "canary_missing"}, "database_missing"),
        ({"port": 1}, "unreachable"),
    ],
)
def test_a_login_that_fails_says_why_and_never_the_password(
    config: PostgresConfig, change: dict[str, Any], code: str
) -> None:
    wrong = config.model_copy(update=change)
    for side, call in (
        ("source", PostgresSource(wrong).diagnose),
        ("sink", PostgresSink(wrong).diagnose),
    ):
        with pytest.raises(DponeError) as caught:
            call()
        assert caught.value.code == f"{side}.{code}"
        assert caught.value.exit_code == 1
        assert "canary-secret" not in f"{caught.value!r} {caught.value} {caught.value.context}"


def test_rejected_rows_name_the_column_and_not_the_value(db: Db, make: Make) -> None:
    make("replace").run()
    db.execute("ALTER TABLE tgt ADD CONSTRAINT short CHECK (length(v) < 9)")
    db.execute("UPDATE src SET v = 'canary-value' WHERE id = 1")
    with pytest.raises(DponeError) as caught:
        make("replace").run()
    assert caught.value.code == "sink.rejected_rows"
    assert "canary-value" not in f"{caught.value} {caught.value.context}"
    assert caught.value.__cause__ is None


def test_an_operator_can_set_a_position(db: Db, schema: str, make: Make, config: PostgresConfig) -> None:
    make("incremental_merge").run()
    sink, target = PostgresSink(config), Target((schema, "tgt"))
    at = Position(Read.SINCE, {"column": "c", "value": "2020-01-01 00:00:00+00"})
    sink.set_position(target, "pipe", at)
    with sink.lease(target, "pipe") as lease:
        assert lease.stored is not None
        assert (lease.stored.position, lease.stored.generation) == (at, 2)


def test_both_ends_list_their_tables(db: Db, schema: str, make: Make, config: PostgresConfig) -> None:
    make("replace").run()
    for end in (PostgresSource(config), PostgresSink(config)):
        assert [d.name for d in end.discover((schema, "*"))] == [(schema, "src"), (schema, "tgt")]
        assert [d.name for d in end.discover((schema, "s_c"))] == []
