"""What only a real server shows of a publication: other writers, views, storage that stays, a reader beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from itertools import count

import pytest

from dpone.connector import Target
from dpone.errors import DponeError
from dpone.failpoints import arm
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.suite.jobs import deliver, job
from dpone.testing.suite.rig import SinkRig
from dpone.testing.suite.shapes import FREE, MIXED, row, rows
from dpone_clickhouse.testkit import testkit

pytestmark = pytest.mark.integration_clickhouse
_numbers = count(1)


@pytest.fixture(scope="module")
def rig() -> Iterator[SinkRig]:
    with testkit.service(testkit.providers()[0]) as endpoint:
        yield SinkRig("clickhouse", testkit, endpoint)


def ask(endpoint: Endpoint, statement: str) -> str:
    connection = HTTPConnection(endpoint.host, endpoint.ports["http"])
    assert endpoint.password is not None
    login = {"X-ClickHouse-User": endpoint.user or "", "X-ClickHouse-Key": endpoint.password.reveal()}
    connection.request("POST", f"/?database={endpoint.database}", body=statement.encode(), headers=login)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    assert answer.status == 200, body
    return body.strip()


def target(rig: SinkRig, **options: object) -> Target:
    return Target((rig.endpoint.database or "", f"t{next(_numbers)}"), options)


def doing(rig: SinkRig, statement: str) -> Callable[[], None]:
    def act() -> None:
        ask(rig.endpoint, statement)

    return act


def count_of(rig: SinkRig, name: Target) -> int:
    return int(ask(rig.endpoint, f"SELECT count() FROM {name.name[1]}"))


@pytest.mark.parametrize("place", ["after_ensure", "after_reconcile", "after_save_position"])
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO {0} (id) VALUES (99)",
        "ALTER TABLE {0} DELETE WHERE id = 1 SETTINGS mutations_sync = 2",
        "TRUNCATE TABLE {0}",
    ],
)
def test_another_writer_is_noticed(rig: SinkRig, place: str, statement: str) -> None:
    made = job(rig, "incremental_merge", MIXED, target=target(rig))
    deliver(rig, made, rows(1, 2))
    name = made.target.name[1]
    with arm(place, doing(rig, statement.format(name))), pytest.raises(DponeError) as found:
        deliver(rig, made, rows(3))
    assert found.value.code == "sink.concurrent_writer"
    left = (
        "SELECT count() FROM system.tables WHERE startsWith(name, '_dpone_') AND match(name, 'shadow|raw|live|delta')"
    )
    assert ask(rig.endpoint, left) == "0"


def test_a_merge_in_the_background_is_no_writer(rig: SinkRig) -> None:
    made = job(rig, "incremental_merge", MIXED, target=target(rig))
    deliver(rig, made, rows(1))
    deliver(rig, made, rows(2))
    name = made.target.name[1]
    with arm("after_ensure", doing(rig, f"OPTIMIZE TABLE {name} FINAL")):
        deliver(rig, made, rows(3))
    assert count_of(rig, made.target) == 3


def test_views_on_the_target_are_refused_unless_declared(rig: SinkRig) -> None:
    name = target(rig)
    made = job(rig, "incremental_merge", MIXED, target=name)
    deliver(rig, made, rows(1))
    table = name.name[1]
    ask(rig.endpoint, f"CREATE MATERIALIZED VIEW v_{table} ENGINE = MergeTree ORDER BY id AS SELECT id FROM {table}")
    with pytest.raises(DponeError) as found:
        deliver(rig, made, rows(2))
    assert found.value.code == "sink.materialized_views"
    declared = Target(name.name, {"materialized_views": "ignore"})
    deliver(rig, job(rig, "incremental_merge", MIXED, target=declared), rows(2))
    assert count_of(rig, name) == 2


def test_a_table_that_is_there_keeps_its_storage_and_its_comment(rig: SinkRig) -> None:
    name = target(rig, order_by=["id"])
    table = name.name[1]
    ask(
        rig.endpoint,
        f"CREATE TABLE {table} (id Int64 CODEC(Delta, ZSTD(3)), region Nullable(String), "
        "amount Nullable(Decimal(18, 4)), "
        "score Nullable(Float64), day Nullable(Date32), seen_at Nullable(DateTime64(6, 'UTC')), "
        "INDEX i region TYPE bloom_filter) "
        "ENGINE = MergeTree PARTITION BY intDiv(id, 100) ORDER BY id COMMENT 'of the shop'",
    )
    storage = "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = '{0}'"
    before = ask(rig.endpoint, storage.format(table))
    for strategy in ("incremental_merge", "snapshot_diff", "replace"):
        made = job(rig, strategy, MIXED, target=name, guard=FREE)
        deliver(rig, made, [row(1), row(2, region=strategy)])
    assert ask(rig.endpoint, storage.format(table)) == before
    assert "CODEC(Delta" in ask(rig.endpoint, f"SHOW CREATE TABLE {table}")
    assert "INDEX i" in ask(rig.endpoint, f"SHOW CREATE TABLE {table}")
    comment = ask(rig.endpoint, f"SELECT comment FROM system.tables WHERE name = '{table}'")
    assert comment.startswith("of the shop")


def test_only_touched_partitions_are_rebuilt(rig: SinkRig) -> None:
    name = target(rig, partition_by={"column": "id", "grain": "value"})
    made = job(rig, "incremental_merge", MIXED, target=name)
    deliver(rig, made, rows(1, 2, 3))
    table = name.name[1]
    parts = f"SELECT name FROM system.parts WHERE table = '{table}' AND active ORDER BY name FORMAT TabSeparated"
    hashes = f"SELECT partition, hash_of_all_files FROM system.parts WHERE table = '{table}' AND active ORDER BY 1"
    before = ask(rig.endpoint, hashes).splitlines()
    deliver(rig, made, [row(2, region="moved")])
    after = ask(rig.endpoint, hashes).splitlines()
    assert len(ask(rig.endpoint, parts).splitlines()) == 3
    assert [b.split("\t")[1] == a.split("\t")[1] for b, a in zip(before, after, strict=True)] == [True, False, True]
