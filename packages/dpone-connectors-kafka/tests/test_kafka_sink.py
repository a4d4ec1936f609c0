"""What a load sends: only what changed, its epoch, and to a topic that is made as the manifest says."""

from __future__ import annotations

from time import monotonic
from typing import Any

import kafka
import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic, ResourceType

from dpone.connector import Target
from dpone.errors import DponeError
from dpone.ops import Append, Recreate, Upsert
from dpone.schema import INT64, STRING, Field, Schema
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.suite.jobs import Job, deliver, job, programmed, stored_of
from dpone.testing.suite.places import at
from dpone.testing.suite.refusals import refused
from dpone.testing.suite.rig import SinkRig
from dpone.testing.suite.shapes import FREE, MIXED, row, rows
from dpone_kafka import KafkaConfig, piles
from dpone_kafka.publication import BEGIN, COMMITTED, STATED, WRITTEN
from dpone_kafka.testkit import testkit

Sent = list[tuple[bytes, bool, dict[str, bytes]]]


@pytest.fixture
def sink(endpoint: Endpoint) -> SinkRig:
    return SinkRig("kafka", testkit, endpoint)


def sent(brokers: str, topic: str) -> Sent:
    """Every committed message: its key, whether it has a value, its headers."""
    consumer = kafka.KafkaConsumer(bootstrap_servers=brokers, isolation_level="read_committed", fetch_max_wait_ms=10)
    places = [kafka.TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    ends = consumer.end_offsets(places)
    found: Sent = []
    while any(consumer.position(p) < ends[p] for p in places):
        for records in consumer.poll(timeout_ms=200).values():
            found += [(r.key, r.value is not None, {h[0]: h[1] for h in r.headers}) for r in records]
    consumer.close()
    return found


def _job(sink: SinkRig, strategy: str, **options: Any) -> Job:
    target = Target((sink.fresh("sent"),), options)
    return job(sink, strategy, MIXED, target=target, key=("id",), guard=FREE)


@pytest.mark.parametrize("strategy", ["snapshot_diff", "replace", "full_refresh", "incremental_merge"])
def test_a_load_that_changes_nothing_sends_nothing(sink: SinkRig, brokers: str, strategy: str) -> None:
    the_job = _job(sink, strategy)
    (topic,) = the_job.target.name
    deliver(sink, the_job, rows(1, 2, 3))
    assert len(sent(brokers, topic)) == 3
    deliver(sink, the_job, rows(1, 2, 3))
    assert len(sent(brokers, topic)) == 3


def test_a_load_sends_what_changed_and_tombstones_for_what_is_gone(sink: SinkRig, brokers: str) -> None:
    the_job = _job(sink, "snapshot_diff")
    (topic,) = the_job.target.name
    deliver(sink, the_job, rows(1, 2, 3))
    deliver(sink, the_job, [row(1), row(2, region="x"), row(4)])
    new = sent(brokers, topic)[3:]
    assert sorted((k, has) for k, has, _ in new) == [(b'{"id":2}', True), (b'{"id":3}', False), (b'{"id":4}', True)]


def test_a_full_refresh_names_its_epoch(sink: SinkRig, brokers: str) -> None:
    the_job = _job(sink, "full_refresh")
    (topic,) = the_job.target.name
    deliver(sink, the_job, rows(1, 2))
    deliver(sink, the_job, rows(1, 3))
    epochs = [headers["dpone_epoch"] for *_, headers in sent(brokers, topic)]
    assert epochs == [b"1", b"1", b"2", b"2"]


def test_a_topic_is_made_as_the_manifest_says(sink: SinkRig, admin: AdminClient) -> None:
    the_job = _job(sink, "full_refresh", partitions=3, replication=1, cleanup="compact_delete")
    (topic,) = the_job.target.name
    deliver(sink, the_job, rows(1, 2))
    assert len(admin.list_topics(topic, 10).topics[topic].partitions) == 3
    (described,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
    assert described.result(10)["cleanup.policy"].value == "compact,delete"
    deliver(sink, the_job, rows(2, 3))
    sink.assert_rows(the_job.target, rows(2, 3), MIXED.fields)


def test_keys_are_text_where_they_are_asked_for(sink: SinkRig, brokers: str) -> None:
    the_job = _job(sink, "incremental_merge", key_format="text")
    (topic,) = the_job.target.name
    deliver(sink, the_job, rows(1, 20))
    assert sorted(k for k, *_ in sent(brokers, topic)) == [b"1", b"20"]


@pytest.mark.parametrize("other", [{"key_format": "text"}, {"format": "avro"}])
@pytest.mark.parametrize("strategy", ["incremental_merge", "full_refresh"])
def test_messages_of_two_formats_do_not_come_together(
    sink: SinkRig, brokers: str, strategy: str, other: dict[str, str]
) -> None:
    """Else a row would be in the topic under its old key and under its new one."""
    the_job = _job(sink, strategy)
    (topic,) = the_job.target.name
    deliver(sink, the_job, rows(1, 2))
    changed = job(sink, strategy, MIXED, target=Target((topic,), other), key=("id",), guard=FREE)
    with refused("sink.other_format"):
        deliver(sink, changed, [row(1, region="x")])
    assert len(sent(brokers, topic)) == 2
    testkit.remove(sink.endpoint, the_job.target)
    deliver(sink, changed, rows(1))
    assert len(sent(brokers, topic)) == 1


def test_keys_do_not_move_to_other_partitions(sink: SinkRig, admin: AdminClient, brokers: str) -> None:
    """Their last messages would stay where they are, and count for whoever reads a partition by itself."""
    the_job = _job(sink, "incremental_merge", partitions=2)
    deliver(sink, the_job, rows(1, 2, 3))
    (grown,) = admin.create_partitions([NewPartitions(the_job.target.name[0], 3)]).values()
    grown.result(10)
    with refused("sink.other_partitions"):
        deliver(sink, the_job, [row(1, region="x")])
    assert len(sent(brokers, the_job.target.name[0])) == 3


def test_a_log_without_keys_may_grow(sink: SinkRig, admin: AdminClient) -> None:
    target = Target((sink.fresh("log"),), {"partitions": 1})
    for number, name in enumerate(("one", "two", "three"), 1):
        deliver(sink, programmed(sink, (Append(name),), MIXED, target=target), rows(number))
        (grown,) = admin.create_partitions([NewPartitions(target.name[0], number + 1)]).values()
        grown.result(10)
    sink.assert_rows(target, rows(1, 2, 3), MIXED.fields)


def test_without_an_index_rows_are_appended_and_nothing_else(sink: SinkRig, admin: AdminClient) -> None:
    target = Target((sink.fresh("plain"),), {"index": False})
    for name in ("one", "two"):
        deliver(sink, programmed(sink, (Append(name),), MIXED, target=target), rows(1, 2))
    sink.assert_rows(target, [*rows(1, 2), *rows(1, 2)], MIXED.fields)
    assert f"_dpone_index.{target.name[0]}" not in admin.list_topics(timeout=10).topics
    for program in ((Recreate(FREE),), (Upsert(("id",)),)):
        with refused("sink.no_index"):
            deliver(sink, programmed(sink, program, MIXED, target=target, key=("id",)), rows(1))


def test_messages_of_somebody_else_are_not_taken_for_rows(sink: SinkRig, brokers: str, new_topic: Any) -> None:
    from confluent_kafka import Producer

    topic = new_topic()
    producer = Producer({"bootstrap.servers": brokers})
    producer.produce(topic, b"v", b"k")
    assert producer.flush(20) == 0
    with refused("sink.foreign_rows"):
        deliver(sink, programmed(sink, (Recreate(FREE),), MIXED, target=Target((topic,))), rows(1))
    assert len(sent(brokers, topic)) == 1


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize("strategy", ["snapshot_diff", "full_refresh"])
def test_of_a_topic_that_somebody_removed_nothing_is_known(
    sink: SinkRig, brokers: str, admin: AdminClient, strategy: str, *, anew: bool
) -> None:
    the_job = _job(sink, strategy)
    (topic,) = the_job.target.name
    deliver(sink, the_job, rows(1, 2, 3))
    testkit.remove(sink.endpoint, the_job.target)
    if anew:
        (made,) = admin.create_topics([NewTopic(topic, 1, 1)]).values()
        made.result(10)
    deliver(sink, the_job, rows(1, 2))
    assert sorted(k for k, *_ in sent(brokers, topic)) == [b'{"id":1}', b'{"id":2}']
    deliver(sink, the_job, rows(1, 2, 3))
    assert [k for k, *_ in sent(brokers, topic)][2:] == [b'{"id":3}']
    sink.assert_rows(the_job.target, rows(1, 2, 3), MIXED.fields)


def test_a_log_without_keys_goes_on_in_a_new_topic(sink: SinkRig) -> None:
    target = Target((sink.fresh("log"),))
    deliver(sink, programmed(sink, (Append("one"),), MIXED, target=target), rows(1, 2))
    testkit.remove(sink.endpoint, target)
    deliver(sink, programmed(sink, (Append("two"),), MIXED, target=target), rows(3))
    sink.assert_rows(target, rows(3), MIXED.fields)
    deliver(sink, programmed(sink, (Recreate(FREE),), MIXED, target=target), rows(4))
    sink.assert_rows(target, rows(4), MIXED.fields)


@pytest.mark.parametrize("place", [BEGIN, WRITTEN, STATED, COMMITTED])
def test_a_broker_that_is_killed_in_mid_transaction_loses_and_doubles_nothing(own: SinkRig, place: str) -> None:
    target = Target((own.fresh("killed"),))
    first = programmed(own, (Append("one"),), MIXED, target=target)
    deliver(own, first, rows(1, 2))
    second = programmed(own, (Append("two"),), MIXED, target=target)
    with at(place, lambda: testkit.crash(own.endpoint)):
        try:
            deliver(own, second, rows(3, 4), load_id="second")
        except DponeError:
            own.assert_rows(target, rows(1, 2), MIXED.fields, "target of a load that failed")
            deliver(own, second, rows(3, 4), load_id="second")
    own.assert_rows(target, rows(1, 2, 3, 4), MIXED.fields)
    stored = stored_of(own, second)
    assert stored is not None
    assert (stored.generation, stored.load_id) == (2, "second")


class _Roomy(SinkRig, frozen=True):
    """A connection that may write large messages."""

    @property
    def config(self) -> KafkaConfig:
        return KafkaConfig.model_validate({**testkit.connection(self.endpoint), "message_bytes": 12_000_000})


def test_a_message_of_ten_megabytes_is_written_where_it_may_be(sink: SinkRig) -> None:
    schema = Schema((Field("id", INT64, nullable=False), Field("text", STRING)), ("id",))
    large = [{"id": 1, "text": "x" * 10_000_000}, {"id": 2, "text": "small"}]
    refused, taken = (Target((sink.fresh("large"),)) for _ in range(2))
    with pytest.raises(DponeError) as too_large:
        deliver(sink, programmed(sink, (Recreate(FREE),), schema, target=refused, key=("id",)), large)
    assert too_large.value.code == "sink.rejected_rows"
    sink.assert_rows(refused, [], schema.fields)
    roomy = _Roomy(sink.spec, sink.kit, sink.endpoint)
    deliver(roomy, programmed(roomy, (Recreate(FREE),), schema, target=taken, key=("id",)), large)
    roomy.assert_rows(taken, large, schema.fields)


@pytest.mark.parametrize("held", [2, 131_072])
@pytest.mark.parametrize("strategy", ["snapshot_diff", "replace", "full_refresh", "incremental_merge"])
def test_many_buckets_load_what_one_does(
    sink: SinkRig, brokers: str, monkeypatch: pytest.MonkeyPatch, strategy: str, held: int
) -> None:
    monkeypatch.setattr(piles, "HELD", held)
    monkeypatch.setattr(piles, "_KEPT", 64)
    the_job = _job(sink, strategy)
    (topic,) = the_job.target.name
    expected: dict[Any, Any] = {}
    counts = []
    for ids, changed in ((range(1, 40), ()), (range(5, 30), (7, 9)), (range(5, 30), ()), (range(1, 60), (5, 55))):
        load = [row(n, region="x") if n in changed else row(n) for n in ids]
        deliver(sink, the_job, load)
        if strategy != "incremental_merge":
            expected.clear()
        expected |= dict(zip(ids, load, strict=True))
        sink.assert_rows(the_job.target, list(expected.values()), MIXED.fields)
        counts.append(len(sent(brokers, topic)))
    merged = strategy == "incremental_merge"
    gone = 0 if merged else 14
    first, second = 39, 39 + 2 + gone
    # the two rows that were changed are themselves again, but for those that came anew
    assert counts == [first, second, second + 2, second + 2 + (1 + 20 if merged else 1 + 34)]


def test_a_load_can_be_read_as_soon_as_it_is_committed(sink: SinkRig, brokers: str) -> None:
    target = Target((sink.fresh("at_once"),))
    for number in range(20):
        deliver(sink, programmed(sink, (Append(f"a{number}"),), MIXED, target=target), rows(number))
        assert len(sent(brokers, target.name[0])) == number + 1


def test_somebody_else_s_open_transaction_holds_no_load_up_for_long(sink: SinkRig, brokers: str) -> None:
    from confluent_kafka import Producer

    target = Target((sink.fresh("held"),))
    deliver(sink, programmed(sink, (Append("one"),), MIXED, target=target), rows(1))
    other = Producer({"bootstrap.servers": brokers, "transactional.id": "somebody else"})
    other.init_transactions(20)
    other.begin_transaction()
    other.produce(target.name[0], b"{}", b"k")
    other.flush(20)
    begun = monotonic()
    deliver(sink, programmed(sink, (Append("two"),), MIXED, target=target), rows(2))
    assert monotonic() - begun < 60  # as the transaction is not ours, it is not waited for to its end
    other.abort_transaction(20)
    sink.assert_rows(target, rows(1, 2), MIXED.fields)
