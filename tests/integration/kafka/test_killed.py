"""`kill -9` of a run between two topics at each of its steps: run again, nothing is doubled, and nothing is lost.

What a read_committed consumer sees is read by kafka-python, message by message: a row that was sent twice would be two.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import kafka
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

import dpone
from dpone.failpoints import RUN
from dpone.testing.services.endpoint import Provider
from dpone_kafka.publication import BEGIN, COMMITTED, STATED, WRITTEN
from dpone_kafka.testkit import testkit

pytestmark = pytest.mark.integration_kafka
PLACES = (*RUN, BEGIN, WRITTEN, STATED, COMMITTED)
STRATEGIES: dict[str, dict[str, Any]] = {
    "incremental_append": {},
    "incremental_merge": {"key": ["id"]},
    "snapshot_diff": {"key": ["id"]},
}
FIRST, SECOND = range(20), range(15, 25)
Sent = list[tuple[bytes, bytes | None]]


@pytest.fixture(scope="module")
def brokers(request: pytest.FixtureRequest) -> Iterator[str]:
    with testkit.service(Provider(request.config.getoption("provider") or Provider.EMULATED)) as endpoint:
        yield f"{endpoint.host}:{endpoint.port}"


@pytest.fixture(scope="module")
def admin(brokers: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": brokers})


@pytest.fixture
def topic(brokers: str, admin: AdminClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"orders_{uuid4().hex[:8]}"
    (made,) = admin.create_topics([NewTopic(name, 2, 1)]).values()
    made.result(20)
    put(brokers, name, FIRST, "first")
    monkeypatch.chdir(tmp_path)
    Path("connections.yml").write_text(json.dumps({"bus": {"type": "kafka", "brokers": brokers}}))
    return name


def put(brokers: str, topic: str, numbers: range, what: str) -> None:
    producer = Producer({"bootstrap.servers": brokers})
    for number in numbers:
        producer.produce(topic, json.dumps({"id": number, "what": what}), json.dumps({"id": number}))
    assert producer.flush(30) == 0


def manifest(topic: str, strategy: str) -> None:
    source = {"type": "kafka", "connection": "bus", "topic": topic, "columns": {"id": "int64", "what": "string"}}
    if strategy == "incremental_append":
        source["tombstones"] = "ignore"
    else:
        source |= {"view": "table", "key_columns": ["id"], "key_format": "json"}
    given: dict[str, Any] = {"version": 1, "name": "orders", "source": source}
    given["sink"] = {"type": "kafka", "connection": "bus", "topic": f"landed.{topic}"}
    given["strategy"] = {"mode": strategy, **STRATEGIES[strategy]}
    Path("orders.yaml").write_text(json.dumps(given))


def killed_at(place: str) -> None:
    environment = {**os.environ, "DPONE_FAILPOINT": place}
    command = [sys.executable, "-c", "from dpone.cli import main; main()", "run", "orders.yaml"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == -signal.SIGKILL, done.stderr


def load() -> None:
    report = dpone.run("orders.yaml")
    assert report.succeeded, report.streams[0].error


def seen(brokers: str, topic: str) -> Sent:
    """Every message that a read_committed consumer comes to."""
    consumer = kafka.KafkaConsumer(bootstrap_servers=brokers, isolation_level="read_committed", fetch_max_wait_ms=20)
    places = [kafka.TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    ends = consumer.end_offsets(places)
    found: Sent = []
    while any(consumer.position(place) < ends[place] for place in places):
        for records in consumer.poll(timeout_ms=200).values():
            found += [(r.key, r.value) for r in records]
    consumer.close()
    return found


def rows(sent: Sent) -> list[tuple[int, str]]:
    return sorted((json.loads(value)["id"], json.loads(value)["what"]) for _, value in sent if value is not None)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("place", PLACES)
def test_a_killed_run_is_run_again(place: str, strategy: str, brokers: str, topic: str) -> None:
    manifest(topic, strategy)
    load()
    one = [(number, "first") for number in FIRST]
    two = sorted([*one, *((number, "second") for number in SECOND)])
    landed = f"landed.{topic}"
    assert rows(seen(brokers, landed)) == one
    put(brokers, topic, SECOND, "second")
    killed_at(place)
    assert rows(seen(brokers, landed)) in (one, two), "all of a load, or nothing of it"
    load()
    assert rows(seen(brokers, landed)) == two, "each row was sent once"
    load()
    assert rows(seen(brokers, landed)) == two, "the position is behind what was read"
