"""The same calls to any broker, and what it answered: codes, offsets and records, without anything that is chance."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import kafka
from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

WAIT = 30
Scene = Callable[["Broker"], Any]


@dataclass(frozen=True)
class Broker:
    """One broker and its administrator."""

    address: str
    admin: AdminClient = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "admin", AdminClient({"bootstrap.servers": self.address, "log_level": 2}))

    def topic(self, partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        name = f"scene_{uuid4().hex[:10]}"
        given = dict(config or {})
        said = answer(self.admin.create_topics([NewTopic(name, partitions, 1, config=given)]))
        assert said == "OK", said
        until = time.monotonic() + WAIT
        while len(self.admin.list_topics(timeout=WAIT).topics.get(name, _NONE).partitions) < partitions:
            assert time.monotonic() < until
            time.sleep(0.05)
        return name

    def producer(self, **config: Any) -> Producer:
        return Producer({"bootstrap.servers": self.address, "log_level": 0, "linger.ms": 0, **config})

    def transactional(self, name: str, **config: Any) -> Producer:
        producer = self.producer(**{"transactional.id": name, **config})
        producer.init_transactions(WAIT)
        return producer

    def consumer(self, **config: Any) -> Consumer:
        given = {"group.id": f"g_{uuid4().hex[:8]}", "enable.auto.commit": False, "fetch.wait.max.ms": 20}
        return Consumer({"bootstrap.servers": self.address, "log_level": 0, **given, **config})

    def put(
        self, topic: str, *values: bytes | None, key: bytes | None = None, config: Mapping[str, Any] | None = None
    ) -> list[str]:
        """One batch each; what was answered to each."""
        producer = self.producer(**{"enable.idempotence": True, "batch.num.messages": 1, **(config or {})})
        said: list[str] = []
        for value in values:
            producer.produce(topic, value, key, 0, on_delivery=lambda error, _: said.append(name_of(error)))
        assert producer.flush(WAIT) == 0
        return said

    def offsets(self, topic: str) -> dict[str, int | str]:
        """The ends of the first partition as each kind of reader sees them."""
        found: dict[str, int | str] = {}
        for level in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED):
            for spec in ("earliest", "latest"):
                asked = {TopicPartition(topic, 0): getattr(OffsetSpec, spec)()}
                (said,) = self.admin.list_offsets(asked, isolation_level=level).values()
                found[f"{level.name} {spec}"] = told(lambda said=said: said.result(WAIT).offset)  # type: ignore[misc]  # a default keeps its type from mypy
        return found

    def settled(self, topic: str) -> dict[str, int | str]:
        """The ends once no transaction is open. Apache's answers a commit a moment before readers can see it."""
        until = time.monotonic() + WAIT
        while (found := self.offsets(topic))["READ_COMMITTED latest"] != found["READ_UNCOMMITTED latest"]:
            assert time.monotonic() < until, found
            time.sleep(0.05)
        return found

    def records(self, topic: str, isolation: str, start: int = 0) -> list[Any]:
        """Offsets, keys and values to the end; a refusal by its code."""
        consumer = self.consumer(**{"isolation.level": isolation, "enable.partition.eof": True})
        consumer.assign([TopicPartition(topic, 0, start)])
        found: list[Any] = []
        while True:
            message = consumer.poll(WAIT)
            assert message is not None, "no end came"
            if (error := message.error()) is not None:
                if error.code() != KafkaError._PARTITION_EOF:
                    found.append(error.name())
                break
            found.append((message.offset(), message.key(), message.value()))
        consumer.close()
        return found


class _NoTopic:
    partitions: Mapping[int, object] = {}


_NONE: Any = _NoTopic()


def name_of(error: Any) -> str:
    return "OK" if error is None else str(error.name())


def told(call: Callable[[], Any]) -> Any:
    """What the call gives, or the name of what was answered instead."""
    try:
        return call()
    except KafkaException as refused:
        return name_of(refused.args[0])


def answer(futures: Mapping[Any, Any]) -> Any:
    (future,) = futures.values()
    return told(lambda: (future.result(WAIT), "OK")[1])


def fatal(call: Callable[[], Any]) -> Any:
    """As `told`, with what the client may do about it."""
    try:
        call()
    except KafkaException as refused:
        error = refused.args[0]
        return [error.name(), error.fatal(), error.txn_requires_abort()]
    return "OK"


# ----------------------------------------------------------------------- administration


def making_topics(broker: Broker) -> Any:
    there = broker.topic()
    asked: Sequence[tuple[str, int, int, dict[str, str]]] = (
        (there, 1, 1, {}),
        ("bad/name", 1, 1, {}),
        ("..", 1, 1, {}),
        ("n" * 250, 1, 1, {}),
        (f"s_{uuid4().hex[:8]}", 0, 1, {}),
        (f"s_{uuid4().hex[:8]}", 1, 2, {}),
        (f"s_{uuid4().hex[:8]}", -1, -1, {}),
        (f"s_{uuid4().hex[:8]}", 1, 1, {"no.such.key": "1"}),
        (f"s_{uuid4().hex[:8]}", 1, 1, {"retention.ms": "soon"}),
        (f"s_{uuid4().hex[:8]}", 1, 1, {"cleanup.policy": "shred"}),
    )
    return [answer(broker.admin.create_topics([NewTopic(n, p, r, config=c)])) for n, p, r, c in asked]


def growing_topics(broker: Broker) -> Any:
    topic = broker.topic(2)
    asked = [(topic, 3), (topic, 3), (topic, 1), ("never_made", 4)]
    said = [answer(broker.admin.create_partitions([NewPartitions(name, count)])) for name, count in asked]
    until = time.monotonic() + WAIT
    while (
        count := len(broker.admin.list_topics(topic, WAIT).topics[topic].partitions)
    ) < 3 and time.monotonic() < until:
        time.sleep(0.05)
    return said, count


def removing_topics(broker: Broker) -> Any:
    topic = broker.topic()
    return [answer(broker.admin.delete_topics([name])) for name in (topic, topic, "never_made")]


def configuring_topics(broker: Broker) -> Any:
    topic = broker.topic(config={"cleanup.policy": "compact", "max.message.bytes": "5000"})

    def set_(name: str, key: str, value: str) -> Any:
        resource = ConfigResource(ResourceType.TOPIC, name)
        resource.add_incremental_config(ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET))
        return answer(broker.admin.incremental_alter_configs([resource]))

    said = [
        set_(topic, "retention.ms", "1000"),
        set_(topic, "retention.ms", "soon"),
        set_(topic, "no.such.key", "1"),
        set_("never_made", "retention.ms", "1"),
    ]
    (future,) = broker.admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
    config = future.result(WAIT)
    asked = (
        "cleanup.policy",
        "compression.type",
        "delete.retention.ms",
        "max.message.bytes",
        "min.cleanable.dirty.ratio",
        "message.timestamp.type",
        "retention.bytes",
        "retention.ms",
        "segment.bytes",
        "segment.ms",
    )
    found = {key: (config[key].value, config[key].is_default) if key in config else None for key in asked}
    unknown = answer(broker.admin.describe_configs([ConfigResource(ResourceType.TOPIC, "never_made")]))
    return said, found, unknown


def asking_for_topics(broker: Broker) -> Any:
    """By the old client, too, which asks in another way."""
    topic = broker.topic(3)
    one = broker.admin.list_topics("never_made", WAIT).topics["never_made"]
    old = kafka.KafkaConsumer(bootstrap_servers=broker.address)
    found = sorted(old.partitions_for_topic(topic) or ()), old.partitions_for_topic("never_made")
    old.close()
    return name_of(one.error), found, "never_made" in broker.admin.list_topics(timeout=WAIT).topics


# ----------------------------------------------------------------------------- records


def writing_to_no_topic(broker: Broker) -> Any:
    return broker.put("never_made", b"v", config={"message.timeout.ms": 2_000})


def writing_too_much(broker: Broker) -> Any:
    topic = broker.topic(config={"max.message.bytes": "2000"})
    return [
        broker.put(topic, b"x" * 1_000),
        broker.put(topic, b"x" * 3_000),
        broker.put(topic, b"x" * 3_000, config={"compression.type": "gzip"}),
        broker.offsets(topic),
    ]


def writing_without_a_key_to_what_is_compacted(broker: Broker) -> Any:
    topic = broker.topic(config={"cleanup.policy": "compact"})
    return broker.put(topic, b"v"), broker.put(topic, b"v", key=b"k"), broker.offsets(topic)


def writing_with_fewer_acknowledgements(broker: Broker) -> Any:
    topic = broker.topic()
    said = [broker.put(topic, b"v", config={"enable.idempotence": False, "acks": acks}) for acks in (0, 1, -1)]
    time.sleep(0.5)
    return said, len(broker.records(topic, "read_committed"))


def times(broker: Broker) -> Any:
    topic = broker.topic(config={"retention.ms": "-1"})
    producer = broker.producer(**{"batch.num.messages": 1})
    for at in (5_000, 1_000, 3_000):
        producer.produce(topic, b"v", timestamp=at)
    producer.flush(WAIT)
    found = []
    for asked in (0, 1_000, 2_000, 3_000, 5_000, 5_001):
        given = {TopicPartition(topic, 0): OffsetSpec.for_timestamp(asked)}
        (said,) = broker.admin.list_offsets(given).values()
        found.append(said.result(WAIT).offset)
    return found, broker.offsets(topic)


def the_broker_s_own_time(broker: Broker) -> Any:
    topic = broker.topic(config={"message.timestamp.type": "LogAppendTime"})
    producer = broker.producer()
    producer.produce(topic, b"v", timestamp=1_000)
    producer.flush(WAIT)
    consumer = broker.consumer()
    consumer.assign([TopicPartition(topic, 0, 0)])
    message = consumer.poll(WAIT)
    assert message is not None
    consumer.close()
    kind, at = message.timestamp()
    return kind, abs(at / 1000 - time.time()) < WAIT * 4


def retention(broker: Broker) -> Any:
    """What is older than a topic keeps is gone, and what is not stays."""
    topic = broker.topic(config={"retention.ms": "60000"})
    producer = broker.producer()
    for ago in (600_000, 600_000, 0):
        producer.produce(topic, str(ago).encode(), b"k", timestamp=int(time.time() * 1000) - ago)
        producer.flush(WAIT)
        if ago:
            until = time.monotonic() + WAIT
            while broker.offsets(topic)["READ_COMMITTED earliest"] != broker.offsets(topic)["READ_COMMITTED latest"]:
                assert time.monotonic() < until, "it is still there"
                time.sleep(0.2)
    time.sleep(1.5)
    return broker.offsets(topic), broker.records(topic, "read_committed", 2)


def reading_where_nothing_is(broker: Broker) -> Any:
    topic = broker.topic()
    broker.put(topic, b"1", b"2")
    reset = {"auto.offset.reset": "error"}
    consumer = broker.consumer(**reset)
    found = []
    for start in (5, 1_000):
        consumer.assign([TopicPartition(topic, 0, start)])
        message = consumer.poll(WAIT)
        assert message is not None
        found.append(name_of(message.error()))
    consumer.close()
    (unknown,) = broker.admin.list_offsets({TopicPartition(topic, 7): OffsetSpec.latest()}).values()  # type: ignore[no-untyped-call]  # the library's own have no types
    return found, told(lambda: unknown.result(WAIT).offset)


def deleting_records(broker: Broker) -> Any:
    topic = broker.topic()
    broker.put(topic, *(str(n).encode() for n in range(6)))

    def delete(offset: int, partition: int = 0, name: str = topic) -> Any:
        (future,) = broker.admin.delete_records([TopicPartition(name, partition, offset)]).values()
        return told(lambda: future.result(WAIT).low_watermark)

    said = [delete(2), delete(1), delete(9), delete(1, 5), delete(-1), delete(0, 0, "never_made")]
    consumer = broker.consumer()
    marks = consumer.get_watermark_offsets(TopicPartition(topic, 0), WAIT)
    consumer.close()
    return said, marks, broker.offsets(topic)


# ------------------------------------------------------------------------ transactions


def what_transactions_leave(broker: Broker) -> Any:
    """Markers take offsets; what was aborted stays in the log and is not read as committed."""
    topic = broker.topic()
    producer = broker.transactional(topic)
    seen: list[Any] = []
    for value, commits in ((b"1", True), (b"2", False), (b"3", True)):
        producer.begin_transaction()
        producer.produce(topic, value, b"k")
        producer.flush(WAIT)
        seen.append(broker.offsets(topic))
        (producer.commit_transaction if commits else producer.abort_transaction)(WAIT)
        seen.append(broker.settled(topic))
    producer.begin_transaction()
    producer.commit_transaction(WAIT)  # of nothing
    seen += [broker.settled(topic), *(broker.records(topic, f"read_{level}") for level in ("committed", "uncommitted"))]
    return seen


def an_open_transaction(broker: Broker) -> Any:
    """Keeps readers of what is committed from everything behind it, in its partition alone."""
    topic = broker.topic(2)
    producer = broker.transactional(topic)
    producer.begin_transaction()
    producer.produce(topic, b"open", b"k", 0)
    producer.flush(WAIT)
    broker.put(topic, b"behind")
    other = broker.producer()
    other.produce(topic, b"beside", b"k", 1)
    other.flush(WAIT)
    beside = {TopicPartition(topic, 1): OffsetSpec.latest()}  # type: ignore[no-untyped-call]  # the library's own have no types
    (said,) = broker.admin.list_offsets(beside, isolation_level=IsolationLevel.READ_COMMITTED).values()
    before = broker.offsets(topic), broker.records(topic, "read_committed"), said.result(WAIT).offset
    producer.abort_transaction(WAIT)
    return before, broker.settled(topic), broker.records(topic, "read_committed")


def a_fenced_producer(broker: Broker) -> Any:
    """Each of its further steps, each with a producer of its own."""
    found = []
    for step in ("produce", "commit", "abort", "offsets"):
        topic = broker.topic()
        older = broker.transactional(topic)
        older.begin_transaction()
        older.produce(topic, b"lost", b"k")
        older.flush(WAIT)
        newer = broker.transactional(topic)
        said: list[Any] = []
        if step == "produce":
            with suppress(KafkaException):  # the fence may be met before or while it is written
                older.produce(topic, b"late", b"k")
                older.flush(WAIT)
            said.append(fatal(lambda: older.commit_transaction(WAIT)))  # noqa: B023 - called at once
        elif step == "offsets":
            consumer = broker.consumer()
            at = [TopicPartition(topic, 0, 1)]
            said.append(
                fatal(lambda: older.send_offsets_to_transaction(at, consumer.consumer_group_metadata(), WAIT))  # noqa: B023 - called at once
            )
            consumer.close()
        else:
            said.append(fatal(lambda: getattr(older, f"{step}_transaction")(WAIT)))  # noqa: B023 - likewise
        newer.begin_transaction()
        newer.produce(topic, b"kept", b"k")
        newer.commit_transaction(WAIT)
        broker.settled(topic)
        found.append((step, said, [v for _, _, v in broker.records(topic, "read_committed")]))
    return found


def a_transaction_s_time(broker: Broker) -> Any:
    """Too long a time is refused; when it is over the transaction is undone and its producer stopped."""
    refused = fatal(lambda: broker.transactional("t_long", **{"transaction.timeout.ms": 900_001}))
    topic = broker.topic()
    slow = broker.transactional(topic, **{"transaction.timeout.ms": 1_000})
    slow.begin_transaction()
    slow.produce(topic, b"lost", b"k")
    slow.flush(WAIT)
    until = time.monotonic() + WAIT
    while broker.offsets(topic)["READ_COMMITTED latest"] == 0:
        assert time.monotonic() < until, "the transaction is still open"
        time.sleep(0.2)
    said = fatal(lambda: slow.commit_transaction(WAIT))
    return refused, said, broker.offsets(topic), broker.records(topic, "read_committed")


def offsets_in_a_transaction(broker: Broker) -> Any:
    topic = broker.topic()
    broker.put(topic, b"1", b"2", b"3")
    consumer = broker.consumer(**{"auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    taken = consumer.consume(3, WAIT)
    producer = broker.transactional(topic)
    at = [TopicPartition(topic, 0)]
    found: list[Any] = [len(taken), consumer.committed(at, WAIT)[0].offset]
    for offset, commits in ((2, False), (3, True)):
        producer.begin_transaction()
        producer.send_offsets_to_transaction(
            [TopicPartition(topic, 0, offset)], consumer.consumer_group_metadata(), WAIT
        )
        (producer.commit_transaction if commits else producer.abort_transaction)(WAIT)
        until = time.monotonic() + WAIT
        while commits and consumer.committed(at, WAIT)[0].offset != offset and time.monotonic() < until:
            time.sleep(0.05)
        found.append(consumer.committed(at, WAIT)[0].offset)
    consumer.close()
    return found


# ------------------------------------------------------------------------------- groups


def groups(broker: Broker) -> Any:
    topic = broker.topic(2)
    broker.put(topic, b"1", b"2")
    group = f"g_{uuid4().hex[:8]}"
    unknown = ConsumerGroupTopicPartitions("g_never", [TopicPartition(topic, 0)])
    (none,) = broker.admin.list_consumer_group_offsets([unknown]).values()
    at = TopicPartition(topic, 0, 1)
    altered = answer(broker.admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, [at])]))
    asked = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0), TopicPartition(topic, 1)])
    (kept,) = broker.admin.list_consumer_group_offsets([asked]).values()
    member = broker.consumer(**{"group.id": group, "auto.offset.reset": "earliest"})
    member.subscribe([topic])
    message = member.poll(WAIT)
    assert message is not None
    said = [
        [p.offset for p in told(lambda: none.result(WAIT).topic_partitions)],
        altered,
        [p.offset for p in kept.result(WAIT).topic_partitions],
        message.offset(),
        answer(broker.admin.delete_consumer_groups([group])),
        answer(broker.admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, [at])])),
    ]
    member.close()
    said += [answer(broker.admin.delete_consumer_groups([name])) for name in (group, "g_never")]
    return said


def members_of_groups(broker: Broker) -> Any:
    group, topic = f"g_{uuid4().hex[:8]}", broker.topic()
    (found,) = broker.admin.describe_consumer_groups(["g_never"]).values()
    absent = told(lambda: found.result(WAIT).state.name)
    member = broker.consumer(**{"group.id": group})
    member.subscribe([topic])
    until = time.monotonic() + WAIT
    while not member.assignment():
        assert time.monotonic() < until
        member.poll(0.1)
    (described,) = broker.admin.describe_consumer_groups([group]).values()
    said = described.result(WAIT)
    listed = group in [g.group_id for g in broker.admin.list_consumer_groups().result(WAIT).valid]
    member.close()
    (left,) = broker.admin.describe_consumer_groups([group]).values()
    return absent, said.state.name, len(said.members), said.partition_assignor, listed, left.result(WAIT).state.name


# --------------------------------------------------------------------------- compaction


def compaction(broker: Broker) -> Any:
    """Which offsets are left, once the last tombstone is forgotten."""
    config = {"min.cleanable.dirty.ratio": "0.01", "segment.ms": "100", "delete.retention.ms": "0"}
    topic = broker.topic(config={"cleanup.policy": "compact", **config})
    for key, value in ((b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"c", b"1"), (b"c", None)):
        broker.put(topic, value, key=key)
    producer = broker.transactional(topic)
    for value, commits in ((b"3", False), (b"4", True)):
        producer.begin_transaction()
        producer.produce(topic, value, b"d")
        producer.flush(WAIT)
        (producer.commit_transaction if commits else producer.abort_transaction)(WAIT)
    broker.settled(topic)
    until = time.monotonic() + 60
    while True:
        kept = [r for r in broker.records(topic, "read_committed") if r[1] != b"later"]
        if [r[1] for r in kept] == [b"b", b"a", b"d"] or time.monotonic() > until:
            return kept, [r for r in broker.records(topic, "read_uncommitted") if r[1] != b"later"]
        broker.put(topic, b"", key=b"later")
        time.sleep(0.3)


SCENES: dict[str, Scene] = {
    scene.__name__: scene
    for scene in (
        making_topics,
        growing_topics,
        removing_topics,
        configuring_topics,
        asking_for_topics,
        writing_to_no_topic,
        writing_too_much,
        writing_without_a_key_to_what_is_compacted,
        writing_with_fewer_acknowledgements,
        times,
        the_broker_s_own_time,
        retention,
        reading_where_nothing_is,
        deleting_records,
        what_transactions_leave,
        an_open_transaction,
        a_fenced_producer,
        a_transaction_s_time,
        offsets_in_a_transaction,
        groups,
        members_of_groups,
        compaction,
    )
}
