"""Each way of reading, against a real server."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from dpone.batch import ARROW, PG_BINARY, PG_TEXT
from dpone.connector import Column, Cursor, Dataset, Late, Position, ReadRequest
from dpone.probes import Rows
from dpone.strategies import Read
from dpone.testing.suite.refusals import code_of
from dpone.where import Compare, Condition
from dpone_postgres import PostgresConfig
from dpone_postgres.source import PostgresSource

pytestmark = pytest.mark.integration_postgres
Db = psycopg.Connection[Any]
Table = list[dict[str, Any]]


@pytest.fixture
def source(config: PostgresConfig) -> PostgresSource:
    return PostgresSource(config)


def request_for(source: PostgresSource, dataset: Dataset, read: Read, **more: Any) -> ReadRequest:
    columns = tuple(Column(n, n) for n in source.describe(dataset).names)
    return ReadRequest(dataset, read, columns, more.pop("format", ARROW), pipeline="p", **more)


def rows(source: PostgresSource, request: ReadRequest) -> tuple[Table, Position | None]:
    """All rows of a reading, and its position."""
    found: Table = []
    with source.open(request) as reading:
        for split in reading.splits:
            for batch in source.read(request, split):
                assert batch.rows == batch.data.num_rows
                found += batch.data.to_pylist()
        return found, reading.upto


def ids(table: Table) -> list[int]:
    return sorted(r["id"] for r in table)


def test_it_describes_columns_keys_domains_and_views(db: Db, schema: str, source: PostgresSource) -> None:
    db.execute("CREATE DOMAIN age AS int CHECK (value >= 0)")
    db.execute("CREATE DOMAIN grown AS age NOT NULL")
    db.execute("CREATE TABLE a (x text, id int, n grown, m numeric(5,2)[], PRIMARY KEY (id, x))")
    db.execute("CREATE VIEW v AS SELECT * FROM a")
    found = source.describe(Dataset((schema, "a")))
    assert found.key == ("id", "x")
    assert [(f.name, str(f.type), f.nullable) for f in found] == [
        ("x", "string", False),
        ("id", "int32", False),
        ("n", "int32", False),
        ("m", "list<decimal(5,2)>", True),
    ]
    assert found["n"].native == f"postgres:{schema}.grown"
    assert source.describe(Dataset((schema, "v"))).names == found.names
    query = source.describe(Dataset(query=f"SELECT id, m[1] AS first FROM {schema}.a -- ;"))
    assert [(f.name, str(f.type)) for f in query] == [("id", "int32"), ("first", "decimal(5,2)")]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 AS a; SELECT 2",
        "DELETE FROM pg_class",
        "SELECT 1 AS a) AS t; DROP TABLE x; --",
        "SELECT /* 1",
        "VACUUM",
    ],
)
def test_a_query_is_one_statement_that_reads(source: PostgresSource, query: str) -> None:
    def read() -> None:
        rows(source, ReadRequest(Dataset(query=query), Read.SCAN, (Column("a", "a"),), ARROW))

    assert code_of(read).startswith("source.")


def test_a_query_cannot_write(db: Db, schema: str, source: PostgresSource) -> None:
    db.execute("CREATE TABLE a (id int)")
    db.execute(
        f"CREATE FUNCTION {schema}.sneak() RETURNS int LANGUAGE plpgsql AS "
        f"$$ BEGIN INSERT INTO {schema}.a VALUES (1); RETURN 1; END $$".encode()
    )
    request = request_for(source, Dataset(query=f"SELECT {schema}.sneak() AS id"), Read.SCAN)
    assert code_of(lambda: rows(source, request)) == "source.refused"
    assert db.execute("SELECT count(*) FROM a").fetchone() == (0,)


def test_a_missing_table_and_a_missing_column_are_named(db: Db, schema: str, source: PostgresSource) -> None:
    assert code_of(lambda: source.describe(Dataset((schema, "nope")))) == "source.table_missing"
    db.execute("CREATE TABLE a (id int)")
    request = ReadRequest(Dataset((schema, "a")), Read.SCAN, (Column("b", "b"),), ARROW)
    assert code_of(lambda: rows(source, request)) == "source.unknown_column"


@pytest.mark.parametrize("kind", ["table", "partitioned", "view", "materialized", "query"])
def test_everything_that_has_rows_can_be_scanned(db: Db, schema: str, source: PostgresSource, kind: str) -> None:
    db.execute("CREATE TABLE plain AS SELECT i AS id, 'r' || i AS label FROM generate_series(1, 100) i")
    db.execute("CREATE TABLE parted (id int, label text) PARTITION BY RANGE (id)")
    db.execute("CREATE TABLE p1 PARTITION OF parted FOR VALUES FROM (1) TO (50)")
    db.execute("CREATE TABLE p2 PARTITION OF parted DEFAULT")
    db.execute("INSERT INTO parted SELECT * FROM plain")
    db.execute("CREATE VIEW seen AS SELECT * FROM plain")
    db.execute("CREATE MATERIALIZED VIEW mat AS SELECT * FROM plain")
    names = {"table": "plain", "partitioned": "parted", "view": "seen", "materialized": "mat"}
    dataset = (
        Dataset(query=f"SELECT * FROM {schema}.plain ORDER BY id")
        if kind == "query"
        else Dataset((schema, names[kind]))
    )
    found, upto = rows(source, request_for(source, dataset, Read.SCAN))
    assert ids(found) == list(range(1, 101))
    assert upto is None


def test_columns_are_renamed_and_rows_filtered(db: Db, schema: str, source: PostgresSource) -> None:
    db.execute(
        """CREATE TABLE "Odd ""Name" AS SELECT i AS "the id", NULLIF(i % 3, 0) AS m FROM generate_series(1, 9) i"""
    )
    dataset = Dataset((schema, 'Odd "Name'))
    where = (Condition("m", Compare.NE, 1), Condition("the id", Compare.LT, 9))
    request = ReadRequest(dataset, Read.SCAN, (Column("id", "the id"),), ARROW, where=where)
    found, _ = rows(source, request)
    assert found == [{"id": 2}, {"id": 5}, {"id": 8}]


def test_splits_share_one_snapshot_and_miss_nothing(db: Db, schema: str, source: PostgresSource) -> None:
    db.execute("CREATE TABLE big AS SELECT i AS id, repeat('x', 100) AS pad FROM generate_series(1, 20000) i")
    request = request_for(source, Dataset((schema, "big")), Read.SCAN, splits=3, batch_bytes=1 << 16)
    with source.open(request) as reading:
        assert len(reading.splits) == 3
        db.execute("DELETE FROM big WHERE id % 2 = 0")
        db.execute("INSERT INTO big SELECT i, 'late' FROM generate_series(30000, 30100) i")
        parts = [[r for b in source.read(request, s) for r in b.data.to_pylist()] for s in reading.splits]
        assert source.measure(request, (Rows(),))[Rows()] == 20000
    assert all(parts)
    assert sorted(r["id"] for part in parts for r in part) == list(range(1, 20001))


@pytest.mark.parametrize("format_", [PG_BINARY, PG_TEXT, ARROW])
@pytest.mark.parametrize("count", [0, 1, 5000])
def test_batches_are_gathered_and_counted(
    db: Db, schema: str, source: PostgresSource, format_: Any, count: int
) -> None:
    db.execute(f"CREATE TABLE a AS SELECT i AS id, repeat('x', 50) AS pad FROM generate_series(1, {count}) i".encode())
    request = request_for(source, Dataset((schema, "a")), Read.SCAN, format=format_, batch_bytes=1 << 16)
    with source.open(request) as reading:
        batches = [b for s in reading.splits for b in source.read(request, s)]
    assert sum(b.rows or 0 for b in batches) == count
    assert all(b.nbytes >= 1 << 16 for b in batches[:-1] if format_ != ARROW)


def test_a_reading_that_is_left_early_harms_nothing(db: Db, schema: str, source: PostgresSource) -> None:
    db.execute("CREATE TABLE a AS SELECT i AS id, repeat('x', 500) AS pad FROM generate_series(1, 20000) i")
    request = request_for(source, Dataset((schema, "a")), Read.SCAN, batch_bytes=1 << 16)
    with source.open(request) as reading:
        next(iter(source.read(request, reading.splits[0])))
    assert len(rows(source, request)[0]) == 20000


# ------------------------------------------------------------------------------ since


def since(source: PostgresSource, schema: str, at: Position | None = None, **cursor: Any) -> tuple[list[int], Position]:
    options = {"timezone": cursor.pop("zone")} if "zone" in cursor else {}
    dataset = Dataset((schema, "a"), options=options)
    request = request_for(source, dataset, Read.SINCE, cursor=Cursor(**{"column": "c", **cursor}), since=at)
    found, upto = rows(source, request)
    assert upto is not None
    return ids(found), upto


def test_overlap_reads_equal_and_late_rows_again_with_microseconds(db: Db, schema: str, source: PostgresSource) -> None:
    db.execute("CREATE TABLE a (id int, c timestamptz NOT NULL)")
    db.execute("INSERT INTO a VALUES (1, '2024-01-01 00:00:00.000001Z'), (2, '2024-01-01 00:00:00.000002Z')")
    found, at = since(source, schema)
    assert found == [1, 2]
    assert at.token["value"] == "2024-01-01 00:00:00.000002+00"
    db.execute("INSERT INTO a VALUES (3, '2024-01-01 00:00:00.000002Z'), (4, '2024-01-01 00:00:00.000001Z')")
    assert since(source, schema, at)[0] == [2, 3]
    assert since(source, schema, at, lag=timedelta(microseconds=1))[0] == [1, 2, 3, 4]


def test_a_position_never_goes_back(db: Db, schema: str, source: PostgresSource) -> None:
    db.execute("CREATE TABLE a (id int, c int NOT NULL)")
    assert since(source, schema)[1].token["value"] is None
    db.execute("INSERT INTO a VALUES (1, 10), (2, 20)")
    _, at = since(source, schema)
    db.execute("DELETE FROM a WHERE id = 2")
    found, later = since(source, schema, at, lag=15)
    assert found == [1]
    assert later.token["value"] == "20"
    db.execute("TRUNCATE a")
    assert since(source, schema, later)[1].token["value"] == "20"


def test_rows_without_a_cursor_are_refused_unless_declared(db: Db, schema: str, source: PostgresSource) -> None:
    db.execute("CREATE TABLE a (id int, c date)")
    db.execute("INSERT INTO a VALUES (1, '2024-01-01'), (2, NULL)")
    assert code_of(lambda: since(source, schema)) == "source.null_cursor"
    assert since(source, schema, skip_nulls=True)[0] == [1]


def test_an_endless_cursor_is_refused(db: Db, schema: str, source: PostgresSource) -> None:
    db.execute("CREATE TABLE a (id int, c timestamptz NOT NULL)")
    db.execute("INSERT INTO a VALUES (1, 'infinity')")
    assert code_of(lambda: since(source, schema)) == "source.endless_cursor"


@pytest.mark.parametrize("native", ["timestamptz", "timestamp"])
def test_held_back_rows_are_read_once_and_never_lost_to_a_running_writer(
    db: Db, schema: str, source: PostgresSource, config: PostgresConfig, native: str
) -> None:
    db.execute(f"CREATE TABLE a (id int, c {native} NOT NULL)".encode())
    db.execute("SET timezone = 'America/Lima'")
    cursor: Mapping[str, Any] = {"late": Late.HOLD_BACK, "zone": "America/Lima"}
    db.execute("INSERT INTO a VALUES (1, clock_timestamp())")
    found, at = since(source, schema, **cursor)
    assert found == [1]
    password = config.password.get_secret_value() if config.password else ""
    with psycopg.connect(
        host=config.host, port=config.port, user=config.user, password=password, dbname="postgres"
    ) as slow:
        slow.execute("SET timezone = 'America/Lima'")
        slow.execute(f"INSERT INTO {schema}.a VALUES (2, now())".encode())  # began, and not yet committed
        db.execute("INSERT INTO a VALUES (3, clock_timestamp())")
        found, at = since(source, schema, at, **cursor)
        assert found == []
        slow.commit()
    found, at = since(source, schema, at, **cursor)
    assert found == [2, 3]
    assert since(source, schema, at, **cursor)[0] == []


def test_a_clock_without_zone_cannot_hold_back(db: Db, schema: str, source: PostgresSource) -> None:
    db.execute("CREATE TABLE a (id int, c timestamp NOT NULL)")
    assert code_of(lambda: since(source, schema, late=Late.HOLD_BACK)) == "source.cursor_without_zone"


def test_held_back_numbers_wait_for_those_who_are_writing(
    db: Db, schema: str, source: PostgresSource, config: PostgresConfig
) -> None:
    db.execute("CREATE TABLE a (id serial, c bigserial)")
    db.execute("INSERT INTO a DEFAULT VALUES")
    found, at = since(source, schema, late=Late.HOLD_BACK)
    assert found == [1]
    password = config.password.get_secret_value() if config.password else ""
    with psycopg.connect(
        host=config.host, port=config.port, user=config.user, password=password, dbname="postgres"
    ) as slow:
        slow.execute(f"INSERT INTO {schema}.a DEFAULT VALUES".encode())  # takes 2
        db.execute("INSERT INTO a DEFAULT VALUES")  # takes 3
        later = threading.Timer(0.5, slow.commit)
        later.start()
        found, at = since(source, schema, at, late=Late.HOLD_BACK)
        later.join()
    assert found == [2, 3]
    assert since(source, schema, at, late=Late.HOLD_BACK)[0] == []


def test_a_window_that_holds_nothing_moves_nothing(db: Db, schema: str, source: PostgresSource) -> None:
    db.execute("CREATE TABLE a (id serial, c bigserial)")
    found, at = since(source, schema, late=Late.HOLD_BACK)
    assert (found, at.token["value"]) == ([], None)
    db.execute("INSERT INTO a DEFAULT VALUES")
    assert since(source, schema, at, late=Late.HOLD_BACK)[0] == [1]


# ------------------------------------------------------------------------------- xmin


def by_xmin(
    source: PostgresSource, schema: str, at: Position | None = None, *, present: bool = False
) -> tuple[Table, Position]:
    request = request_for(source, Dataset((schema, "a")), Read.XMIN, since=at, present=present, key=("id",))
    found, upto = rows(source, request)
    assert upto is not None
    return found, upto


def test_xmin_reads_what_was_written_since_the_snapshot(
    db: Db, schema: str, source: PostgresSource, endpoint: Any
) -> None:
    db.execute("CREATE TABLE a (id int PRIMARY KEY, v text)")
    db.execute("INSERT INTO a VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    with psycopg.connect(endpoint.url()) as slow:
        slow.execute(f"UPDATE {schema}.a SET v = 'slow' WHERE id = 3".encode())
        db.execute("UPDATE a SET v = 'A' WHERE id = 1")  # began later and is done: the snapshot's xmax is beyond both
        found, at = by_xmin(source, schema)
        assert ids(found) == [1, 2, 3]
        db.execute("UPDATE a SET v = 'new' WHERE id = 2")
        db.execute("VACUUM FREEZE a")
        slow.commit()
    found, at = by_xmin(source, schema, at)
    assert {(r["id"], r["v"]) for r in found} >= {(2, "new"), (3, "slow")}  # and what ended beside the slow one, again
    assert by_xmin(source, schema, at)[0] == []


def test_xmin_yields_the_keys_of_all_rows_when_asked(db: Db, schema: str, source: PostgresSource) -> None:
    db.execute("CREATE TABLE a (id int PRIMARY KEY, v text)")
    db.execute("INSERT INTO a VALUES (1, 'a'), (2, 'b')")
    _, at = by_xmin(source, schema)
    db.execute("DELETE FROM a WHERE id = 1")
    db.execute("INSERT INTO a VALUES (3, 'c')")
    found, _ = by_xmin(source, schema, at, present=True)
    assert sorted((r["_dpone_change"], r["id"], r["v"]) for r in found if r["_dpone_change"] == "U") == [("U", 3, "c")]
    assert sorted((r["id"], r["v"]) for r in found if r["_dpone_change"] == "P") == [(2, None), (3, None)]


def test_xmin_of_another_server_or_too_long_ago_is_a_named_error(db: Db, schema: str, source: PostgresSource) -> None:
    db.execute("CREATE TABLE a (id int PRIMARY KEY)")
    _, at = by_xmin(source, schema)

    def moved(**token: Any) -> Position:
        return Position(Read.XMIN, {**at.token, **token})

    assert code_of(lambda: by_xmin(source, schema, moved(system="1"))) == "source.other_system"
    assert code_of(lambda: by_xmin(source, schema, moved(timeline=99))) == "source.other_system"
    assert code_of(lambda: by_xmin(source, schema, moved(xmin=str(1 << 40)))) == "source.other_system"
    gap = str(int(at.token["xmin"]) - (1 << 31))
    assert code_of(lambda: by_xmin(source, schema, moved(xmin=gap))) == "source.xmin_gap"


def test_xmin_needs_a_table(db: Db, schema: str, source: PostgresSource) -> None:
    db.execute("CREATE VIEW a AS SELECT 1 AS id")
    assert code_of(lambda: by_xmin(source, schema)) == "source.needs_table"
