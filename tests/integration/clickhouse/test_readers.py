"""What a polling reader sees while any of the ten strategies loads, into plain tables and into those with versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import date
from http.client import HTTPConnection
from itertools import count
from threading import Event, Thread
from typing import Any

import pytest
from msgspec.structs import replace

from dpone.connector import Target
from dpone.errors import DponeError
from dpone.ops import Flag
from dpone.strategies import STRATEGIES
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.suite.jobs import Entries, deliver, job, next_instant
from dpone.testing.suite.rig import SinkRig
from dpone.testing.suite.scenarios import Scenario
from dpone.testing.suite.shapes import FREE, MIXED, changed, gone, row, rows
from dpone.testing.suite.streams import Stream
from dpone_clickhouse.testkit import replacing, testkit

pytestmark = pytest.mark.integration_clickhouse
_numbers = count(1)
MANY = range(1, 40)
DAYS = (date(2024, 1, 1), date(2024, 2, 1))


def before() -> Entries:
    return [row(n, day=DAYS[0]) for n in MANY]


def after() -> Entries:
    return [row(n, region="b" if n % 2 else "north", day=DAYS[0]) for n in MANY if n % 3]


def logged() -> Entries:
    return [changed(n, n) for n in MANY]


def logged_later() -> Entries:
    return [gone(n, n) if n % 3 == 0 else changed(n, n, region="b") for n in MANY]


def flagged() -> Mapping[str, Any]:
    return {"deletes": Flag("deleted_at", next_instant())}


LOADS = {
    "full_refresh": Scenario("full_refresh", before, after, lambda: {"guard": FREE}),
    "incremental_append": Scenario("incremental_append", before, lambda: rows(*range(100, 140))),
    "incremental_merge": Scenario("incremental_merge", logged, logged_later, flagged),
    "replace": Scenario("replace", before, after, lambda: {"guard": FREE}),
    "partition_replace": Scenario("partition_replace", before, after, lambda: {"guard": FREE, "slice_column": "day"}),
    "snapshot_diff": Scenario("snapshot_diff", before, after, lambda: {"guard": FREE}),
    "scd2": Scenario("scd2", before, after),
    "backfill": Scenario("backfill", before, after, lambda: {"guard": FREE, "slice_column": "day", "bounds": DAYS}),
    "xmin": Scenario("xmin", before, after),
    "cdc": Scenario("cdc", logged, logged_later, flagged),
}


@pytest.fixture(scope="module")
def plain() -> Iterator[SinkRig]:
    with testkit.service(testkit.providers()[0]) as endpoint:
        yield SinkRig("clickhouse", testkit, endpoint)


@pytest.fixture(params=["merge_tree", "replacing"])
def rig(request: pytest.FixtureRequest, plain: SinkRig) -> SinkRig:
    return plain if request.param == "merge_tree" else SinkRig("clickhouse", replacing, plain.endpoint)


class Reader:
    """A connection that stays, so that looks follow one another closely."""

    def __init__(self, endpoint: Endpoint) -> None:
        assert endpoint.password is not None
        self._login = {"X-ClickHouse-User": endpoint.user or "", "X-ClickHouse-Key": endpoint.password.reveal()}
        self._connection = HTTPConnection(endpoint.host, endpoint.ports["http"], timeout=60)
        self._path = f"/?database={endpoint.database}"

    def ask(self, query: str) -> str:
        self._connection.request("POST", self._path, body=query.encode(), headers=self._login)
        answer = self._connection.getresponse()
        body = answer.read().decode()
        assert answer.status == 200, body
        return body.strip()

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def reader(plain: SinkRig) -> Iterator[Reader]:
    with closing(Reader(plain.endpoint)) as found:
        yield found


def made_for(rig: SinkRig, scenario: Scenario) -> Stream:
    is_versioned = rig.kit is replacing
    keyed = {"key": MIXED.key} if is_versioned else {}
    name = (rig.endpoint.database or "", f"read{next(_numbers)}")
    target = Target(name, dict(replacing.options) if is_versioned else {})
    made = job(rig, scenario.strategy, MIXED, target=target, **{**keyed, **scenario.load()})
    return Stream(rig, replace(made, changes=scenario.strategy in {"incremental_merge", "cdc"}))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_polling_reader_sees_whole_loads_alone(rig: SinkRig, reader: Reader, strategy: str) -> None:
    scenario = LOADS[strategy]
    stream = made_for(rig, scenario)
    table = stream.job.target.name[1] + (" FINAL" if rig.kit is replacing else "")
    query = f"SELECT sum(cityHash64(*)), count() FROM {table}"
    stream.load(scenario.first())
    states = [reader.ask(query)]
    seen: list[str] = []
    ended = Event()

    def poll() -> None:
        with closing(Reader(rig.endpoint)) as other:
            while not ended.is_set():
                seen.append(other.ask(query))

    thread = Thread(target=poll)
    thread.start()
    try:
        for entries in (scenario.second(), scenario.first() if strategy != "incremental_append" else rows(500)):
            stream.load(entries)
            states.append(reader.ask(query))
    finally:
        ended.set()
        thread.join()
    assert states[0] != states[1], "the loads must differ for a reader"
    assert set(seen) <= set(states), sorted(set(seen) - set(states))
    assert [s for n, s in enumerate(seen) if n == 0 or s != seen[n - 1]] == [
        s for n, s in enumerate(states) if s in seen and (n == 0 or s != states[n - 1])
    ], "states are seen in the order of the loads"
    assert testkit.leftovers(rig.endpoint, stream.job.target) == []


def test_a_load_adds_versions_and_rebuilds_nothing(plain: SinkRig, reader: Reader) -> None:
    versioned = SinkRig("clickhouse", replacing, plain.endpoint)
    stream = made_for(versioned, LOADS["incremental_merge"])
    stream.load(logged())
    table = stream.job.target.name[1]
    parts = f"SELECT hash_of_all_files FROM system.parts WHERE table = '{table}' AND active"
    begun = set(reader.ask(parts).splitlines())
    stream.load([changed(1, 100, region="moved"), gone(2, 101)])
    assert begun < set(reader.ask(parts).splitlines())
    assert reader.ask(f"SELECT count() FROM {table} WHERE _dpone_version > 2") == "2"
    assert reader.ask(f"SELECT region FROM {table} FINAL WHERE id = 1") == "moved"
    reader.ask(f"OPTIMIZE TABLE {table} FINAL")  # rows are merged, and that is no other writer
    stream.load([changed(3, 102, region="moved")])


def test_a_table_that_keeps_versions_needs_a_key(plain: SinkRig) -> None:
    target = Target((plain.endpoint.database or "", f"read{next(_numbers)}"), {"engine": "replacing"})
    for options, code in (({}, "sink.versions_need_key"), ({"order_by": ["region"]}, "sink.versions_need_key")):
        asked = Target(target.name, {**target.options, **options})
        key = {"key": MIXED.key} if options else {}
        with pytest.raises(DponeError) as found:
            deliver(plain, job(plain, "full_refresh", MIXED, target=asked, guard=FREE, **key), rows(1))
        assert found.value.code == code
    assert testkit.leftovers(plain.endpoint, target) == []
