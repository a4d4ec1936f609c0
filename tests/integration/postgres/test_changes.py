"""Reading a logical slot: the snapshot it begins with, every kind of change, and the ways in which it can be lost."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from dpone.batch import ARROW, PG_BINARY, PG_TEXT, Format
from dpone.connector import Column, Dataset, Position, ReadRequest
from dpone.strategies import Read
from dpone.testing.suite.refusals import code_of
from dpone.where import Compare, Condition
from dpone_postgres import PostgresConfig
from dpone_postgres.copying import BINARY_HEADER, BINARY_TRAILER
from dpone_postgres.source import PostgresSource

pytestmark = pytest.mark.integration_postgres
Db = psycopg.Connection[Any]


class Follower:
    """A pipeline that follows one table: reads, remembers its position, and settles when told."""

    def __init__(self, source: PostgresSource, schema: str, table: str = "a", **options: Any) -> None:
        self.source = source
        self.dataset = Dataset((schema, table), options=options)
        self.at: Position | None = None

    def request(self, **more: Any) -> ReadRequest:
        columns = tuple(Column(n, n) for n in self.source.describe(self.dataset).names)
        given = {"format": ARROW, "key": ("id",), "since": self.at, "pipeline": "follower", **more}
        return ReadRequest(self.dataset, Read.CHANGES, columns, given.pop("format"), **given)

    def read(self, *, settle: bool = True, **more: Any) -> list[dict[str, Any]]:
        request = self.request(**more)
        with self.source.open(request) as reading:
            found = [r for s in reading.splits for b in self.source.read(request, s) for r in b.data.to_pylist()]
            upto = reading.upto
        assert upto is not None
        if settle:
            self.source.settle(request, upto)
            self.at = upto
        return found

    def changes(self, *names: str, **more: Any) -> list[tuple[Any, ...]]:
        return [(r["_dpone_change"], *(r[n] for n in names)) for r in self.read(**more)]


@pytest.fixture
def follower(db: Db, schema: str, config: PostgresConfig) -> Follower:
    db.execute("CREATE TABLE a (id int PRIMARY KEY, v text, big text)")
    db.execute("ALTER TABLE a ALTER big SET STORAGE EXTERNAL")
    return Follower(PostgresSource(config), schema)


def test_the_first_load_is_the_snapshot_in_which_the_slot_begins(db: Db, follower: Follower) -> None:
    db.execute("INSERT INTO a VALUES (1, 'a', NULL), (2, 'b', NULL)")
    request = follower.request()
    with follower.source.open(request) as reading:
        db.execute("INSERT INTO a VALUES (3, 'while reading', NULL)")
        db.execute("UPDATE a SET v = 'x' WHERE id = 1")
        first = [r for s in reading.splits for b in follower.source.read(request, s) for r in b.data.to_pylist()]
        assert not reading.changes
        follower.at = reading.upto
    assert [(r["id"], r["v"]) for r in first] == [(1, "a"), (2, "b")]
    assert follower.changes("id", "v") == [("U", 3, "while reading"), ("U", 1, "x")]
    assert follower.read() == []


def test_each_kind_of_change_in_the_order_of_commits(db: Db, follower: Follower) -> None:
    follower.read()
    db.execute("INSERT INTO a VALUES (1, 'a', NULL), (2, NULL, NULL)")
    db.execute("UPDATE a SET v = 'b' WHERE id = 1")
    db.execute("UPDATE a SET id = 9 WHERE id = 1")
    db.execute("DELETE FROM a WHERE id = 2")
    with db.transaction(force_rollback=True):
        db.execute("INSERT INTO a VALUES (77, 'never', NULL)")
    found = follower.changes("id", "v", "_dpone_seq")
    assert found == [
        ("U", 1, "a", 1),
        ("U", 2, None, 2),
        ("U", 1, "b", 3),
        ("D", 1, None, 4),
        ("U", 9, "b", 5),
        ("D", 2, None, 6),
    ]


def test_a_truncate_is_a_change(db: Db, follower: Follower) -> None:
    follower.read()
    db.execute("INSERT INTO a VALUES (1, 'a', NULL)")
    db.execute("TRUNCATE a")
    db.execute("INSERT INTO a VALUES (2, 'b', NULL)")
    assert follower.changes("id") == [("U", 1), ("T", None), ("U", 2)]


def test_an_unchanged_large_value_is_kept_and_with_full_identity_known(db: Db, follower: Follower) -> None:
    db.execute("INSERT INTO a VALUES (1, 'a', repeat('x', 9000))")
    follower.read()
    db.execute("UPDATE a SET v = 'b'")
    (change,) = follower.read()
    assert (change["v"], change["big"], change["_dpone_kept"]) == ("b", None, "001")
    db.execute("ALTER TABLE a REPLICA IDENTITY FULL")
    db.execute("UPDATE a SET v = 'c'")
    (change,) = follower.read()
    assert (change["v"], len(change["big"]), change["_dpone_kept"]) == ("c", 9000, None)


def test_nothing_is_confirmed_before_the_commit(db: Db, follower: Follower) -> None:
    follower.read()
    db.execute("INSERT INTO a VALUES (1, 'a', NULL)")
    assert follower.changes("id", settle=False) == [("U", 1)]
    assert follower.changes("id") == [("U", 1)]
    assert follower.changes("id") == []


def test_a_window_ends_where_it_was_fixed(db: Db, follower: Follower) -> None:
    follower.read()
    db.execute("INSERT INTO a VALUES (1, 'a', NULL)")
    request = follower.request()
    with follower.source.open(request) as reading:
        db.execute("INSERT INTO a VALUES (2, 'later', NULL)")
        found = [r["id"] for s in reading.splits for b in follower.source.read(request, s) for r in b.data.to_pylist()]
        follower.at = reading.upto
    assert found == [1]
    assert follower.changes("id") == [("U", 2)]


def test_an_empty_window_moves_on_so_that_the_log_can_go(db: Db, follower: Follower) -> None:
    follower.read()
    before = follower.at
    assert before is not None
    db.execute("CREATE TABLE other AS SELECT generate_series(1, 1000)")
    assert follower.read() == []
    assert follower.at is not None
    assert follower.at.token["lsn"] > before.token["lsn"]


def test_a_rest_of_a_load_that_never_committed_is_made_again(db: Db, follower: Follower) -> None:
    db.execute("INSERT INTO a VALUES (1, 'a', NULL)")
    assert len(follower.read(settle=False)) == 1
    db.execute("INSERT INTO a VALUES (2, 'b', NULL)")
    assert len(follower.read()) == 2


def test_a_lost_slot_is_an_error_and_never_a_new_snapshot(db: Db, follower: Follower) -> None:
    follower.read()
    db.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
    assert code_of(follower.read) == "source.slot_lost"
    assert code_of(lambda: follower.source.settle(follower.request(), follower.at)) == "source.slot_lost"  # type: ignore[arg-type] # set above


def test_a_slot_that_somebody_else_moved_is_an_error(db: Db, follower: Follower) -> None:
    follower.read()
    db.execute("INSERT INTO a VALUES (1, 'a', NULL)")
    db.execute(
        "SELECT pg_replication_slot_advance(slot_name, pg_current_wal_lsn()) "
        "FROM pg_replication_slots WHERE starts_with(slot_name, 'dpone_')"
    )
    assert code_of(follower.read) == "source.slot_moved"


def test_a_changed_publication_is_an_error(db: Db, follower: Follower) -> None:
    follower.read()
    row = db.execute(
        "SELECT pubname FROM pg_publication_tables WHERE tablename = 'a' AND schemaname = current_schema()"
    )
    name = row.fetchone()[0]  # type: ignore[index] # it is there
    db.execute(f"ALTER PUBLICATION {name} DROP TABLE a".encode())
    assert code_of(follower.read) == "source.publication_incomplete"
    db.execute("INSERT INTO a VALUES (1, 'unrecorded', NULL)")
    db.execute(f"ALTER PUBLICATION {name} ADD TABLE a".encode())
    assert code_of(follower.read) == "source.publication_changed"
    db.execute(f"DROP PUBLICATION {name}".encode())
    assert code_of(follower.read) == "source.publication_missing"


def test_a_given_publication_must_publish_everything(db: Db, schema: str, follower: Follower) -> None:
    db.execute(f"CREATE PUBLICATION partly_{schema} FOR TABLE a WITH (publish = 'insert')".encode())
    given = Follower(follower.source, schema, publication=f"partly_{schema}", slot=f"slot_{schema}")
    assert code_of(given.read) == "source.publication_incomplete"
    db.execute(f"ALTER PUBLICATION partly_{schema} SET (publish = 'insert, update, delete, truncate')".encode())
    given.read()
    db.execute("INSERT INTO a VALUES (1, 'a', NULL)")
    assert given.changes("id") == [("U", 1)]
    assert db.execute("SELECT 1 FROM pg_replication_slots WHERE slot_name = %s", (f"slot_{schema}",)).fetchone()


def test_ddl_that_says_nothing_of_stored_rows_passes(db: Db, follower: Follower) -> None:
    follower.read()
    db.execute("INSERT INTO a VALUES (1, 'before', NULL)")
    db.execute("ALTER TABLE a ADD COLUMN n int")
    db.execute("INSERT INTO a VALUES (2, 'after', NULL, 5)")
    db.execute("ALTER TABLE a DROP COLUMN big")
    db.execute("INSERT INTO a VALUES (3, 'later', 6)")
    assert follower.changes("id", "v", "n") == [("U", 1, "before", None), ("U", 2, "after", 5), ("U", 3, "later", 6)]


@pytest.mark.parametrize("format_", [ARROW, PG_TEXT, PG_BINARY])
def test_a_column_that_widens_during_the_stream_passes_in_every_format(
    db: Db, schema: str, follower: Follower, format_: Format
) -> None:
    db.execute("CREATE TABLE w (id int PRIMARY KEY)")
    wide = Follower(follower.source, schema, "w")
    wide.read()
    db.execute("INSERT INTO w VALUES (1)")
    db.execute("ALTER TABLE w ALTER id TYPE bigint")
    db.execute("INSERT INTO w VALUES (2)")
    request = wide.request(format=format_)
    with wide.source.open(request) as reading:
        batches = [b.data for s in reading.splits for b in wide.source.read(request, s)]
    if format_ == ARROW:
        assert [r["id"] for b in batches for r in b.to_pylist()] == [1, 2]
    elif format_ == PG_TEXT:
        assert b"".join(batches) == b"1\t1\tU\t\\N\n2\t2\tU\t\\N\n"
    else:
        data = b"".join(batches)
        assert data.startswith(BINARY_HEADER)
        assert data.endswith(BINARY_TRAILER)
        assert (8).to_bytes(4, "big") + (1).to_bytes(8, "big") in data


@pytest.mark.parametrize(
    "ddl",
    [
        "ALTER TABLE a ADD COLUMN n int DEFAULT 5",
        "ALTER TABLE a ADD COLUMN n timestamptz DEFAULT clock_timestamp()",
        "ALTER TABLE a RENAME COLUMN v TO w",
        "ALTER TABLE a ALTER v TYPE int USING 7",
    ],
)
def test_ddl_that_changes_stored_rows_without_a_record_is_an_error(db: Db, follower: Follower, ddl: str) -> None:
    db.execute("INSERT INTO a VALUES (1, 'a', NULL)")
    follower.read()
    db.execute(ddl.encode())
    assert code_of(follower.read) == "source.schema_changed"


def test_a_position_of_another_server_is_an_error(follower: Follower) -> None:
    follower.read()
    assert follower.at is not None
    follower.at = Position(Read.CHANGES, {**follower.at.token, "system": "1"})
    assert code_of(follower.read) == "source.other_system"


def test_what_the_log_cannot_say_is_refused_before_reading(db: Db, schema: str, follower: Follower) -> None:
    assert code_of(lambda: follower.read(key=("v",))) == "source.replica_identity"
    filtered = (Condition("id", Compare.EQ, 1),)
    assert code_of(lambda: follower.read(where=filtered)) == "source.filtered_changes"
    db.execute("CREATE VIEW seen AS SELECT * FROM a")
    assert code_of(Follower(follower.source, schema, "seen").read) == "source.needs_table"


def test_partitions_are_followed_as_one_table(db: Db, schema: str, follower: Follower) -> None:
    db.execute("CREATE TABLE parted (id int PRIMARY KEY, v text) PARTITION BY RANGE (id)")
    db.execute("CREATE TABLE p1 PARTITION OF parted FOR VALUES FROM (0) TO (10)")
    db.execute("CREATE TABLE p2 PARTITION OF parted FOR VALUES FROM (10) TO (20)")
    parted = Follower(follower.source, schema, "parted")
    parted.read()
    db.execute("INSERT INTO parted VALUES (1, 'a'), (11, 'b')")
    db.execute("UPDATE parted SET id = 12 WHERE id = 1")
    assert parted.changes("id") == [("U", 1), ("U", 11), ("D", 1), ("U", 12)]


def test_doctor_shows_how_far_a_slot_lags(follower: Follower) -> None:
    follower.read()
    assert any(f.name.startswith("slot dpone_") and f.ok for f in follower.source.diagnose())
