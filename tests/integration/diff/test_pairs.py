"""`dpone diff` between real engines: equal after a run whatever the types, and planted differences by their keys."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from msgspec import Struct

import dpone
from dpone.connector import Dataset
from dpone.diff.comparing import Options, diff
from dpone.diff.report import StreamDiff
from dpone.manifest import from_url
from dpone.segments import Extent, Form, Spelled
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.services.postgres import EmbeddedPostgres
from dpone_clickhouse import connector as clickhouse_connector
from dpone_clickhouse.embedded import EmbeddedClickHouse
from dpone_clickhouse.sink import connect as open_clickhouse

TO_CLICKHOUSE = pytest.mark.integration_clickhouse
ROWS = 3000
SEED = """
CREATE TABLE things (region text NOT NULL, id int NOT NULL, price numeric(18,6), rate double precision, part real,
    done boolean, at timestamptz, clock timestamp(3), day date, hour time, code varchar(20), fixed char(5),
    ref uuid, raw bytea, doc jsonb, host inet, span interval, PRIMARY KEY (region, id));
INSERT INTO things SELECT CASE i % 3 WHEN 0 THEN 'größe | ~' ELSE 'b' || i % 3 END, i, i / 7.0,
    CASE i % 5 WHEN 0 THEN 'NaN'::float8 WHEN 1 THEN '-0'::float8 ELSE i / 3.0 END, i / 9.0, i % 2 = 0,
    '2024-01-01Z'::timestamptz + i * interval '1.5 s', '2024-01-01'::timestamp + i * interval '1 h',
    '2020-02-28'::date + i, '00:00'::time + i * interval '1.25 s', E'tab\\t' || i, 'x', md5(i::text)::uuid,
    decode(md5(i::text), 'hex'), jsonb_build_object('b', i, 'a', 1.50), '10.0.0.1', i * interval '1 day'
    FROM generate_series(1, 3000) AS i;
UPDATE things SET price = NULL, rate = NULL, done = NULL, at = NULL, code = NULL, ref = NULL, raw = NULL, doc = NULL
    WHERE id % 11 = 0;
CREATE TABLE words (word text PRIMARY KEY, n bigint);
INSERT INTO words SELECT md5(i::text), i FROM generate_series(1, 3000) AS i;
CREATE TABLE lines (at timestamptz, line text);
INSERT INTO lines SELECT '2024-01-01Z'::timestamptz + (i % 500) * interval '1 s', nullif('line ' || i % 100, 'line 7')
    FROM generate_series(1, 3000) AS i;
"""


class Database(Struct):
    """A database of a server: its URL, and a way to ask it anything."""

    url: str
    endpoint: Endpoint
    name: str
    type: str

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        return self._over_http(statement) if self.type == "clickhouse" else self._ask(statement)

    def _ask(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _over_http(self, statement: str) -> list[tuple[Any, ...]]:
        connection = HTTPConnection(self.endpoint.host, self.endpoint.ports["http"])
        assert self.endpoint.password is not None
        login = {
            "X-ClickHouse-User": self.endpoint.user or "",
            "X-ClickHouse-Key": self.endpoint.password.reveal(),
            "X-ClickHouse-Database": self.name,
        }
        connection.request("POST", "/?mutations_sync=2", body=statement.encode(), headers=login)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status == 200, body
        return []


@pytest.fixture(scope="module")
def postgres() -> Iterator[Endpoint]:
    with EmbeddedPostgres() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def clickhouse() -> Iterator[Endpoint]:
    with EmbeddedClickHouse() as endpoint:
        yield endpoint


@pytest.fixture
def in_postgres(postgres: Endpoint) -> Iterator[Database]:
    name = f"d{uuid4().hex[:12]}"
    with psycopg.connect(postgres.url(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
        url = postgres.url().rpartition("/")[0] + f"/{name}"
        yield Database(url, postgres, name, "postgres")
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def in_clickhouse(clickhouse: Endpoint) -> Iterator[Database]:
    name = f"d{uuid4().hex[:12]}"
    Database("", clickhouse, "default", "clickhouse").ask(f"CREATE DATABASE {name}")
    url = f"{clickhouse.url().rpartition('/')[0]}/{name}?http_port={clickhouse.ports['http']}"
    yield Database(url, clickhouse, name, "clickhouse")
    Database("", clickhouse, "default", "clickhouse").ask(f"DROP DATABASE {name}")


def manifest(sink: str, table: str, strategy: str, more: str = "") -> str:
    target = "raw.{0}" if sink == "postgres" else "{0}"
    return (
        f"version: 1\nname: {table}\nsource: {{type: postgres, connection: shop, table: {table}}}\n"
        f"sink: {{type: {sink}, connection: dwh, table: {target.format(table)}}}\nstrategy: {strategy}\n{more}"
    )


@pytest.fixture
def shop(in_postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DPONE_CONN_SHOP", in_postgres.url)
    in_postgres.ask(SEED)
    in_postgres.ask("CREATE SCHEMA raw")
    return in_postgres


@pytest.fixture(params=["postgres", pytest.param("clickhouse", marks=TO_CLICKHOUSE)])
def target(request: pytest.FixtureRequest, shop: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    found: Database = shop if request.param == "postgres" else request.getfixturevalue("in_clickhouse")
    monkeypatch.setenv("DPONE_CONN_DWH", found.url)
    return found


def loaded(target: Database, table: str, strategy: str, more: str = "") -> str:
    """The manifest has run; the name of its target."""
    Path("m.yaml").write_text(manifest(target.type, table, strategy, more))
    assert dpone.run("m.yaml").succeeded
    return f"raw.{table}" if target.type == "postgres" else table


def compared(options: Options | None = None) -> StreamDiff:
    (stream,) = diff("m.yaml", options=options).streams
    return stream


def update(target: Database, table: str, change: str, where: str) -> None:
    clickhouse = target.type == "clickhouse"
    target.ask(
        f"ALTER TABLE {table} UPDATE {change} WHERE {where}"
        if clickhouse
        else f"UPDATE {table} SET {change} WHERE {where}"
    )


def test_every_scalar_type_is_compared_where_it_is(target: Database) -> None:
    table = loaded(target, "things", "{mode: snapshot_diff, key: [region, id]}")
    stream = compared()
    assert (stream.why_rows, stream.missing, stream.extra, stream.different) == ((), (), (), ())
    assert (stream.equal, stream.method, stream.rows_fetched.target) == (True, "checksums", 0)
    assert (stream.key_range is not None, stream.steady) == (True, True)
    update(target, table, "price = 1.000001", "id = 17")
    target.ask(f"DELETE FROM {table} WHERE id = 18")
    stream = compared()
    assert [dict(key) for key in stream.missing] == [{"region": "größe | ~", "id": 18}]
    assert [(dict(d.key), d.columns) for d in stream.different] == [({"region": "b2", "id": 17}, ("price",))]
    assert stream.rows_fetched.source < ROWS / 20


def test_text_keys_are_told_apart_by_their_hash(target: Database) -> None:
    table = loaded(target, "words", "{mode: full_refresh}")
    stream = compared()
    assert (stream.equal, stream.key, stream.key_range, stream.method) == (True, ("word",), None, "checksums")
    update(target, table, "n = 0", "n = 5")
    stream = compared()
    (found,) = stream.different
    assert (found.columns, stream.missing, stream.extra) == (("n",), (), ())
    assert stream.rows_fetched.source < ROWS / 20


def test_a_table_without_a_key_is_compared_as_a_bag_of_rows(target: Database) -> None:
    table = loaded(target, "lines", "{mode: full_refresh}")
    stream = compared()
    assert (stream.equal, stream.key) == (True, ("at", "line"))
    update(target, table, "line = 'other'", "line = 'line 3'")
    stream = compared()
    assert not stream.equal
    assert {key["line"] for key in stream.missing} == {"line 3"}
    assert {key["line"] for key in stream.extra} == {"other"}


@pytest.mark.parametrize(
    "strategy",
    [
        "{mode: scd2, key: [region, id], compare: [price, code]}",
        "{mode: incremental_merge, key: [region, id], cursor: {column: id, lag: 0}, deletes: soft}",
        "{mode: partition_replace, column: day, grain: month}",
        "{mode: backfill, column: id, bounds: {from: 1000, to: 2000}, chunk: 500}",
    ],
)
def test_strategies(target: Database, shop: Database, strategy: str) -> None:
    loaded(target, "things", strategy)
    stream = compared()
    assert (stream.equal, stream.method) == (True, "checksums"), stream
    shop.ask("UPDATE things SET price = 5 WHERE id = 1500")
    stream = compared()
    assert [d.key["id"] for d in stream.different] == [1500]
    assert dpone.run("m.yaml").succeeded
    if "merge" not in strategy:
        assert compared().equal


def test_what_has_no_common_text_is_compared_row_by_row(target: Database, shop: Database) -> None:
    shop.ask("CREATE TABLE lists (id int PRIMARY KEY, words text[] NOT NULL)")
    shop.ask("INSERT INTO lists SELECT i, ARRAY['a', NULL, i::text] FROM generate_series(1, 100) AS i")
    loaded(target, "lists", "{mode: full_refresh}", "on_type_loss: allow\n")
    stream = compared()
    assert (stream.equal, stream.method) == (True, "checksums" if target.type == "postgres" else "rows"), stream
    shop.ask("UPDATE lists SET words = ARRAY['b'] WHERE id = 50")
    stream = compared()
    assert [(dict(d.key), d.columns) for d in stream.different] == [({"id": 50}, ("words",))]


def test_what_the_next_run_reads_waits(target: Database, shop: Database) -> None:
    loaded(target, "things", "{mode: xmin, key: [region, id]}")
    assert compared().equal
    shop.ask("UPDATE things SET price = 5 WHERE id = 1500")
    shop.ask("DELETE FROM things WHERE id = 1501")
    stream = compared()
    assert (stream.waiting, stream.missing, stream.different) == (1, (), ())
    assert [key["id"] for key in stream.extra] == [1501]


def test_changes_in_the_log_are_differences_until_they_are_read(target: Database, shop: Database) -> None:
    loaded(target, "things", "{mode: cdc, key: [region, id], deletes: soft}")
    assert compared().equal
    shop.ask("DELETE FROM things WHERE id = 1501")
    assert [key["id"] for key in compared().extra] == [1501]
    assert dpone.run("m.yaml").succeeded
    assert compared().equal
    shop.ask("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active")


@TO_CLICKHOUSE
def test_a_write_meanwhile_is_noticed_and_a_merge_is_none(in_clickhouse: Database) -> None:
    in_clickhouse.ask("CREATE TABLE t (id Int64) ENGINE = MergeTree ORDER BY id")
    in_clickhouse.ask("INSERT INTO t SELECT number FROM numbers(10)")
    in_clickhouse.ask("INSERT INTO t SELECT number + 10 FROM numbers(10)")
    extent = Extent(Dataset((in_clickhouse.name, "t")), (Spelled("id", Form.NUMBER),), ("id",), axis="id")
    config = from_url(in_clickhouse.url, clickhouse_connector).resolve()
    with open_clickhouse(config) as sink, sink.segments(extent) as segments:
        assert segments.shape().rows == 20
        in_clickhouse.ask("OPTIMIZE TABLE t FINAL")
        assert segments.is_steady()
        in_clickhouse.ask("INSERT INTO t VALUES (100)")
        assert segments.is_steady() is False


@TO_CLICKHOUSE
def test_clickhouse_to_postgres(in_clickhouse: Database, shop: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    in_clickhouse.ask(
        "CREATE TABLE facts (id UInt64, d Decimal(38, 9), at DateTime64(3), s LowCardinality(Nullable(String)), "
        "e Enum8('a' = 1, 'b' = 2), day Date, f Float32, ip IPv4, u UUID) ENGINE = MergeTree ORDER BY id"
    )
    in_clickhouse.ask(
        "INSERT INTO facts SELECT number * 1000000007, number / 3, toDateTime64('2024-01-01 00:00:00', 3) + number, "
        "if(number % 4 = 0, NULL, toString(number % 9)), if(number % 2, 'a', 'b'), toDate('2024-01-01') + number % 99, "
        "number / 7, toIPv4('10.0.0.1'), generateUUIDv4() FROM numbers(3000)"
    )
    monkeypatch.setenv("DPONE_CONN_FACTS", in_clickhouse.url)
    monkeypatch.setenv("DPONE_CONN_DWH", shop.url)
    Path("m.yaml").write_text(
        "version: 1\nname: facts\nsource: {type: clickhouse, connection: facts, table: facts}\n"
        "sink: {type: postgres, connection: dwh, table: raw.facts}\nstrategy: {mode: snapshot_diff, key: [id]}\n"
    )
    assert dpone.run("m.yaml").succeeded
    stream = compared()
    assert (stream.equal, stream.method, stream.steady) == (True, "checksums", True), stream
    shop.ask("UPDATE raw.facts SET e = 'c' WHERE id = 1000000007")
    assert [(dict(d.key), d.columns) for d in compared().different] == [({"id": 1_000_000_007}, ("e",))]
