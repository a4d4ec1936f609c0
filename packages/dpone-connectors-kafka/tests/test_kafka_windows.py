"""Windows of offsets: what is read next after growth, retention, limits, tombstones, and what follows a commit."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from time import monotonic
from typing import Any

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions
from msgspec.structs import replace

from dpone.batch import ARROW
from dpone.connector import Column, Dataset, Position, ReadRequest
from dpone.errors import DponeError, StateError
from dpone.strategies import Read
from dpone.testing.services.endpoint import Endpoint
from dpone_kafka import KafkaConfig
from dpone_kafka.source import KafkaSource, connect
from dpone_kafka.testkit import testkit

NewTopic = Callable[..., str]
COLUMNS = {"id": "int64", "name": "string"}
OPTIONS: dict[str, Any] = {"format": "json", "columns": COLUMNS, "key_format": "json", "key_columns": ["id"]}


def connected(endpoint: Endpoint) -> AbstractContextManager[KafkaSource]:
    return connect(KafkaConfig.model_validate(dict(testkit.connection(endpoint))))


def put(brokers: str, topic: str, *numbers: int, partition: int = 0, gone: bool = False) -> None:
    producer = Producer({"bootstrap.servers": brokers, "batch.num.messages": 1})
    for number in numbers:
        value = None if gone else json.dumps({"id": number, "name": f"n {number}"})
        producer.produce(topic, value, json.dumps({"id": number}), partition)
    assert producer.flush(20) == 0


def request_of(topic: str, since: Position | None = None, read: Read = Read.SINCE, **options: Any) -> ReadRequest:
    dataset = Dataset((topic,), None, {**OPTIONS, **options})
    return ReadRequest(dataset, read, tuple(Column(n, n) for n in COLUMNS), ARROW, ("id",), since=since)


def read(endpoint: Endpoint, request: ReadRequest) -> tuple[list[tuple[Any, ...]], Position | None]:
    """The ids that were read with the kinds of their changes, and how far the reading came."""
    with (
        connect(KafkaConfig.model_validate(dict(testkit.connection(endpoint)))) as source,
        source.open(request) as reading,
    ):
        found: list[tuple[Any, ...]] = []
        for split in reading.splits:
            for batch in source.read(request, split):
                kinds = (
                    batch.data.column("_dpone_change").to_pylist() if reading.changes else ["row"] * batch.data.num_rows
                )
                found += zip(batch.data.column("id").to_pylist(), kinds, strict=True)
        return found, reading.upto


def test_a_deletion_is_a_change_or_ignored_or_refused(brokers: str, endpoint: Endpoint, new_topic: NewTopic) -> None:
    topic = new_topic()
    put(brokers, topic, 1, 2)
    put(brokers, topic, 1, gone=True)
    assert read(endpoint, request_of(topic))[0] == [(1, "U"), (2, "U"), (1, "D")]
    assert read(endpoint, request_of(topic, tombstones="ignore"))[0] == [(1, "row"), (2, "row")]
    for how in (Read.SINCE, Read.SCAN):
        with pytest.raises(DponeError) as refused:
            read(endpoint, request_of(topic, read=how, tombstones="refuse", view="table"))
        assert refused.value.code == "source.tombstone"
    assert read(endpoint, request_of(topic, read=Read.SCAN, view="table"))[0] == [(2, "row")]


def test_partitions_that_come_later_are_read_from_their_beginning(
    brokers: str, endpoint: Endpoint, new_topic: NewTopic, admin: AdminClient
) -> None:
    topic = new_topic()
    put(brokers, topic, 1, 2)
    _, upto = read(endpoint, request_of(topic))
    (grown,) = admin.create_partitions([NewPartitions(topic, 3)]).values()
    grown.result(10)
    put(brokers, topic, 3, partition=2)
    put(brokers, topic, 4)
    found, later = read(endpoint, request_of(topic, upto))
    assert sorted(found) == [(3, "U"), (4, "U")]
    assert later is not None
    assert later.token["offsets"] == {"0": 3, "1": 0, "2": 1}
    assert read(endpoint, request_of(topic, later))[0] == []


def test_a_key_that_moved_when_the_topic_grew_has_its_last_value(
    brokers: str, endpoint: Endpoint, new_topic: NewTopic
) -> None:
    topic = new_topic(2, retention_ms="-1")
    producer = Producer({"bootstrap.servers": brokers})
    for partition, name, at in ((1, "old", 1_000), (0, "new", 2_000)):
        producer.produce(topic, json.dumps({"id": 1, "name": name}), '{"id": 1}', partition, timestamp=at)
    assert producer.flush(20) == 0
    request = request_of(topic, read=Read.SCAN, view="table")
    with (
        connect(KafkaConfig.model_validate(dict(testkit.connection(endpoint)))) as source,
        source.open(request) as reading,
    ):
        names = [n for s in reading.splits for b in source.read(request, s) for n in b.data.column("name").to_pylist()]
    assert names == ["new"]


def test_offsets_that_are_gone_stop_the_run_unless_it_may_go_on(
    brokers: str, endpoint: Endpoint, new_topic: NewTopic, admin: AdminClient
) -> None:
    topic = new_topic()
    put(brokers, topic, 1, 2)
    _, upto = read(endpoint, request_of(topic))
    put(brokers, topic, *range(3, 9))
    (deleted,) = admin.delete_records([TopicPartition(topic, 0, 5)]).values()
    deleted.result(10)
    with pytest.raises(StateError) as lost:
        read(endpoint, request_of(topic, upto))
    assert lost.value.code == "source.offsets_lost"
    found, _ = read(endpoint, request_of(topic, upto, on_lost_offsets="earliest"))
    assert [number for number, _ in found] == [6, 7, 8]


def test_a_topic_that_was_made_anew_is_noticed(
    brokers: str, endpoint: Endpoint, new_topic: NewTopic, admin: AdminClient
) -> None:
    topic = new_topic()
    put(brokers, topic, 1, 2, 3)
    _, upto = read(endpoint, request_of(topic))
    assert upto is not None
    ahead = replace(upto, token={**upto.token, "offsets": {"0": 99}})
    with pytest.raises(StateError) as lost:
        read(endpoint, request_of(topic, ahead, on_lost_offsets="earliest"))
    assert lost.value.code == "source.offsets_lost"
    for wrong, code in (({"cluster": "other"}, "source.other_system"), ({"topic": "other"}, "source.other_position")):
        with pytest.raises(StateError) as other:
            read(endpoint, request_of(topic, replace(upto, token={**upto.token, **wrong})))
        assert other.value.code == code


def test_a_load_takes_at_most_so_many_messages_and_the_next_one_the_rest(
    brokers: str, endpoint: Endpoint, new_topic: NewTopic
) -> None:
    topic = new_topic(2)
    put(brokers, topic, *range(5))
    put(brokers, topic, *range(10, 13), partition=1)
    taken: list[int] = []
    upto = None
    for expected in (4, 4, 0):
        found, upto = read(endpoint, request_of(topic, upto, max_messages=4))
        assert len(found) == expected
        taken += [number for number, _ in found]
    assert sorted(taken) == [*range(5), *range(10, 13)]


def test_windows_are_bounded_by_time(brokers: str, endpoint: Endpoint, new_topic: NewTopic) -> None:
    topic = new_topic(retention_ms="-1")
    producer = Producer({"bootstrap.servers": brokers, "batch.num.messages": 1})
    for number in range(4):
        producer.produce(topic, json.dumps({"id": number}), str(number), timestamp=1_000_000 * (number + 1))
    assert producer.flush(20) == 0
    bounds: dict[str, Any] = {"begin_at": "1970-01-01T00:30:00Z", "end_before": "1970-01-01T01:00:00Z"}
    found, upto = read(endpoint, request_of(topic, tombstones="ignore", **bounds))
    assert [number for number, _ in found] == [1, 2]
    rest, _ = read(endpoint, request_of(topic, upto, tombstones="ignore"))
    assert [number for number, _ in rest] == [3]


def test_a_group_follows_what_was_committed(
    brokers: str, endpoint: Endpoint, new_topic: NewTopic, admin: AdminClient
) -> None:
    topic = new_topic()
    put(brokers, topic, 1, 2)
    request = request_of(topic, commit_group=f"g_{topic}")
    _, upto = read(endpoint, request)
    assert upto is not None
    with connected(endpoint) as source:
        source.settle(request, upto)
    (found,) = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(f"g_{topic}")]).values()
    assert [p.offset for p in found.result(10).topic_partitions] == [2]


def test_a_log_gives_every_message_with_its_place(brokers: str, endpoint: Endpoint, new_topic: NewTopic) -> None:
    topic = new_topic(retention_ms="-1")
    producer = Producer({"bootstrap.servers": brokers})
    producer.produce(topic, b'{"id": 1}', b"k", headers=[("h", b"\x00"), ("h", None)], timestamp=1_234)
    producer.produce(topic, None, b"k")
    assert producer.flush(20) == 0
    dataset = Dataset((topic,), None, {"format": "raw", "key_format": "raw", "metadata": True})
    names = ("key", "value", "_topic", "_partition", "_offset", "_headers")
    request = ReadRequest(dataset, Read.SCAN, tuple(Column(n, n) for n in names), ARROW)
    with (
        connect(KafkaConfig.model_validate(dict(testkit.connection(endpoint)))) as source,
        source.open(request) as reading,
    ):
        rows = [r for s in reading.splits for b in source.read(request, s) for r in b.data.to_pylist()]
    headers = [{"name": "h", "value": b"\x00"}, {"name": "h", "value": None}]
    place = {"key": b"k", "_topic": topic, "_partition": 0}
    first = {**place, "value": b'{"id": 1}', "_offset": 0, "_headers": headers}
    second = {**place, "value": None, "_offset": 1, "_headers": []}
    assert rows == [first, second]


def test_a_group_that_is_rebalanced_meanwhile_takes_nothing_from_a_reading(
    brokers: str, endpoint: Endpoint, new_topic: NewTopic
) -> None:
    topic = new_topic(4)
    for partition in range(4):
        put(brokers, topic, *range(partition * 100, partition * 100 + 50), partition=partition)
    request = request_of(topic, commit_group=f"g_{topic}")
    members = [
        Consumer({"bootstrap.servers": brokers, "group.id": name}) for name in (f"g_{topic}", "dpone-reader") * 2
    ]
    found: list[int] = []
    with connected(endpoint) as source, source.open(request) as reading:
        for split in reading.splits:
            for batch in source.read(request, split):
                for member in members:  # each that comes makes its group share out the partitions anew
                    member.subscribe([topic])
                    member.poll(0.2)
                found += batch.data.column("id").to_pylist()
    for member in members:
        member.close()
    assert sorted(found) == sorted(n + p * 100 for p in range(4) for n in range(50))


def test_a_group_with_members_of_its_own_keeps_its_offsets_and_says_so(
    brokers: str, endpoint: Endpoint, new_topic: NewTopic
) -> None:
    topic = new_topic()
    put(brokers, topic, 1, 2)
    request = request_of(topic, commit_group=f"g_{topic}")
    _, upto = read(endpoint, request)
    assert upto is not None
    member = Consumer({"bootstrap.servers": brokers, "group.id": f"g_{topic}"})
    member.subscribe([topic])
    until = monotonic() + 30
    while not member.assignment():
        assert monotonic() < until
        member.poll(0.2)
    with connected(endpoint) as source, pytest.raises(DponeError) as refused:
        source.settle(request, upto)
    member.close()
    assert refused.value.code == "source.group_in_use"
