"""When a stage becomes the target: nothing is copied, nothing of the target's storage is lost, no NULL is replaced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from itertools import count

import pytest
from msgspec.structs import replace

from dpone.batch import CH_NATIVE, PG_TEXT, Batch
from dpone.connector import Target
from dpone.errors import DponeError
from dpone.failpoints import arm
from dpone.schema import INT64, STRING, Field, Schema
from dpone.stage import Duplicates
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.suite.jobs import Attempt, Job, deliver, job
from dpone.testing.suite.rig import SinkRig
from dpone.testing.suite.shapes import FREE, MIXED, row, rows
from dpone_clickhouse.testkit import testkit

pytestmark = pytest.mark.integration_clickhouse
_numbers = count(1)
STRICT = Schema((Field("id", INT64, nullable=False), Field("note", STRING, nullable=False)), key=("id",))


@pytest.fixture(scope="module")
def rig() -> Iterator[SinkRig]:
    with testkit.service(testkit.providers()[0]) as endpoint:
        yield SinkRig("clickhouse", testkit, endpoint)


def ask(endpoint: Endpoint, statement: str) -> str:
    return fetch(endpoint, statement).decode().strip()


def fetch(endpoint: Endpoint, statement: str) -> bytes:
    connection = HTTPConnection(endpoint.host, endpoint.ports["http"])
    assert endpoint.password is not None
    login = {"X-ClickHouse-User": endpoint.user or "", "X-ClickHouse-Key": endpoint.password.reveal()}
    connection.request("POST", f"/?database={endpoint.database}", body=statement.encode(), headers=login)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == 200, body
    return body


def target(rig: SinkRig, options: Mapping[str, object] | None = None) -> Target:
    return Target((rig.endpoint.database or "", f"adopt{next(_numbers)}"), dict(options or {}))


def kinds_while_publishing(rig: SinkRig, made: Job, entries: list[dict[str, object]]) -> set[str]:
    """Which tables of dpone's own stood beside the target when the program had been carried out."""
    seen: set[str] = set()

    def look() -> None:
        names = ask(rig.endpoint, "SELECT name FROM system.tables WHERE match(name, '^_dpone_[0-9a-f]{16}')")
        seen.update(name.split("_")[3] for name in names.splitlines())

    with arm("publish.build", look):
        deliver(rig, made, entries)
    return seen


@pytest.mark.parametrize("strategy", ["full_refresh", "replace"])
def test_an_exchange_of_all_rows_copies_nothing(rig: SinkRig, strategy: str) -> None:
    made = job(rig, strategy, MIXED, target=target(rig), guard=FREE)
    for entries in (rows(1, 2, 3), rows(2, 3), rows(2, 3, 4, 5)):
        assert kinds_while_publishing(rig, made, entries) == {"raw"}
        found = ask(rig.endpoint, f"SELECT groupArray(id) FROM (SELECT id FROM {made.target.name[1]} ORDER BY id)")
        assert found == str([r["id"] for r in entries]).replace(" ", "")


@pytest.mark.parametrize("strategy", ["incremental_append", "incremental_merge", "snapshot_diff", "partition_replace"])
def test_a_first_load_copies_nothing(rig: SinkRig, strategy: str) -> None:
    sliced = {"slice_column": "id"} if strategy == "partition_replace" else {}
    made = job(rig, strategy, MIXED, target=target(rig), guard=FREE, **sliced)
    assert kinds_while_publishing(rig, made, rows(1, 2)) == {"raw"}
    assert "shadow" in kinds_while_publishing(rig, made, rows(3))
    found = ask(rig.endpoint, f"SELECT count() FROM {made.target.name[1]}")
    assert found == ("1" if strategy == "snapshot_diff" else "3")


def test_rows_that_are_sorted_out_are_copied(rig: SinkRig) -> None:
    made = job(rig, "full_refresh", MIXED, target=target(rig), guard=FREE, key=MIXED.key)
    made = replace(made, duplicates=Duplicates.LAST)
    assert "shadow" in kinds_while_publishing(rig, made, [row(1), row(1), row(2)])
    assert ask(rig.endpoint, f"SELECT count() FROM {made.target.name[1]}") == "2"


def test_staged_rows_are_not_left_to_a_ttl(rig: SinkRig) -> None:
    ttl = {"ttl": {"column": "day", "after": "10000d"}}
    made = job(rig, "full_refresh", MIXED, target=target(rig, ttl), guard=FREE)
    assert "shadow" in kinds_while_publishing(rig, made, rows(1))
    plain = job(rig, "full_refresh", MIXED, target=Target(made.target.name), guard=FREE)
    assert "shadow" in kinds_while_publishing(rig, plain, rows(1))


def test_an_adopted_stage_is_stored_as_the_target_was(rig: SinkRig) -> None:
    name = target(rig)
    table = name.name[1]
    ask(
        rig.endpoint,
        f"CREATE TABLE {table} (id Int64 CODEC(Delta, ZSTD(3)), region LowCardinality(Nullable(String)), "
        "amount Nullable(Decimal(18, 4)), "
        "score Nullable(Float64), day Nullable(Date32), seen_at Nullable(DateTime64(6, 'UTC')), "
        "twice Int64 MATERIALIZED id * 2, INDEX i score TYPE minmax) "
        "ENGINE = MergeTree PARTITION BY id ORDER BY id COMMENT 'of the shop'",
    )
    storage = f"SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = '{table}'"
    before = ask(rig.endpoint, storage)
    many = rows(*range(1, 250))  # as many partitions
    made = job(rig, "replace", MIXED, target=name, guard=FREE)
    assert kinds_while_publishing(rig, made, many) == {"raw"}
    assert ask(rig.endpoint, storage) == before
    definition = ask(rig.endpoint, f"SHOW CREATE TABLE {table}")
    assert all(word in definition for word in ("CODEC(Delta", "INDEX i", "LowCardinality(Nullable", "MATERIALIZED"))
    assert ask(rig.endpoint, f"SELECT count(), sum(twice) FROM {table}") == f"249\t{2 * sum(range(1, 250))}"
    assert ask(rig.endpoint, f"SELECT comment FROM system.tables WHERE name = '{table}'").startswith("of the shop")


def test_a_target_that_was_altered_meanwhile_keeps_what_it_is_now(rig: SinkRig) -> None:
    made = job(rig, "replace", MIXED, target=target(rig), guard=FREE)
    deliver(rig, made, rows(1))
    table = made.target.name[1]

    def alter() -> None:
        ask(rig.endpoint, f"ALTER TABLE {table} MODIFY COLUMN region CODEC(ZSTD(7))")

    with arm("before_seal", alter):
        deliver(rig, made, rows(1, 2))
    assert "CODEC(ZSTD(7))" in ask(rig.endpoint, f"SHOW CREATE TABLE {table}")
    assert ask(rig.endpoint, f"SELECT count() FROM {table}") == "2"


@pytest.mark.parametrize(
    "data, key, code",
    [
        (b"1\t\\N\n", (), "sink.rejected_rows"),
        (b"\\N\tx\n", (), "sink.rejected_rows"),
        (b"\\N\tx\n", ("id",), "stage.null_key"),
    ],
)
def test_a_null_for_a_required_column_is_refused_and_not_made_empty(
    rig: SinkRig, data: bytes, key: tuple[str, ...], code: str
) -> None:
    made = replace(job(rig, "full_refresh", STRICT, target=target(rig), guard=FREE, key=key), format=PG_TEXT)
    with rig.sink() as sink, sink.lease(made.target, made.pipeline) as lease:
        attempt = Attempt.begin(rig, made, sink, lease)
        with (
            sink.stage(attempt.spec) as stage,
            pytest.raises(DponeError) as found,
            sink.writer(stage.ref, "0") as writer,
        ):
            writer.write(Batch(PG_TEXT, b"7\tfine\n" + data, 2, len(data) + 7))
    assert found.value.code == code
    assert testkit.leftovers(rig.endpoint, made.target) == []


@pytest.mark.parametrize("wide", ["Nullable(String)", "LowCardinality(Nullable(String))"])
def test_a_null_in_a_block_of_the_server_itself_is_refused_as_well(rig: SinkRig, wide: str) -> None:
    made = replace(job(rig, "full_refresh", STRICT, target=target(rig), guard=FREE), format=CH_NATIVE)
    columns = [(f.name, f.nullable) for f in STRICT]
    values = ", ".join(f"CAST(7 AS Int64) AS {n}" if n == "id" else f"CAST(NULL AS {wide}) AS {n}" for n, _ in columns)
    block = fetch(rig.endpoint, f"SELECT {values} FORMAT Native")
    with rig.sink() as sink, sink.lease(made.target, made.pipeline) as lease:
        attempt = Attempt.begin(rig, made, sink, lease)
        with (
            sink.stage(attempt.spec) as stage,
            pytest.raises(DponeError) as found,
            sink.writer(stage.ref, "0") as writer,
        ):
            writer.write(Batch(CH_NATIVE, block, 1, len(block)))
    assert found.value.code == "sink.rejected_rows"
    assert testkit.leftovers(rig.endpoint, made.target) == []


@pytest.mark.parametrize("partition, least, most", [(None, 2, 4), ({"column": "id", "grain": "value"}, 1, 1)])
def test_a_large_load_is_packed_while_it_comes(
    rig: SinkRig, partition: Mapping[str, object] | None, least: int, most: int
) -> None:
    """It leaves parts of 64 MB; one in each partition of a table that has some, as the server itself would."""
    named = target(rig, {"partition_by": partition} if partition else {})
    made = replace(job(rig, "full_refresh", STRICT, target=named, guard=FREE), format=CH_NATIVE)
    block = fetch(rig.endpoint, "SELECT toInt64(7) AS id, repeat('x', 1000) AS note FROM numbers(45000) FORMAT Native")
    with rig.sink() as sink, sink.lease(made.target, made.pipeline) as lease:
        attempt = Attempt.begin(rig, made, sink, lease)
        with sink.stage(attempt.spec) as stage:
            with sink.writer(stage.ref, "0") as writer:
                for _ in range(4):
                    writer.write(Batch(CH_NATIVE, block, 45000, len(block)))
            assert stage.seal().live == 4 * 45000
            table = stage.ref.payload["table"][1]
            parts = f"SELECT count(), sum(rows) FROM system.parts WHERE table = '{table}' AND active"
            found, staged = map(int, ask(rig.endpoint, parts).split())
    assert staged == 4 * 45000
    assert least <= found <= most
    assert testkit.leftovers(rig.endpoint, made.target) == []
