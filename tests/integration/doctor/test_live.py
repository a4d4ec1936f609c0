"""`dpone doctor` at real servers: what it says of healthy ones, and of a role, a slot or a password that is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from dpone.cli import main
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.services.postgres import EmbeddedPostgres
from dpone_clickhouse.embedded import EmbeddedClickHouse

CANARY = "canary-91ab-password"
Found = dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Endpoint]:
    with EmbeddedPostgres(settings={"max_replication_slots": "2"}) as endpoint:
        yield endpoint


def examined(profile: str, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[int, Found, str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"DPONE_CONN_{profile.upper()}", url)
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--profile", profile, "--output", "found.json"])
    text = (tmp_path / "found.json").read_text()
    found = {f["name"]: (f["status"], f["found"]) for f in json.loads(text)["findings"]}
    return int(ended.value.code or 0), found, text


def test_a_healthy_postgres(postgres: Endpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code, found, text = examined("postgres_live", postgres.url(), monkeypatch, tmp_path)
    assert code == 0, found
    assert found["postgres_live source: clock"] == ("ok", "as here")
    assert found["postgres_live source: wal_level"] == ("ok", "logical")
    assert found["postgres_live sink: writable"] == ("ok", "yes")
    assert postgres.password is not None
    assert postgres.password.reveal() not in text


def test_a_role_that_may_do_little(postgres: Endpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with psycopg.connect(postgres.url(), autocommit=True) as admin:
        admin.execute(f"CREATE ROLE poor LOGIN PASSWORD '{CANARY}'".encode())
        admin.execute("CREATE TABLE IF NOT EXISTS secret_table (id int)")
        for name in ("dpone_one", "dpone_two"):
            admin.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (name,))
        try:
            url = f"postgresql://poor:{CANARY}@{postgres.url().rpartition('@')[2]}"
            code, found, text = examined("postgres_live", url, monkeypatch, tmp_path)
        finally:
            admin.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
    assert code == 1
    assert found["postgres_live source: may replicate"] == ("warning", "no")
    assert found["postgres_live source: may read"] == ("warning", "0 of 1 tables and views")
    assert found["postgres_live source: slots"] == ("warning", "2 of 2 in use")
    assert found["postgres_live sink: may make tables"] == ("failed", "in 0 schemas")
    assert found["postgres_live sink: may make schemas"][0] == "warning"
    assert CANARY not in text


def test_a_wrong_password_is_a_finding(postgres: Endpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    url = f"postgresql://postgres:{CANARY}@{postgres.url().rpartition('@')[2]}"
    code, found, text = examined("postgres_live", url, monkeypatch, tmp_path)
    assert (code, found["postgres_live source"][0]) == (1, "failed")
    assert CANARY not in text


@pytest.mark.integration_clickhouse
def test_a_healthy_clickhouse(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with EmbeddedClickHouse() as endpoint:
        url = f"{endpoint.url()}?http_port={endpoint.ports['http']}"
        code, found, _ = examined("clickhouse_live", url, monkeypatch, tmp_path)
    assert code == 0, found
    assert found["clickhouse_live source: http"][0] == "ok"
    assert found["clickhouse_live sink: may ALTER"] == ("ok", "yes")
    assert found["clickhouse_live source: disk default"][0] == "ok"
