"""How messages of a range come: without pauses, however much of them waits."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from time import monotonic, sleep

from confluent_kafka import Producer

from dpone.testing.services.endpoint import Endpoint
from dpone_kafka import KafkaConfig
from dpone_kafka.client import Client
from dpone_kafka.consuming import messages
from dpone_kafka.testkit import testkit

_MESSAGES, _BYTES = 40, 900_000  # several times what may wait
_FILLED, _PAUSE = 0.2, 0.6  # seconds until as much waits as may, and less than librdkafka by itself would then pause


def test_more_is_fetched_as_soon_as_there_is_room(
    brokers: str, endpoint: Endpoint, new_topic: Callable[..., str]
) -> None:
    topic = new_topic()
    producer = Producer({"bootstrap.servers": brokers})
    for _ in range(_MESSAGES):
        producer.produce(topic, b"x" * _BYTES)
    assert producer.flush(20) == 0
    gaps: list[float] = []
    with closing(Client(KafkaConfig.model_validate(dict(testkit.connection(endpoint))), "source")) as client:
        (whole,) = client.ranges(topic, [0]).values()
        seen, since = 0, monotonic()
        for found in messages(client, topic, whole):
            gaps.append(monotonic() - since)
            seen += len(found)
            sleep(_FILLED)
            since = monotonic()
    assert seen == _MESSAGES
    assert max(gaps[1:]) < _PAUSE  # the first one is that of the connection
