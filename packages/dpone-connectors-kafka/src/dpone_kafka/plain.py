"""What a person writes with confluent-kafka alone: a loop that consumes a topic of JSON, or one that produces it.

A program of its own, which the benchmark measures dpone beside: `python plain.py read BROKERS TOPIC WIRE` takes all
that is committed and writes it a line each, `python plain.py write BROKERS TOPIC KEY` sends lines of JSON in one
transaction, keyed by one of their fields.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

from dpone.testing.plain import JSON_LINES, put

AT_ONCE = 5_000
PATIENCE = 60.0


def values(brokers: str, topic: str) -> Iterator[bytes]:
    """The committed messages of all partitions, each read to its end."""
    from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

    settings: dict[str, Any] = {
        "bootstrap.servers": brokers,
        "group.id": "plain",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        "log_level": 2,
    }
    consumer = Consumer(settings)
    places = [TopicPartition(topic, n, 0) for n in consumer.list_topics(topic, PATIENCE).topics[topic].partitions]
    consumer.assign(places)
    open_ = len(places)
    while open_:
        for message in consumer.consume(AT_ONCE, 0.5):
            error, value = message.error(), message.value()
            if error is None:
                yield value or b"null"
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the library has no other name
                open_ -= 1
            else:
                raise KafkaException(error)
    consumer.close()


def read(brokers: str, topic: str, wire: str, out: BinaryIO) -> None:
    """Messages as they are are lines of JSON; for another wire each is parsed."""
    if wire == JSON_LINES:
        out.writelines(value + b"\n" for value in values(brokers, topic))
    else:
        put(map(json.loads, values(brokers, topic)), wire, sys.stdout)


def write(brokers: str, topic: str, key: str, lines: BinaryIO) -> None:
    """Each line is a message."""
    from confluent_kafka import Producer

    settings: dict[str, Any] = {
        "bootstrap.servers": brokers,
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 5,
        "transactional.id": f"plain.{topic}",
        "transaction.timeout.ms": 600_000,  # who writes the lines may be slow
        "log_level": 2,
    }
    producer = Producer(settings)
    producer.init_transactions(PATIENCE)
    producer.begin_transaction()
    for line in lines:
        named = json.dumps({key: json.loads(line)[key]}).encode()
        while True:
            try:
                producer.produce(topic, line[:-1], named)
            except BufferError:
                producer.poll(0.005)
            else:
                break
    producer.commit_transaction(PATIENCE)


if __name__ == "__main__":
    verb, brokers, topic, word = sys.argv[1:]
    if verb == "read":
        read(brokers, topic, word, sys.stdout.buffer)
    else:
        write(brokers, topic, word, sys.stdin.buffer)
