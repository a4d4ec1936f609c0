"""What dpone is measured beside: loops of confluent-kafka alone, for the benchmark of dpone-certify.

python -m dpone_kafka.loops write BROKERS TOPIC ROWS BYTES
python -m dpone_kafka.loops read BROKERS TOPIC ROWS
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from msgspec import Struct, field

from dpone.connector import Dataset, Json, Target
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.testkit import SeedTable

Command = tuple[Sequence[str], Mapping[str, str]]

_AT_ONCE = 5_000
_PATIENCE = 60.0


class KafkaLoops(Struct, frozen=True):
    """One partition, all acknowledged; nothing is compacted, which would keep the broker of one side busier."""

    said: tuple[str, str] = ("a loop of Producer.produce in one transaction", "a loop of Consumer.consume")
    options: Mapping[str, Json] = field(default_factory=lambda: {"partitions": 1, "cleanup": "delete"})

    def fill(self, endpoint: Endpoint, table: SeedTable, rows: int) -> Dataset:
        """The messages have the table's columns, as `_message` makes them."""
        columns = {f.name: str(f.type) for f in table.schema}
        self.fresh(endpoint, Target((table.label,)))
        create(_address(endpoint), table.label)
        send(_address(endpoint), table.label, ((_key(n), _message(n)) for n in range(1, rows + 1)))
        return Dataset((table.label,), None, {"format": "json", "columns": columns})

    def fresh(self, endpoint: Endpoint, target: Target) -> None:
        from dpone_kafka.state import INDEX, STATE

        admin = _admin(_address(endpoint))
        (topic,) = target.name
        for gone in admin.delete_topics([topic, STATE + topic, INDEX + topic]).values():
            with suppress(KafkaException):  # it was not there
                gone.result(_PATIENCE)

    def sink_options(self) -> Mapping[str, Json]:
        return self.options

    def writes(self, endpoint: Endpoint, target: Target, rows: int, size: int) -> Command:
        (topic,) = target.name
        return _command("write", _address(endpoint), topic, str(rows), str(size))

    def reads(self, endpoint: Endpoint, dataset: Dataset, rows: int) -> Command:
        (topic,) = dataset.name
        return _command("read", _address(endpoint), topic, str(rows))


def _command(*arguments: str) -> Command:
    names = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "SYSTEMROOT")
    inherited = {name: os.environ[name] for name in names if name in os.environ}
    return (sys.executable, "-m", "dpone_kafka.loops", *arguments), inherited


def _address(endpoint: Endpoint) -> str:
    return f"{endpoint.host}:{endpoint.port}"


def _admin(brokers: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": brokers, "log_level": 2})


def create(brokers: str, topic: str) -> None:
    admin = _admin(brokers)  # which must live until the answer is there
    (made,) = admin.create_topics([NewTopic(topic, 1, 1)]).values()
    made.result(_PATIENCE)


def _key(number: int) -> bytes:
    return b'{"id":%d}' % number


def _message(number: int) -> bytes:
    return (
        b'{"id":%d,"name":"n%07d","count":%d,"price":"%d.25","at":"2024-01-%02dT00:00:00Z","day":"2020-01-%02d",'
        b'"paid":%s,"rank":%d}'
    ) % (
        number,
        number % 9_999_999,
        number * 7919 % 30_011,
        number % 99_999,
        number % 28 + 1,
        number % 27 + 1,
        b"true" if number % 3 else b"false",
        number % 30_000,
    )


# ------------------------------------------------------------------------------ the loops


def send(brokers: str, topic: str, messages: Iterator[tuple[bytes, bytes]]) -> None:
    settings: dict[str, Any] = {
        "bootstrap.servers": brokers,
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 5,
        "partitioner": "murmur2_random",
        "transactional.id": f"loop.{topic}",
        "transaction.timeout.ms": 600_000,  # who makes the messages may be slow
        "log_level": 2,
    }
    producer = Producer(settings)
    producer.init_transactions(_PATIENCE)
    producer.begin_transaction()
    produce, poll = producer.produce, producer.poll
    for key, value in messages:
        while True:
            try:
                produce(topic, value, key)
            except BufferError:
                poll(0.005)
            else:
                break
    producer.commit_transaction(_PATIENCE)


def write(brokers: str, topic: str, rows: int, size: int) -> None:
    """So many messages under different keys, the value of all of them the same."""
    create(brokers, topic)
    value = b"x" * size
    send(brokers, topic, ((b'{"id":%d}' % n, value) for n in range(rows)))


def read(brokers: str, topic: str, rows: int) -> None:
    """So many committed messages were taken from the topic."""
    settings: dict[str, Any] = {
        "bootstrap.servers": brokers,
        "group.id": "loop",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "fetch.queue.backoff.ms": 20,  # as ours: by default it pauses for a second at a time, and is no measure
        "log_level": 2,
    }
    consumer = Consumer(settings)
    consumer.assign([TopicPartition(topic, 0, 0)])
    seen = 0
    while seen < rows:
        batch = consumer.consume(_AT_ONCE, _PATIENCE)
        if not batch:
            sys.exit(f"{seen} of {rows} messages came")
        for message in batch:
            message.value()
        seen += len(batch)
    consumer.close()


def main(what: str, brokers: str, topic: str, rows: str, size: str = "0") -> None:
    if what == "write":
        write(brokers, topic, int(rows), int(size))
    else:
        read(brokers, topic, int(rows))


LOOPS = KafkaLoops()

if __name__ == "__main__":
    main(*sys.argv[1:])
