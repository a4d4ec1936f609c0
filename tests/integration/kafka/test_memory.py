"""Ten times the keys cost no more memory: a topic read as a table or by its changes, and written to another one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from confluent_kafka import Producer

from dpone.testing.services.endpoint import Endpoint
from dpone.testing.testkit import SeedTable
from dpone_certify.benchmark.costs import measure
from dpone_certify.benchmark.pipelines import FULL_REFRESH, End, Workplace
from dpone_certify.benchmark.shape import NARROW
from dpone_kafka.testkit import testkit

pytestmark = pytest.mark.integration_kafka

FEW, MANY = 100_000, 1_000_000
MOST = 60_000_000  # bytes that may come on top; a dictionary of the keys alone would take more than twice that
TABLE: Mapping[str, object] = {"view": "table", "key_format": "json", "key_columns": ["id"]}


MERGE: Mapping[str, object] = {"mode": "incremental_merge", "key": ["id"]}  # its rows come as changes


@pytest.mark.timeout(900)  # four loads of a million keys in all
# with fewer deletions, which are small, neither a bucket nor what the client has fetched ahead is full
@pytest.mark.parametrize("strategy, few", [(FULL_REFRESH, FEW), (MERGE, 3 * FEW)], ids=["full_refresh", "merge"])
def test_memory_does_not_grow_with_the_number_of_keys(tmp_path: Path, strategy: Mapping[str, object], few: int) -> None:
    work = Workplace(tmp_path)
    held: dict[int, list[int]] = {}
    with testkit.service(testkit.providers()[0]) as endpoint:
        work.know(testkit, endpoint)
        for rows in (few, MANY):
            dataset = testkit.loops.fill(endpoint, SeedTable(f"memory_{rows}", NARROW), rows)
            source = End("kafka", "topic", dataset.name[0], {**dataset.options, **TABLE})
            sink = End("kafka", "topic", f"written_{rows}", testkit.loops.sink_options())
            manifest = work.write(f"memory_{rows}", source, sink, strategy)
            first = measure([[work.run(manifest)]], tmp_path)
            left = _delete_every_second(endpoint, dataset.name[0], rows) if strategy is MERGE else rows
            again = measure([[work.run(manifest)]], tmp_path)
            for outcome, wanted in ((first, rows), (again, left)):
                assert json.loads(outcome.out)["streams"][0]["rows_after"] == wanted
            held[rows] = [first.cost.memory, again.cost.memory]
    for less, more in zip(held[few], held[MANY], strict=True):
        assert more < less + MOST, held


def _delete_every_second(endpoint: Endpoint, topic: str, rows: int) -> int:
    """Half of the keys have a tombstone; how many have none."""
    producer = Producer({"bootstrap.servers": f"{endpoint.host}:{endpoint.port}", "partitioner": "murmur2_random"})
    for number in range(2, rows + 1, 2):
        while True:
            try:
                producer.produce(topic, None, b'{"id":%d}' % number)
            except BufferError:
                producer.poll(0.01)
            else:
                break
    assert producer.flush(60) == 0
    return rows - rows // 2
