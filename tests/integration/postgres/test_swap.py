"""A full refresh of a table that is there: what a swap carries over, what keeps it away, and what readers see of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic, sleep
from typing import Any

import psycopg
import pytest

from dpone.connector import Target
from dpone.errors import DponeError
from dpone.failpoints import arm
from dpone.running import Run
from dpone.signals import Stop
from dpone_postgres import connector
from dpone_postgres.session import session
from dpone_postgres.sink import PostgresSink
from dpone_postgres.source import PostgresSource
from dpone_postgres.staging import why_not_adopted

pytestmark = pytest.mark.integration_postgres
Db = psycopg.Connection[Any]
Make = Callable[..., Any]


def rows(db: Db, query: str) -> list[tuple[Any, ...]]:
    return db.execute(query.encode()).fetchall()


def oid(db: Db) -> int:
    found: int = rows(db, "SELECT 'tgt'::regclass::oid::int")[0][0]
    return found


@pytest.fixture
def make(db: Db, schema: str, config: Any, pipeline_type: Any) -> Make:
    db.execute("CREATE TABLE src (id int PRIMARY KEY, v text NOT NULL, n int DEFAULT 3)")
    db.execute("INSERT INTO src SELECT i, 'v' || i, i FROM generate_series(1, 90) i")

    def pipeline(**more: Any) -> Any:
        return pipeline_type(config, (schema, "src"), (schema, "tgt"), "full_refresh", **{"key": ("id",), **more})

    return pipeline


def same(db: Db) -> bool:
    """The target holds the source's rows, and nothing of a stage is left."""
    stages = "relnamespace = current_schema()::regnamespace AND relname ~ '^_dpone_.*_(open|raw|live|key[0-9]*)$'"
    assert not rows(db, f"SELECT relname FROM pg_class WHERE {stages}")
    return not rows(db, "(TABLE src EXCEPT ALL TABLE tgt) UNION ALL (TABLE tgt EXCEPT ALL TABLE src)")


@pytest.fixture
def role(db: Db, schema: str) -> Iterator[str]:
    db.execute(f"CREATE ROLE {schema}_r".encode())
    yield f"{schema}_r"
    db.execute(f"DROP OWNED BY {schema}_r CASCADE".encode())
    db.execute(f"DROP ROLE {schema}_r".encode())


_KEPT = """
SELECT c.relowner::regrole::text, c.relacl::text[], c.reloptions, obj_description(c.oid, 'pg_class'),
       (SELECT array_agg(format('%s %s %s', a.attname, col_description(c.oid, a.attnum), pg_get_expr(d.adbin, c.oid))
               ORDER BY a.attname)
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
       (SELECT array_agg(pg_get_indexdef(i.indexrelid) ORDER BY pg_get_indexdef(i.indexrelid))
        FROM pg_index i WHERE i.indrelid = c.oid),
       (SELECT array_agg(k.conname || ' ' || pg_get_constraintdef(k.oid) ORDER BY k.conname) FROM pg_constraint k
        WHERE k.conrelid = c.oid AND k.contype <> 'n'),
       (SELECT array_agg(a.attname::text || a.attnotnull ORDER BY a.attname) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0)
FROM pg_class c WHERE c.oid = 'tgt'::regclass
"""


def test_a_swap_carries_over_what_belongs_to_the_table(db: Db, make: Make, role: str) -> None:
    make().run()
    db.execute('ALTER TABLE tgt RENAME CONSTRAINT tgt_pkey TO "a key\'s ""name"""')
    db.execute("CREATE INDEX \"by {0} 'v' ON x USING y\" ON tgt USING btree (lower(v), n DESC) WHERE n > 1")
    db.execute("CREATE UNIQUE INDEX once ON tgt (v) INCLUDE (n) WITH (fillfactor = 70)")
    db.execute("ALTER TABLE tgt ALTER n SET DEFAULT 7, SET (fillfactor = 80, autovacuum_vacuum_threshold = 99)")
    db.execute("COMMENT ON TABLE tgt IS 'it''s {0} mine'")
    db.execute("COMMENT ON COLUMN tgt.v IS 'a \\ value'")
    db.execute(f"GRANT SELECT, INSERT ON tgt TO {role} WITH GRANT OPTION".encode())
    db.execute("GRANT SELECT ON tgt TO PUBLIC")
    db.execute("REVOKE TRUNCATE ON tgt FROM CURRENT_USER")
    db.execute(f"GRANT CREATE, USAGE ON SCHEMA {rows(db, 'SELECT current_schema()')[0][0]} TO {role}".encode())
    db.execute(f"ALTER TABLE tgt OWNER TO {role}".encode())
    before, was = rows(db, _KEPT), oid(db)
    db.execute("UPDATE src SET v = 'new' || id")
    made = make().run()
    assert made.counts == (90, 0, 90)
    assert oid(db) != was
    assert rows(db, _KEPT) == before
    assert same(db)


_SLOWLY_VACUUMED = """
CREATE TABLE large (id int, v text) WITH (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1,
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1)
"""


@pytest.fixture
def vacuumed(db: Db) -> Iterator[str]:
    """A question that is true as long as autovacuum is at work on another table."""
    db.execute("ALTER SYSTEM SET autovacuum_naptime = '1s'")
    db.execute("SELECT pg_reload_conf()")
    db.execute(_SLOWLY_VACUUMED)
    db.execute("INSERT INTO large SELECT i, repeat('x', 500) FROM generate_series(1, 20000) i")
    db.execute("DELETE FROM large WHERE id % 2 = 0")
    yield (
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' AND query LIKE '%.large%' "
        "AND datname = current_database()"
    )
    db.execute("ALTER SYSTEM RESET autovacuum_naptime")
    db.execute("SELECT pg_reload_conf()")
    db.execute("DROP TABLE large")  # which ends a vacuum of it


def test_an_autovacuum_of_another_table_keeps_no_swap_away(db: Db, make: Make, vacuumed: str) -> None:
    make().run()
    was = oid(db)
    until = monotonic() + 60
    while rows(db, vacuumed) == [(0,)] and monotonic() < until:
        sleep(0.1)
    make().run()
    assert rows(db, vacuumed) == [(1,)]
    assert oid(db) != was
    assert same(db)


def test_the_planner_knows_how_large_a_table_is_that_was_swapped_in(db: Db, make: Make) -> None:
    for _ in range(2):
        make().run()
        assert rows(db, "SELECT reltuples::int, relpages, reloptions FROM pg_class WHERE oid = 'tgt'::regclass") == [
            (90, 1, None)
        ]


@pytest.mark.parametrize(
    "what, named",
    [
        ("CREATE VIEW seen AS SELECT v FROM tgt", "view"),
        ("CREATE MATERIALIZED VIEW seen AS SELECT v FROM tgt", "seen"),
        ("CREATE TABLE child (id int REFERENCES tgt)", "child"),
        ("ALTER TABLE tgt ADD FOREIGN KEY (id) REFERENCES src", "constraint"),
        ("ALTER TABLE tgt ADD CHECK (n > 0)", "constraint"),
        ("ALTER TABLE tgt ADD UNIQUE (v)", "constraint"),
        ("CREATE RULE r AS ON DELETE TO tgt WHERE old.n < 0 DO INSTEAD NOTHING", "rule"),
        ("CREATE TRIGGER t BEFORE TRUNCATE ON tgt EXECUTE FUNCTION suppress_redundant_updates_trigger()", "trigger"),
        ("CREATE POLICY p ON tgt USING (true)", "policy"),
        ("CREATE STATISTICS s ON v, n FROM tgt", "statistics"),
        ("CREATE PUBLICATION {schema}_p FOR TABLE tgt", "publication"),
        ("CREATE FUNCTION f() RETURNS SETOF tgt LANGUAGE sql AS 'SELECT 1, NULL::text, 2'", "function"),
        ("CREATE TABLE other (t tgt)", "other"),
        ("CREATE SEQUENCE q OWNED BY tgt.n", "sequence"),
        ("CREATE TABLE heir () INHERITS (tgt)", "heir"),
        ("ALTER TABLE tgt REPLICA IDENTITY FULL", "replica identity"),
        ("ALTER TABLE tgt ALTER v SET STORAGE EXTERNAL", "properties of a column"),
        ("ALTER TABLE tgt ALTER v SET STATISTICS 7", "properties of a column"),
        ("ALTER TABLE tgt CLUSTER ON tgt_pkey", "properties of an index"),
        ("COMMENT ON CONSTRAINT tgt_pkey ON tgt IS 'mine'", "comment"),
        ("COMMENT ON INDEX tgt_pkey IS 'mine'", "index"),
        ("CREATE PUBLICATION {schema}_p FOR TABLES IN SCHEMA {schema}", "published"),
        ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC", "default privileges"),
    ],
)
def test_what_a_swap_would_lose_keeps_it_away_by_name(
    db: Db, schema: str, make: Make, config: Any, what: str, named: str
) -> None:
    make().run()
    was = oid(db)
    db.execute(what.format(schema=schema).encode())
    try:
        db.execute("UPDATE src SET v = 'new' || id")
        assert make().run().counts == (90, 0, 90)
        assert oid(db) == was
        assert same(db)
        spec = next(_specs(make()))
        with session(config, "sink") as connection:
            assert named in "; ".join(why_not_adopted(connection, spec))
        assert any(named in line for line in PostgresSink(config).explain(spec, ()))
    finally:
        db.execute("ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM PUBLIC")
        db.execute(f"DROP PUBLICATION IF EXISTS {schema}_p".encode())


def test_each_dependent_is_named_once_in_words_of_a_person(db: Db, schema: str, make: Make, config: Any) -> None:
    make().run()
    db.execute("CREATE VIEW seen AS SELECT id, v, n, tgt AS whole FROM tgt WHERE n > 1")
    db.execute("CREATE MATERIALIZED VIEW kept AS SELECT id, v FROM tgt")
    db.execute("CREATE RULE r AS ON DELETE TO tgt WHERE old.n < 0 DO INSTEAD NOTHING")
    spec = next(_specs(make()))
    with session(config, "sink") as connection:
        found = [reason.replace(f"{schema}.", "") for reason in why_not_adopted(connection, spec)]
    assert found == ["materialized view kept", "rule r on table tgt", "view seen"]


def _specs(pipeline: Any) -> Iterator[Any]:
    from msgspec.structs import replace

    from dpone.prepare import prepare
    from dpone_postgres import connector

    plan = pipeline.compiled()
    current = PostgresSink(pipeline.config).inspect(plan.target)
    load = replace(plan.load, id="x", first=False)
    yield prepare(plan, load, connector, connector, current, None).spec


@contextmanager
def reading(url: str, schema: str, isolation: str, before: str = "") -> Iterator[Callable[[], int]]:
    with psycopg.connect(url) as reader:
        reader.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}".encode())
        reader.execute((before or "SELECT 1").encode())
        yield lambda: reader.execute(f"SELECT count(*) FROM {schema}.tgt".encode()).fetchone()[0]  # type: ignore[index] # a count


@pytest.mark.parametrize("touched", [False, True])
def test_while_an_older_snapshot_is_in_use_rows_are_exchanged_in_place(
    db: Db,
    schema: str,
    make: Make,
    endpoint: Any,
    touched: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    make().run()
    was = oid(db)
    db.execute("INSERT INTO src SELECT i, 'add', 1 FROM generate_series(91, 99) i")
    before = f"SELECT count(*) FROM {schema}.tgt" if touched else ""
    with reading(endpoint.url(), schema, "REPEATABLE READ", before) as count:
        make().run()
        assert count() == 90
    assert oid(db) == was
    assert same(db)
    make().run()
    assert oid(db) != was


def test_a_reader_that_comes_between_is_noticed_at_the_commit(db: Db, schema: str, make: Make, endpoint: Any) -> None:
    make().run()
    was = oid(db)
    db.execute("INSERT INTO src SELECT i, 'add', 1 FROM generate_series(91, 99) i")
    with ExitStack() as stack:
        counts: list[Callable[[], int]] = []

        def come() -> None:
            counts.append(stack.enter_context(reading(endpoint.url(), schema, "REPEATABLE READ")))

        with arm("after_save_position", come):
            make().run()
        assert counts[0]() == 90
    assert oid(db) == was
    assert same(db)


def test_a_reader_with_a_snapshot_of_the_very_moment_sees_the_new_table_whole(
    db: Db, schema: str, make: Make, endpoint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no check can notice: then frozen rows are what spares a reader an empty table."""
    from dpone_postgres import publishing

    make().run()
    was = oid(db)
    db.execute("INSERT INTO src SELECT i, 'add', 1 FROM generate_series(91, 99) i")
    monkeypatch.setattr(publishing, "older_transactions", lambda *_: False)
    with reading(endpoint.url(), schema, "REPEATABLE READ", "SELECT count(*) FROM pg_class") as count:
        make().run()
        assert oid(db) != was
        assert count() == 99


def test_polling_readers_neither_wait_for_the_scan_nor_keep_the_swap_away(
    db: Db, schema: str, make: Make, endpoint: Any
) -> None:
    make().run()
    seen: list[int] = []
    over = threading.Event()

    def poll() -> None:
        with psycopg.connect(endpoint.url(), autocommit=True) as reader:
            while not over.is_set():
                seen.append(reader.execute(f"SELECT count(*) FROM {schema}.tgt".encode()).fetchone()[0])  # type: ignore[index] # a count

    thread = threading.Thread(target=poll)
    thread.start()
    swapped = set()
    try:
        for number in range(5):
            db.execute(
                f"INSERT INTO src SELECT i, 'add', 1 FROM generate_series({100 + number}, {100 + number}) i".encode()
            )
            make().run()
            swapped.add(oid(db))
    finally:
        over.set()
        thread.join()
    assert set(seen) <= set(range(90, 96))
    assert sorted(seen) == seen
    assert len(swapped) > 1
    assert same(db)


# --------------------------------------------------------------------- another layout


def test_a_column_of_another_type_a_new_one_and_one_that_is_gone(db: Db, make: Make) -> None:
    make().run()
    db.execute("COMMENT ON COLUMN tgt.v IS 'stays'")
    db.execute("ALTER TABLE src ALTER n TYPE text, ADD m date")
    make().run()
    assert same(db)
    assert rows(db, "SELECT col_description('tgt'::regclass, 2)") == [("stays",)]
    db.execute("ALTER TABLE src DROP n")
    make().run()
    assert same(db)


def test_a_retype_in_place_waits_for_nobody_and_is_refused_under_an_older_snapshot(
    db: Db, schema: str, make: Make, endpoint: Any
) -> None:
    make().run()
    db.execute("ALTER TABLE src ALTER n TYPE text")
    with reading(endpoint.url(), schema, "REPEATABLE READ") as count:
        with pytest.raises(DponeError) as caught:
            make().run()
        assert caught.value.code == "sink.older_readers"
        assert count() == 90
    assert rows(db, "SELECT pg_typeof(n)::text FROM tgt LIMIT 1") == [("integer",)]
    make().run()
    assert same(db)


def test_the_guard_holds_for_a_swap(db: Db, make: Make) -> None:
    make().run()
    db.execute("DELETE FROM src WHERE id > 10")
    with pytest.raises(DponeError) as caught:
        make().run()
    assert caught.value.code == "guard.removed_share"
    db.execute("DELETE FROM src")
    with pytest.raises(DponeError) as caught:
        make().run()
    assert caught.value.code == "guard.empty"
    assert rows(db, "SELECT count(*) FROM tgt") == [(90,)]


def test_several_writers_exchange_in_place(db: Db, make: Make, schema: str) -> None:
    db.execute("INSERT INTO src SELECT i, repeat('x', 500), 1 FROM generate_series(91, 900) i")
    make().run()
    was = oid(db)
    make(plan={"splits": 3}).run()
    assert oid(db) == was
    assert same(db)
    assert PostgresSink(make().config).inspect(Target((schema, "tgt"))) is not None


def test_a_second_attempt_of_the_one_writer_replaces_the_first(db: Db, make: Make, schema: str, config: Any) -> None:
    """In the stage's own transaction: after an attempt that came to its end, and after one that broke off."""
    from msgspec.structs import replace

    from dpone.batch import PG_TEXT, Batch

    make().run()
    spec = replace(next(_specs(make())), writers=1, format=PG_TEXT)
    sink = PostgresSink(config)
    with sink.stage(spec) as stage:
        assert stage.is_private
        for lines in (b"1\ta\t1\n2\tb\t2\n", b"3\tc\t3\n"):
            with sink.writer(stage.ref, "0") as writer:
                writer.write(Batch(PG_TEXT, lines, None, len(lines)))
        with pytest.raises(RuntimeError), sink.writer(stage.ref, "0") as writer:
            raise RuntimeError
        with sink.writer(stage.ref, "0") as writer:
            writer.write(Batch(PG_TEXT, b"4\td\t4\n5\te\t5\n", None, 12))
        assert stage.seal().received == 2
        assert rows(stage.connection, f"SELECT id FROM {stage.raw} ORDER BY 1") == [(4,), (5,)]
    assert same(db)


@pytest.mark.parametrize("asked, parts", [({}, 1), ({"splits": 3}, 3)])
def test_on_many_cores_a_table_that_is_there_is_still_swapped(
    db: Db, make: Make, monkeypatch: pytest.MonkeyPatch, asked: dict[str, int], parts: int
) -> None:
    """Several writers fill what is new; onto a table that is there they could only exchange rows one by one."""
    monkeypatch.setattr("dpone_postgres.reading._PARALLEL_BLOCKS", 1)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    db.execute("INSERT INTO src SELECT i, repeat('v', 999), i FROM generate_series(100, 999) i")
    pipeline = make(source_options=asked)
    assert pipeline.run().splits == (parts if asked else 4)
    first = oid(db)
    assert pipeline.run().splits == parts
    assert (oid(db) != first) == (parts == 1)
    assert same(db)


@pytest.mark.parametrize("elsewhere, splits", [(None, 1), (object(), None)])
def test_workers_in_other_processes_share_the_reading(
    make: Make, config: Any, elsewhere: Any, splits: int | None
) -> None:
    """What they stage takes no table's place, however many they are, so that one alone would gain nothing."""
    pipeline = make()
    pipeline.run()
    plan, source, sink = pipeline.compiled(), PostgresSource(config), PostgresSink(config)
    run = Run("r", plan, source, sink, connector, connector, lambda _: None, Stop(), elsewhere=elsewhere)
    assert run.prepared(plan.load, sink.inspect(plan.target), None).request.splits == splits
