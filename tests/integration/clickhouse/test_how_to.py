"""Every manifest of the guides to and from ClickHouse runs between real servers, and leaves what the page says."""
# ruff: noqa: ISC004 - lists of statements

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

import dpone
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.services.postgres import EmbeddedPostgres
from dpone_clickhouse.embedded import EmbeddedClickHouse

pytestmark = pytest.mark.integration_clickhouse
GUIDES = Path(__file__).parents[3] / "docs/how-to"
PAIRS = ("postgres-to-clickhouse", "clickhouse-to-postgres", "clickhouse-to-clickhouse")


def _manifests(pair: str) -> dict[str, str]:
    found = {}
    for text in re.findall(r"```yaml\n(.*?)```", (GUIDES / f"{pair}.md").read_text(), re.DOTALL):
        mode = re.search(r"mode: (\w+)", text)
        assert mode is not None
        found[mode[1]] = text
    return found


# the target's table, and its rows after the changes and after the source was emptied
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
WHOLE = {"full_refresh", "partition_replace", "backfill", "xmin", "cdc"}  # the target is the source, row by row
CASES = [(pair, mode) for pair in PAIRS for mode in _manifests(pair)]

SEED = {
    "postgres": (
        "CREATE TABLE orders (id bigint PRIMARY KEY, state text NOT NULL, amount numeric(12,2) NOT NULL, note text, "
        "updated_at timestamptz NOT NULL)",
        "CREATE TABLE events (id bigint PRIMARY KEY, what text NOT NULL)",
        "INSERT INTO orders SELECT n, CASE n % 3 WHEN 0 THEN 'open' ELSE 'paid' END, n / 4.0, "
        "CASE WHEN n <> 5 THEN E'it''s\\t\\\\ ' || n END, '2026-06-01 12:00Z'::timestamptz + n * interval '1 hour' "
        "FROM generate_series(1, 100) AS n",
        "INSERT INTO events SELECT n, 'seen' FROM generate_series(1, 100) AS n",
    ),
    "clickhouse": (
        "CREATE TABLE orders (id Int64, state String, amount Decimal(12, 2), note Nullable(String), "
        "updated_at DateTime64(6, 'UTC')) ENGINE = MergeTree ORDER BY id",
        "CREATE TABLE events (id Int64, what String) ENGINE = MergeTree ORDER BY id",
        "INSERT INTO orders SELECT number + 1 AS n, if(n % 3 = 0, 'open', 'paid'), n / 4, "
        "if(n != 5, concat('it\\'s\\t\\\\ ', toString(n)), NULL), "
        "toDateTime64('2026-06-01 12:00:00', 6, 'UTC') + toIntervalHour(n) FROM numbers(100)",
        "INSERT INTO events SELECT number + 1, 'seen' FROM numbers(100)",
    ),
}
CHANGES = {
    "postgres": (
        "UPDATE orders SET amount = amount + 1, updated_at = '2026-07-01' WHERE id <= 10",
        "DELETE FROM orders WHERE id IN (20, 21)",
        "INSERT INTO orders VALUES (500, 'open', 1, NULL, '2026-07-01')",
        "INSERT INTO events VALUES (101, 'new')",
    ),
    "clickhouse": (
        "ALTER TABLE orders UPDATE amount = amount + 1, updated_at = '2026-07-01 00:00:00' WHERE id <= 10",
        "ALTER TABLE orders DELETE WHERE id IN (20, 21)",
        "INSERT INTO orders SELECT 500, 'open', 1, NULL, '2026-07-01 00:00:00'",
        "INSERT INTO events SELECT 101, 'new'",
    ),
}
ORDERS = {
    "postgres": (
        "SELECT id::text, state, amount::text, note, "
        "to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') FROM {0}"
    ),
    "clickhouse": (
        "SELECT toString(id), state, toDecimalString(amount, 2), note, toString(toDateTime64(updated_at, 6, 'UTC')) "
        "FROM {0} FORMAT JSONCompact"
    ),
}


@dataclass
class ClickHouse:
    """A database of a server, over plain HTTP."""

    endpoint: Endpoint
    database: str

    @property
    def url(self) -> str:
        return f"{self.endpoint.url().rpartition('/')[0]}/{self.database}?http_port={self.endpoint.ports['http']}"

    def ask(self, statement: str) -> Any:
        connection = HTTPConnection(self.endpoint.host, self.endpoint.ports["http"])
        assert self.endpoint.password is not None
        login = {
            "X-ClickHouse-User": self.endpoint.user or "",
            "X-ClickHouse-Key": self.endpoint.password.reveal(),
            "X-ClickHouse-Database": self.database,
        }
        connection.request("POST", "/?mutations_sync=2", body=statement.encode(), headers=login)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status == 200, body
        return [tuple(row) for row in json.loads(body)["data"]] if statement.endswith("JSONCompact") else body

    def count(self, table: str) -> int:
        return int(self.ask(f"SELECT count() FROM {table}"))


@dataclass
class Postgres:
    """A database of a server."""

    url: str

    def ask(self, statement: str) -> Any:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else None

    def count(self, table: str) -> int:
        return int(self.ask(f"SELECT count(*) FROM {table}")[0][0])


def orders_of(database: Any, kind: str, table: str) -> list[tuple[str | None, ...]]:
    """The orders as text that is the same for equal values in both engines."""
    return sorted(database.ask(ORDERS[kind].format(table)), key=str)


@pytest.fixture(scope="module")
def clickhouse() -> Iterator[Endpoint]:
    with EmbeddedClickHouse() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with EmbeddedPostgres(settings={"max_replication_slots": "30"}) as endpoint:
        yield endpoint.url()


@pytest.fixture
def ends(
    clickhouse: Endpoint, postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, ClickHouse | Postgres]:
    """A database of each kind under one name, in which the tables of the pages are looked for."""
    monkeypatch.chdir(tmp_path)
    name = f"db_{uuid4().hex[:8]}"
    server = ClickHouse(clickhouse, "dpone")
    server.ask(f"CREATE DATABASE {name}")
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
    database = Postgres(f"{postgres.rpartition('/')[0]}/{name}")
    database.ask("CREATE SCHEMA raw")
    return {"clickhouse": ClickHouse(clickhouse, name), "postgres": database}


@pytest.mark.parametrize("pair", PAIRS)
def test_every_strategy_has_its_manifest(pair: str) -> None:
    expected = AFTER.keys() if pair.startswith("postgres") else AFTER.keys() - {"xmin", "cdc"}
    assert _manifests(pair).keys() == expected


@pytest.mark.parametrize("pair, mode", CASES)
def test_the_manifest_runs_again_and_again(
    pair: str, mode: str, ends: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, _, writing = pair.partition("-to-")
    source, sink = ends[reading], ends[writing]
    monkeypatch.setenv("DPONE_CONN_SHOP", source.url)
    monkeypatch.setenv("DPONE_CONN_DWH", sink.url)
    for statement in SEED[reading]:
        source.ask(statement)
    name, rows = AFTER[mode]
    manifest = _manifests(pair)[mode]
    if reading == "clickhouse":  # the page's own names are those of databases, which other tests use as well
        manifest = manifest.replace("table: shop.", f"table: {source.database}.")
    target = f"raw.{name}"
    if writing == "clickhouse":
        target = f"{sink.database}.raw_{name}"
        manifest = manifest.replace(f"table: raw.{name}", f"table: {target}")
    Path("orders.yaml").write_text(manifest)
    report = dpone.run("orders.yaml")
    assert report.succeeded, report.streams[0].error
    if mode not in {"incremental_append", "replace"}:
        assert orders_of(sink, writing, target) == orders_of(source, reading, "orders")
    for statement in CHANGES[reading]:
        source.ask(statement)
    for _ in range(2):
        report = dpone.run("orders.yaml")
        assert report.succeeded, report.streams[0].error
        assert sink.count(target) == rows
    if mode in WHOLE:
        assert orders_of(sink, writing, target) == orders_of(source, reading, "orders")
    source.ask("TRUNCATE TABLE orders" if mode != "incremental_append" else "TRUNCATE TABLE events")
    report = dpone.run("orders.yaml")
    if mode in {"full_refresh", "replace", "snapshot_diff", "backfill", "xmin"}:
        assert not report.succeeded, "an emptied source emptied the target"
    assert sink.count(target) == (0 if mode == "cdc" else rows)
