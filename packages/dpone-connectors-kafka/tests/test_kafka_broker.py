"""The broker, ours or Apache's, through the client libraries that people use: what the other tests rely on holds."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import aiokafka
import kafka
import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    OffsetSpec,
    ResourceType,
)
from confluent_kafka.admin import NewTopic as NewTopicOf

from dpone.testing.suite.rig import SinkRig
from dpone_kafka.testkit import testkit

NewTopic = Callable[..., str]
Pairs = list[tuple[bytes | None, bytes | None]]


def produce(brokers: str, topic: str, pairs: Pairs, **config: object) -> None:
    producer = Producer({"bootstrap.servers": brokers, "enable.idempotence": True, **config})
    for key, value in pairs:
        producer.produce(topic, value, key, 0)
    assert producer.flush(20) == 0


def transactional(brokers: str, name: str, timeout_ms: int = 60_000) -> Producer:
    producer = Producer({"bootstrap.servers": brokers, "transactional.id": name, "transaction.timeout.ms": timeout_ms})
    producer.init_transactions(20)
    return producer


def consume(brokers: str, topic: str, partition: int = 0, *, isolation: str = "read_committed") -> Pairs:
    """All records by librdkafka, to the end."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "reads",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": isolation,
            "fetch.wait.max.ms": 20,
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0)])
    found: Pairs = []
    while True:
        message = consumer.poll(20)
        assert message is not None, "no end came"
        if (error := message.error()) is not None:
            assert error.code() == KafkaError._PARTITION_EOF, error
            break
        found.append((message.key(), message.value()))
    consumer.close()
    return found


def by_kafka_python(brokers: str, topic: str, isolation: str = "read_committed") -> Pairs:
    consumer = kafka.KafkaConsumer(bootstrap_servers=brokers, isolation_level=isolation, enable_auto_commit=False)
    at = kafka.TopicPartition(topic, 0)
    consumer.assign([at])
    consumer.seek_to_beginning(at)
    end = consumer.end_offsets([at])[at]
    found: Pairs = []
    until = time.monotonic() + 20
    while consumer.position(at) < end:
        assert time.monotonic() < until
        for records in consumer.poll(timeout_ms=200).values():
            found += [(r.key, r.value) for r in records]
    consumer.close()
    return found


def by_aiokafka(brokers: str, topic: str, isolation: str = "read_committed") -> Pairs:
    async def read() -> Pairs:
        consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=brokers, isolation_level=isolation)
        await consumer.start()
        try:
            at = aiokafka.TopicPartition(topic, 0)
            consumer.assign([at])
            await consumer.seek_to_beginning(at)
            end = (await consumer.end_offsets([at]))[at]
            found: Pairs = []
            until = time.monotonic() + 20
            while await consumer.position(at) < end:
                assert time.monotonic() < until
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += [(r.key, r.value) for r in records]
            return found
        finally:
            await consumer.stop()

    return asyncio.run(read())


READERS: list[Any] = [
    pytest.param(consume, id="confluent"),
    pytest.param(by_kafka_python, id="kafka-python"),
    pytest.param(by_aiokafka, id="aiokafka"),
]
PAIRS: Pairs = [(b"a", b"1"), (None, b"2"), (b"a", None), (b"b", b""), ("größe".encode(), b"3" * 2000)]

# ----------------------------------------------------------------------------- records


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_every_client_reads_what_librdkafka_wrote(
    brokers: str, new_topic: NewTopic, read: Any, compression: str
) -> None:
    topic = new_topic()
    produce(brokers, topic, PAIRS, **{"compression.type": compression})
    assert read(brokers, topic) == PAIRS


@pytest.mark.parametrize("compression", ["snappy", "lz4", "zstd"])
def test_batches_of_any_compression_are_kept_as_they_came(brokers: str, new_topic: NewTopic, compression: str) -> None:
    topic = new_topic()
    produce(brokers, topic, PAIRS, **{"compression.type": compression})
    assert consume(brokers, topic) == PAIRS


@pytest.mark.parametrize("read", READERS)
def test_every_client_reads_what_kafka_python_wrote(brokers: str, new_topic: NewTopic, read: Any) -> None:
    topic = new_topic()
    producer = kafka.KafkaProducer(bootstrap_servers=brokers)
    for key, value in PAIRS:
        producer.send(topic, value, key).get(20)
    producer.close()
    assert read(brokers, topic) == PAIRS


@pytest.mark.parametrize("read", READERS)
def test_every_client_reads_what_aiokafka_wrote(brokers: str, new_topic: NewTopic, read: Any) -> None:
    topic = new_topic()

    async def write() -> None:
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=brokers, enable_idempotence=True)
        await producer.start()
        for key, value in PAIRS:
            await producer.send_and_wait(topic, value, key)
        await producer.stop()

    asyncio.run(write())
    assert read(brokers, topic) == PAIRS


def test_a_message_that_is_too_large_is_refused_and_a_larger_limit_takes_it(brokers: str, new_topic: NewTopic) -> None:
    large = b"x" * 10_000_000
    for topic, taken in ((new_topic(), False), (new_topic(max_message_bytes="12000000"), True)):
        said: list[KafkaError | None] = []
        producer = Producer({"bootstrap.servers": brokers, "message.max.bytes": 12_000_000})
        producer.produce(topic, large, on_delivery=lambda error, _: said.append(error))  # noqa: B023 - it is flushed below
        producer.flush(20)
        assert [None if e is None else e.code() for e in said] == [None if taken else KafkaError.MSG_SIZE_TOO_LARGE]
        assert len(consume(brokers, topic)) == int(taken)


def test_records_are_found_by_their_time(brokers: str, admin: AdminClient, new_topic: NewTopic) -> None:
    topic = new_topic(retention_ms="-1")
    producer = Producer({"bootstrap.servers": brokers, "linger.ms": 0})
    for at in (1_000, 2_000, 3_000):
        producer.produce(topic, b"v", timestamp=at)
    producer.flush(20)
    for timestamp, offset in ((500, 0), (2_000, 1), (2_500, 2), (9_000, -1)):
        (found,) = admin.list_offsets({TopicPartition(topic, 0): OffsetSpec.for_timestamp(timestamp)}).values()
        assert found.result(10).offset == offset


def test_headers_and_timestamps_go_round(brokers: str, new_topic: NewTopic) -> None:
    topic = new_topic(retention_ms="-1")
    producer = Producer({"bootstrap.servers": brokers})
    producer.produce(topic, b"v", headers=[("a", b"1"), ("a", None)], timestamp=1234)
    producer.flush(20)
    consumer = kafka.KafkaConsumer(bootstrap_servers=brokers)
    at = kafka.TopicPartition(topic, 0)
    consumer.assign([at])
    consumer.seek_to_beginning(at)
    (record,) = [r for records in consumer.poll(timeout_ms=5000).values() for r in records]
    consumer.close()
    assert (record.timestamp, list(map(tuple, record.headers))) == (1234, [("a", b"1"), ("a", None)])


# ------------------------------------------------------------------------ transactions


@pytest.mark.parametrize("read", READERS)
def test_what_was_aborted_or_is_open_is_not_read_as_committed(brokers: str, new_topic: NewTopic, read: Any) -> None:
    topic = new_topic()
    producer = transactional(brokers, topic)
    for number, commit in enumerate([True, False, True]):
        producer.begin_transaction()
        producer.produce(topic, str(number).encode())
        producer.flush(20)
        (producer.commit_transaction if commit else producer.abort_transaction)(20)
    assert read(brokers, topic) == [(None, b"0"), (None, b"2")]
    producer.begin_transaction()
    producer.produce(topic, b"open")
    producer.flush(20)
    produce(brokers, topic, [(None, b"behind")])
    assert read(brokers, topic) == [(None, b"0"), (None, b"2")]
    everything = [(None, v) for v in (b"0", b"1", b"2", b"open", b"behind")]
    assert consume(brokers, topic, isolation="read_uncommitted") == everything
    producer.commit_transaction(20)
    assert read(brokers, topic) == [(None, v) for v in (b"0", b"2", b"open", b"behind")]


def test_a_newer_producer_fences_the_older_one_and_undoes_its_work(brokers: str, new_topic: NewTopic) -> None:
    topic = new_topic()
    older = transactional(brokers, topic)
    older.begin_transaction()
    older.produce(topic, b"lost")
    older.flush(20)
    newer = transactional(brokers, topic)
    with pytest.raises(KafkaException) as fenced:
        older.commit_transaction(20)
    assert fenced.value.args[0].code() in {KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH}
    newer.begin_transaction()
    newer.produce(topic, b"kept")
    newer.commit_transaction(20)
    assert consume(brokers, topic) == [(None, b"kept")]


def test_a_transaction_whose_time_is_over_is_aborted(brokers: str, new_topic: NewTopic) -> None:
    topic = new_topic()
    slow = transactional(brokers, topic, timeout_ms=1_000)
    slow.begin_transaction()
    slow.produce(topic, b"lost")
    slow.flush(20)
    until = time.monotonic() + 20
    while consume(brokers, topic, isolation="read_uncommitted") and time.monotonic() < until:
        produce(brokers, topic, [(None, b"behind")])
        if (None, b"behind") in consume(brokers, topic):
            break
        time.sleep(0.3)
    assert (None, b"lost") not in consume(brokers, topic)
    with pytest.raises(KafkaException):
        slow.commit_transaction(20)


def test_offsets_are_committed_with_a_transaction_or_not_at_all(brokers: str, new_topic: NewTopic) -> None:
    topic, group = new_topic(), "g_in_transaction"
    produce(brokers, topic, PAIRS)
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    assert len(consumer.consume(len(PAIRS), 20)) == len(PAIRS)
    at = [TopicPartition(topic, 0)]
    producer = transactional(brokers, topic)
    for offset, commit, expected in ((3, False, -1001), (4, True, 4)):
        producer.begin_transaction()
        producer.send_offsets_to_transaction([TopicPartition(topic, 0, offset)], consumer.consumer_group_metadata(), 20)
        (producer.commit_transaction if commit else producer.abort_transaction)(20)
        assert consumer.committed(at, 20)[0].offset == expected
    consumer.close()


# ------------------------------------------------------------------------------ crashes


def _address(own: SinkRig) -> str:
    return f"{own.endpoint.host}:{own.endpoint.port}"


def _crash(own: SinkRig) -> None:
    testkit.crash(own.endpoint)


def _topic(address: str) -> str:
    name = f"own_{uuid4().hex[:8]}"
    admin = kafka.admin.KafkaAdminClient(bootstrap_servers=address)
    admin.create_topics([kafka.admin.NewTopic(name, 1, 1)])
    admin.close()
    return name


def test_what_was_acknowledged_survives_sigkill_and_an_open_transaction_goes_on(own: SinkRig) -> None:
    address = _address(own)
    topic = _topic(address)
    producer = transactional(address, topic)
    producer.begin_transaction()
    producer.produce(topic, b"before")
    assert producer.flush(20) == 0
    _crash(own)
    assert consume(address, topic) == []
    producer.produce(topic, b"after")
    producer.commit_transaction(30)
    assert consume(address, topic) == [(None, b"before"), (None, b"after")]


def test_a_transaction_left_open_by_a_dead_producer_is_undone_by_the_next(own: SinkRig) -> None:
    address = _address(own)
    topic = _topic(address)
    producer = transactional(address, topic)
    producer.begin_transaction()
    producer.produce(topic, b"lost")
    assert producer.flush(20) == 0
    _crash(own)
    again = transactional(address, topic)
    again.begin_transaction()
    again.produce(topic, b"kept")
    again.commit_transaction(20)
    assert consume(address, topic) == [(None, b"kept")]
    assert len(consume(address, topic, isolation="read_uncommitted")) == 2


# ------------------------------------------------------------------------------- groups


def test_a_group_shares_partitions_and_takes_over_from_who_leaves(brokers: str, new_topic: NewTopic) -> None:
    topic = new_topic(4)
    config = {"bootstrap.servers": brokers, "group.id": topic, "auto.offset.reset": "earliest"}
    members = [Consumer(config), Consumer(config)]

    def settled(consumers: list[Consumer], each: int) -> bool:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            for consumer in consumers:
                consumer.poll(0.1)
            if [len(consumer.assignment()) for consumer in consumers] == [each] * len(consumers):
                return True
        return False

    for member in members:
        member.subscribe([topic])
    assert settled(members, 2)
    members[0].close()
    assert settled(members[1:], 4)
    members[1].close()


def test_commits_of_a_group_are_found_by_other_clients(brokers: str, admin: AdminClient, new_topic: NewTopic) -> None:
    topic = new_topic()
    produce(brokers, topic, PAIRS)
    consumer = kafka.KafkaConsumer(
        topic, bootstrap_servers=brokers, group_id=topic, auto_offset_reset="earliest", enable_auto_commit=False
    )
    until = time.monotonic() + 20
    while not consumer.poll(timeout_ms=500):
        assert time.monotonic() < until
    consumer.commit()
    consumer.close()
    (found,) = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(topic)]).values()
    (partition,) = found.result(10).topic_partitions
    assert (partition.topic, partition.offset) == (topic, len(PAIRS))


# ------------------------------------------------------------------------ administration


def eventually(holds: Callable[[], bool]) -> None:
    """It holds, if not at once: Apache's controller answers a moment before its brokers have heard of a change."""
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_topics_are_made_grown_described_and_removed(brokers: str, admin: AdminClient, new_topic: NewTopic) -> None:
    topic = new_topic(2, cleanup_policy="compact")
    (grown,) = admin.create_partitions([NewPartitions(topic, 3)]).values()
    grown.result(10)
    eventually(lambda: len(admin.list_topics(topic, 10).topics[topic].partitions) == 3)
    resource = ConfigResource(ResourceType.TOPIC, topic)
    resource.add_incremental_config(ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET))
    (altered,) = admin.incremental_alter_configs([resource]).values()
    altered.result(10)

    def told(name: str) -> str | None:
        (described,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
        value: str | None = described.result(10)[name].value
        return value

    eventually(lambda: told("retention.ms") == "1000")
    assert told("cleanup.policy") == "compact"
    (removed,) = admin.delete_topics([topic]).values()
    removed.result(10)
    eventually(lambda: topic not in admin.list_topics(timeout=10).topics)


def test_a_topic_is_not_made_by_writing_to_it(brokers: str, admin: AdminClient) -> None:
    producer = Producer({"bootstrap.servers": brokers, "message.timeout.ms": 1_500})
    said: list[KafkaError | None] = []
    producer.produce("never_made", b"v", on_delivery=lambda error, _: said.append(error))
    producer.flush(20)
    assert said[0] is not None
    assert "never_made" not in admin.list_topics(timeout=10).topics


def test_deleted_records_are_gone_and_stay_gone(own: SinkRig) -> None:
    address = _address(own)
    topic = _topic(address)
    produce(address, topic, [(None, str(n).encode()) for n in range(5)], **{"batch.num.messages": 1})
    admin = AdminClient({"bootstrap.servers": address})
    (done,) = admin.delete_records([TopicPartition(topic, 0, 3)]).values()
    assert done.result(10).low_watermark == 3
    time.sleep(1)  # Apache's writes its beginnings down now and then; after a crash before that they are the old ones
    _crash(own)
    consumer = kafka.KafkaConsumer(bootstrap_servers=address)
    assert consumer.beginning_offsets([kafka.TopicPartition(topic, 0)]) == {kafka.TopicPartition(topic, 0): 3}
    consumer.close()
    assert by_kafka_python(address, topic) == [(None, b"3"), (None, b"4")]


def test_a_topic_is_refused_settings_that_it_cannot_have(admin: AdminClient, new_topic: NewTopic) -> None:
    for name, value in (("no.such.key", "1"), ("retention.ms", "soon"), ("cleanup.policy", "shred")):
        (made,) = admin.create_topics([NewTopicOf("refused", 1, 1, config={name: value})]).values()
        with pytest.raises(KafkaException) as refused:
            made.result(10)
        assert refused.value.args[0].code() == KafkaError.INVALID_CONFIG


def test_what_is_compacted_must_have_a_key(brokers: str, new_topic: NewTopic) -> None:
    topic = new_topic(cleanup_policy="compact")
    said: list[KafkaError | None] = []
    producer = Producer({"bootstrap.servers": brokers})
    producer.produce(topic, b"v", on_delivery=lambda error, _: said.append(error))
    producer.flush(20)
    assert [e and e.code() for e in said] == [KafkaError.INVALID_RECORD]


def test_a_topic_may_have_the_broker_s_own_time(brokers: str, new_topic: NewTopic) -> None:
    topic = new_topic(message_timestamp_type="LogAppendTime")
    producer = Producer({"bootstrap.servers": brokers})
    producer.produce(topic, b"v", timestamp=1_000)
    producer.flush(20)
    consumer = kafka.KafkaConsumer(bootstrap_servers=brokers, check_crcs=True)
    at = kafka.TopicPartition(topic, 0)
    consumer.assign([at])
    consumer.seek_to_beginning(at)
    (record,) = [r for records in consumer.poll(timeout_ms=5000).values() for r in records]
    assert consumer.offsets_for_times({at: 2_000})[at].offset == 0
    consumer.close()
    assert record.timestamp_type == 1
    assert abs(record.timestamp / 1000 - time.time()) < 60


def test_what_is_older_than_a_topic_keeps_is_gone(brokers: str, new_topic: NewTopic) -> None:
    topic = new_topic(retention_ms="60000")
    producer = Producer({"bootstrap.servers": brokers})
    producer.produce(topic, b"old", timestamp=int(time.time() * 1000) - 600_000)
    assert producer.flush(20) == 0
    until = time.monotonic() + 20
    while by_kafka_python(brokers, topic):
        assert time.monotonic() < until, "it is still there"
        time.sleep(0.2)
    producer.produce(topic, b"new")
    assert producer.flush(20) == 0
    time.sleep(1.5)
    assert by_kafka_python(brokers, topic) == [(None, b"new")]


# --------------------------------------------------------------------------- compaction


def _until_compacted(brokers: str, topic: str, expected: Pairs) -> int:
    """What is kept but for the key `later`, which is written now and then: only new records bring compaction about.

    The number of records that were written so.
    """
    until = time.monotonic() + 60
    written = 0
    while (found := [p for p in consume(brokers, topic) if p[0] != b"later"]) != expected:
        assert time.monotonic() < until, f"{found}, expected {expected}"
        produce(brokers, topic, [(b"later", str(written).encode())])
        written += 1
        time.sleep(0.3)
    return written


COMPACTED = {
    "cleanup_policy": "compact",
    "min_cleanable_dirty_ratio": "0.01",
    "segment_ms": "100",
    "delete_retention_ms": "0",
}


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_compaction_keeps_the_last_record_of_each_key_at_its_offset(
    brokers: str, new_topic: NewTopic, compression: str
) -> None:
    topic = new_topic(**COMPACTED)
    first: Pairs = [(b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"c", b"1"), (b"c", None)]
    produce(brokers, topic, first, **{"compression.type": compression})
    written = _until_compacted(brokers, topic, [(b"b", b"1"), (b"a", b"2")])
    for read in (by_kafka_python, by_aiokafka):
        assert [p for p in read(brokers, topic) if p[0] != b"later"] == [(b"b", b"1"), (b"a", b"2")]
    consumer = kafka.KafkaConsumer(bootstrap_servers=brokers)
    at = kafka.TopicPartition(topic, 0)
    assert consumer.end_offsets([at])[at] == len(first) + written, "compaction moves no offset"
    consumer.close()


def test_a_tombstone_outlives_the_compaction_that_meets_it_first(brokers: str, new_topic: NewTopic) -> None:
    topic = new_topic(**COMPACTED)
    produce(brokers, topic, [(b"a", b"1"), (b"b", b"1")])
    produce(brokers, topic, [(b"a", None)])
    time.sleep(0.3)
    produce(brokers, topic, [(b"later", b"")])
    until = time.monotonic() + 20
    while (b"a", b"1") in (found := consume(brokers, topic)):
        assert time.monotonic() < until
        time.sleep(0.2)
    time.sleep(1)  # nothing is written, so nothing is compacted
    assert (b"a", None) in found
    assert consume(brokers, topic) == found
    _until_compacted(brokers, topic, [(b"b", b"1")])


def test_compaction_leaves_what_is_not_committed_and_takes_what_was_aborted(brokers: str, new_topic: NewTopic) -> None:
    topic = new_topic(**COMPACTED)
    producer = transactional(brokers, topic)
    for value, commit in ((b"1", True), (b"2", False)):
        producer.begin_transaction()
        producer.produce(topic, value, b"a")
        producer.flush(20)
        (producer.commit_transaction if commit else producer.abort_transaction)(20)
    producer.begin_transaction()
    producer.produce(topic, b"3", b"a")
    producer.flush(20)
    time.sleep(1.5)
    assert consume(brokers, topic) == [(b"a", b"1")]
    producer.commit_transaction(20)
    _until_compacted(brokers, topic, [(b"a", b"3")])
    everything = consume(brokers, topic, isolation="read_uncommitted")
    assert [p for p in everything if p[0] != b"later"] == [(b"a", b"3")]


def test_two_at_once_lose_nothing(brokers: str, new_topic: NewTopic) -> None:
    topic = new_topic()
    many: Pairs = [(None, json.dumps(n).encode()) for n in range(3_000)]
    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(produce, brokers, topic, many) for _ in range(3)]:
            done.result()
    assert sorted(v or b"" for _, v in consume(brokers, topic)) == sorted(v or b"" for _, v in many * 3)
