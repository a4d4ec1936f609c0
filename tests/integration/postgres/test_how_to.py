"""Every manifest of docs/how-to/postgres-to-postgres.md runs, and leaves what the page says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import dpone
from dpone.testing.services.postgres import EmbeddedPostgres

PAGE = Path(__file__).parents[3] / "docs/how-to/postgres-to-postgres.md"
_BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
MANIFESTS = {found[1]: text for text in _BLOCKS if (found := re.search(r"mode: (\w+)", text))}
SEED = """
CREATE SCHEMA raw;
CREATE TABLE orders (id bigint PRIMARY KEY, state text NOT NULL, amount numeric(12,2) NOT NULL, note text,
    updated_at timestamptz NOT NULL DEFAULT '2026-06-01 12:00Z');
CREATE TABLE events (id bigint PRIMARY KEY, what text NOT NULL);
INSERT INTO orders SELECT n, CASE n % 3 WHEN 0 THEN 'open' ELSE 'paid' END, n / 4.0, nullif('it''s ' || n, 'it''s 5'),
    '2026-06-01 12:00Z'::timestamptz + n * interval '1 hour' FROM generate_series(1, 100) AS n;
INSERT INTO events SELECT n, 'seen' FROM generate_series(1, 100) AS n;
"""
CHANGES = """
UPDATE orders SET amount = amount + 1, updated_at = '2026-07-01' WHERE id <= 10;
DELETE FROM orders WHERE id IN (20, 21);
INSERT INTO orders VALUES (500, 'open', 1, NULL, '2026-07-01');
INSERT INTO events VALUES (101, 'new');
"""
# the target's table, and its rows after the changes
AFTER = {
    "full_refresh": ("orders", 99),
    "replace": ("open_orders", 33),
    "incremental_append": ("events", 101),
    "incremental_merge": ("orders_merged", 101),
    "snapshot_diff": ("orders_mirrored", 101),
    "scd2": ("orders_history", 111),
    "partition_replace": ("orders_by_day", 99),
    "backfill": ("orders_backfilled", 99),
    "xmin": ("orders_by_xmin", 99),
    "cdc": ("orders_streamed", 99),
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with EmbeddedPostgres() as endpoint:
        yield endpoint.url()


@pytest.fixture
def shop(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection]:
    with psycopg.connect(server, autocommit=True) as admin:
        name = f"shop_{abs(hash(tmp_path)) % 10**9}"
        admin.execute(f"CREATE DATABASE {name}".encode())
        url = server.rpartition("/")[0] + f"/{name}"
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("DPONE_CONN_SHOP", url)
        monkeypatch.setenv("DPONE_CONN_DWH", url)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(SEED.encode())
            yield connection


def test_every_strategy_has_its_manifest() -> None:
    assert MANIFESTS.keys() == AFTER.keys()


@pytest.mark.parametrize("mode", AFTER)
def test_the_manifest_runs_again_and_again(mode: str, shop: psycopg.Connection) -> None:
    Path("orders.yaml").write_text(MANIFESTS[mode])
    table, rows = AFTER[mode]
    assert dpone.run("orders.yaml").succeeded
    first = shop.execute(f"SELECT * FROM raw.{table} ORDER BY 1, 2".encode()).fetchall()
    source = {"incremental_append": "events"}.get(mode, "orders")
    assert [r[: 2 if source == "events" else 5] for r in first] == shop.execute(
        f"SELECT * FROM {source} WHERE {'state' if mode == 'replace' else 'true'}"
        f"{' = $$open$$' if mode == 'replace' else ''} ORDER BY 1, 2".encode()
    ).fetchall()
    shop.execute(CHANGES.encode())
    for _ in range(2):
        report = dpone.run("orders.yaml")
        assert report.succeeded, report.streams[0].error
        assert shop.execute(f"SELECT count(*) FROM raw.{table}".encode()).fetchone() == (rows,)
