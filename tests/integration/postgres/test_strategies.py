"""All ten strategies from PostgreSQL to PostgreSQL, through the runner, on tables with keys and NOT NULL columns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest

from dpone.connector import Cursor, Late, Layout
from dpone.ops import Absent, Grain, Guard
from dpone.plan import ChangeKind, ColumnChange
from dpone.schema import Schema
from dpone.testing.suite.refusals import code_of
from dpone_postgres import PostgresConfig
from dpone_postgres.catalog import find_relation
from dpone_postgres.dialect import MERGING, POSTGRES
from dpone_postgres.layouts import dialect_for

pytestmark = pytest.mark.integration_postgres
Db = psycopg.Connection[Any]
Make = Callable[..., Any]


def rows(db: Db, query: str) -> list[tuple[Any, ...]]:
    return db.execute(query.encode()).fetchall()


@pytest.fixture
def make(db: Db, schema: str, config: PostgresConfig, pipeline_type: Any) -> Make:
    db.execute(
        "CREATE TABLE src (id int PRIMARY KEY, v text NOT NULL, n numeric(10,2), day date NOT NULL, "
        "c timestamptz NOT NULL)"
    )
    db.execute(
        "INSERT INTO src SELECT i, 'v' || i, i / 3.0, date '2024-01-01' + i % 3, "
        "timestamptz '2024-01-01Z' + i * interval '1 second' FROM generate_series(1, 90) i"
    )

    def pipeline(strategy: str, **more: Any) -> Any:
        given = {"key": ("id",), **more}
        return pipeline_type(config, (schema, "src"), (schema, "tgt"), strategy, **given)

    return pipeline


def same(db: Db, columns: str = "id, v, n, day, c") -> bool:
    return (
        rows(db, f"(TABLE src EXCEPT SELECT {columns} FROM tgt) UNION ALL (SELECT {columns} FROM tgt EXCEPT TABLE src)")
        == []
    )


def change(db: Db) -> None:
    db.execute("DELETE FROM src WHERE id <= 5")
    db.execute("UPDATE src SET v = 'new', c = '2024-02-01Z' WHERE id BETWEEN 6 AND 15")
    db.execute("INSERT INTO src SELECT i, 'add', NULL, '2024-01-01', '2024-02-01Z' FROM generate_series(91, 95) i")


def test_full_refresh_keeps_keys_and_not_null_and_takes_a_new_shape(db: Db, make: Make) -> None:
    pipeline = make("full_refresh")
    first = pipeline.run()
    assert (first.counts, first.format) == ((90, 0, 0), "pg_binary")
    assert same(db)
    described = "SELECT attname, attnotnull FROM pg_attribute WHERE attrelid = 'tgt'::regclass AND attnum > 0"
    assert rows(db, described) == [("id", True), ("v", True), ("n", False), ("day", True), ("c", True)]
    assert rows(db, "SELECT contype::text FROM pg_constraint WHERE conrelid = 'tgt'::regclass AND contype = 'p'")
    db.execute("CREATE INDEX kept ON tgt (v)")
    db.execute("GRANT SELECT ON tgt TO pg_monitor")
    db.execute("COMMENT ON TABLE tgt IS 'kept too'")
    change(db)
    assert pipeline.run().counts == (90, 0, 90)
    assert same(db)
    db.execute("ALTER TABLE src DROP COLUMN n")
    db.execute("ALTER TABLE src ALTER v TYPE varchar(40)")
    db.execute("ALTER TABLE src ALTER v DROP NOT NULL")
    db.execute("ALTER TABLE src ADD COLUMN extra jsonb DEFAULT '{}'")
    pipeline.run()
    assert same(db, "id, v, day, c, extra")
    assert rows(db, "SELECT 1 FROM pg_indexes WHERE indexname = 'kept'")
    assert rows(db, "SELECT has_table_privilege('pg_monitor', 'tgt', 'SELECT'), obj_description('tgt'::regclass)") == [
        (True, "kept too")
    ]


@pytest.mark.parametrize("strategy", ["full_refresh", "replace", "snapshot_diff"])
def test_an_emptied_source_never_empties_the_target_by_accident(db: Db, make: Make, strategy: str) -> None:
    make(strategy).run()
    db.execute("TRUNCATE src")
    assert code_of(make(strategy).run) == "guard.empty"
    assert rows(db, "SELECT count(*) FROM tgt") == [(90,)]
    make(strategy, load={"guard": Guard(allow_empty=True)}).run()
    assert rows(db, "SELECT count(*) FROM tgt") == [(0,)]


def test_incremental_append_without_a_key_adds_each_row_once(db: Db, make: Make) -> None:
    cursor = Cursor("c", Late.HOLD_BACK)
    pipeline = make("incremental_append", key=(), cursor=cursor)
    assert pipeline.run().counts == (90, 0, 0)
    assert pipeline.run().counts == (0, 0, 0)
    db.execute("INSERT INTO src SELECT i, 'add', NULL, '2024-01-01', clock_timestamp() FROM generate_series(91, 95) i")
    assert pipeline.run().counts == (5, 0, 0)
    assert same(db)


def test_incremental_append_with_a_key_leaves_what_is_there(db: Db, make: Make) -> None:
    pipeline = make("incremental_append", cursor=Cursor("c"))
    pipeline.run()
    change(db)
    assert pipeline.run().counts == (5, 0, 0)
    assert rows(db, "SELECT count(*), count(*) FILTER (WHERE v = 'new') FROM tgt") == [(95, 0)]


def test_incremental_merge_writes_what_differs_and_nothing_else(db: Db, make: Make) -> None:
    pipeline = make("incremental_merge", cursor=Cursor("c", lag=timedelta(days=365)))
    pipeline.run()
    change(db)
    assert pipeline.run().counts == (5, 10, 0)
    before = rows(db, "SELECT max(xmin::text::bigint) FROM tgt")
    assert pipeline.run().counts == (0, 0, 0)
    assert rows(db, "SELECT max(xmin::text::bigint) FROM tgt") == before
    db.execute("DELETE FROM tgt WHERE id <= 5")
    assert same(db)


def test_replace_keeps_the_table(db: Db, make: Make) -> None:
    make("replace").run()
    oid = rows(db, "SELECT 'tgt'::regclass::oid")
    change(db)
    assert make("replace").run().counts == (90, 0, 90)
    assert same(db)
    assert rows(db, "SELECT 'tgt'::regclass::oid") == oid


def test_partition_replace_exchanges_the_slices_that_came(db: Db, make: Make) -> None:
    make("full_refresh").run()
    db.execute("DELETE FROM src WHERE day <> '2024-01-02' OR id > 60")
    load = {"slice_column": "day", "grain": Grain.DAY}
    make("partition_replace", key=(), load=load, name="other-is-fine").run()
    kept = "SELECT day, count(*) FROM tgt GROUP BY 1 ORDER BY 1"
    assert [n for _, n in rows(db, kept)] == [30, 20, 30]


def test_backfill_loads_chunks_and_resumes_after_the_last_one(db: Db, make: Make) -> None:
    chunks = tuple((date(2024, 1, d), date(2024, 1, d + 1)) for d in (1, 2, 3))
    load = {"slice_column": "day", "bounds": chunks[0]}
    pipeline = make("backfill", load=load, plan={"chunks": chunks, "workers": 2})
    assert pipeline.run().counts == (90, 0, 0)
    assert rows(db, "(SELECT id, v FROM src EXCEPT SELECT id, v FROM tgt)") == []
    assert rows(db, "SELECT count(*) FROM _dpone_chunks") == [(0,)]


def test_snapshot_diff_finds_every_difference_and_a_third_run_none(db: Db, make: Make) -> None:
    pipeline = make("snapshot_diff")
    pipeline.run()
    change(db)
    assert pipeline.run().counts == (5, 10, 5)
    assert pipeline.run().counts == (0, 0, 0)
    assert same(db)


def test_scd2_keeps_history(db: Db, make: Make) -> None:
    pipeline = make("scd2")
    pipeline.run()
    change(db)
    assert pipeline.run().counts == (15, 15, 0)
    assert pipeline.run().counts == (0, 0, 0)
    assert rows(db, "SELECT count(*), count(*) FILTER (WHERE valid_to IS NULL) FROM tgt") == [(105, 90)]
    assert rows(db, "TABLE src EXCEPT SELECT id, v, n, day, c FROM tgt WHERE valid_to IS NULL") == []
    db.execute("DELETE FROM src WHERE id > 50")
    assert make("scd2", load={"absent": Absent.KEEP}).run().counts == (0, 0, 0)


def test_xmin_with_keys_sees_deletes_too(db: Db, make: Make) -> None:
    pipeline = make("xmin", load={"reconcile": True})
    pipeline.run()
    change(db)
    assert pipeline.run().counts == (5, 10, 5)
    assert pipeline.run().counts == (0, 0, 0)
    assert same(db)


def test_xmin_alone_leaves_deleted_rows(db: Db, make: Make) -> None:
    pipeline = make("xmin")
    pipeline.run()
    change(db)
    assert pipeline.run().counts == (5, 10, 0)
    assert rows(db, "SELECT count(*) FROM tgt") == [(95,)]


@pytest.mark.parametrize("forced", [False, True])
def test_cdc_follows_every_change(db: Db, make: Make, forced: bool) -> None:  # noqa: FBT001 - a case
    if forced:  # a type of the database's own cannot travel as bytes, so the whole table goes as text
        db.execute("CREATE TYPE mood AS ENUM ('sad', 'ok')")
        db.execute("ALTER TABLE src ADD COLUMN m mood DEFAULT 'ok'")
    db.execute("ALTER TABLE src ADD COLUMN big text")
    db.execute("ALTER TABLE src ALTER big SET STORAGE EXTERNAL")
    db.execute("UPDATE src SET big = repeat('x', 9000) WHERE id < 20")
    pipeline = make("cdc")
    assert pipeline.run().format == ("pg_text" if forced else "pg_binary")
    columns = "id, v, n, day, c" + (", m" if forced else "") + ", big"
    assert same(db, columns)
    change(db)
    db.execute("UPDATE src SET id = 200 WHERE id = 50")
    db.execute("DELETE FROM src WHERE id = 16")
    db.execute("INSERT INTO src (id, v, day, c, big) VALUES (16, 'again', '2024-01-01', '2024-01-01Z', 'x')")
    assert pipeline.run().counts == (6, 11, 6)
    assert same(db, columns)
    assert pipeline.run().counts == (0, 0, 0)
    db.execute("TRUNCATE src")
    db.execute("INSERT INTO src (id, v, day, c) VALUES (7, 'after', '2024-01-01', '2024-01-01Z')")
    pipeline.run()
    assert same(db, columns)


@pytest.mark.parametrize("strategy", ["replace", "incremental_merge", "snapshot_diff", "xmin", "cdc"])
def test_a_new_and_a_widened_column_arrive(db: Db, make: Make, strategy: str) -> None:
    pipeline = make(strategy, cursor=Cursor("c", lag=timedelta(days=999)) if strategy == "incremental_merge" else None)
    pipeline.run()
    if strategy == "cdc":
        db.execute("ALTER TABLE src ADD COLUMN extra int")
        db.execute("UPDATE src SET extra = 7")
    else:
        db.execute("ALTER TABLE src ADD COLUMN extra int DEFAULT 7")
        db.execute("UPDATE src SET v = v")
    db.execute("ALTER TABLE src ALTER id TYPE bigint")
    pipeline.run()
    assert same(db, "id, v, n, day, c, extra")
    assert rows(
        db, "SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = 'tgt'::regclass AND attname = 'id'"
    ) == [("bigint",)]


def test_a_masked_column_goes_through_arrow(db: Db, make: Make) -> None:
    changes = {"v": {"change": ColumnChange(ChangeKind.MASK, "***")}}
    assert make("full_refresh", plan={"changes": changes}).run().format == "arrow"
    assert rows(db, "SELECT DISTINCT v FROM tgt") == [("***",)]
    assert rows(db, "SELECT id, n, day, c FROM src EXCEPT SELECT id, n, day, c FROM tgt") == []


@pytest.mark.parametrize(
    "beside, merges",
    [
        ("SELECT 1", True),
        ("CREATE TRIGGER t BEFORE INSERT ON tgt EXECUTE FUNCTION suppress_redundant_updates_trigger()", False),
        ("CREATE RULE r AS ON DELETE TO tgt WHERE old.id < 0 DO INSTEAD NOTHING", False),
        ("ALTER TABLE tgt DROP CONSTRAINT tgt_pkey, ADD PRIMARY KEY (id) DEFERRABLE", False),
        ("ALTER TABLE tgt DROP CONSTRAINT tgt_pkey", False),
        ("ALTER TABLE tgt ADD computed int GENERATED ALWAYS AS (id + 1) STORED", False),
    ],
    ids=["plain", "trigger", "rule", "deferrable", "keyless", "generated"],
)
def test_one_statement_merges_where_nothing_else_would_notice(
    db: Db,
    make: Make,
    beside: str,
    merges: bool,  # noqa: FBT001 - a case
) -> None:
    pipeline = make("snapshot_diff")
    pipeline.run()
    db.execute(beside.encode())
    relation = find_relation(db, pipeline.target_table)
    assert relation is not None
    layout = Layout(Schema(tuple(a.field for a in relation.attributes if a.field.name != "computed"), ("id",)))
    assert dialect_for(db, relation, layout, ("id",)) is (MERGING if merges else POSTGRES)
    if merges:
        change(db)
        assert pipeline.run().counts == (5, 10, 5)
        assert pipeline.run().counts == (0, 0, 0)
        assert same(db)
