"""Messages that cannot be decoded, on their way to a topic of their own: as they came, with the reason beside them.

A letter's key is the place of its message, so that a run which is repeated writes the same letters again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dpone.errors import RemoteError
from dpone_kafka.faults import translated

if TYPE_CHECKING:
    from confluent_kafka import Message

    from dpone_kafka.client import Client


class DeadLetters:
    """Letters are acknowledged when `close` returns."""

    def __init__(self, client: Client, topic: str) -> None:
        self._client = client
        self._topic = topic
        client.make(topic, None, None, {})
        self._producer = client.producer()
        self._lost = 0

    def put(self, message: Message, why: str) -> None:
        place = f"{message.topic()}/{message.partition()}/{message.offset()}"
        headers: list[tuple[str, str | bytes | None]] = [
            *(message.headers() or ()),
            ("dpone_reason", why.encode()),
            ("dpone_source", place.encode()),
        ]
        if (key := message.key()) is not None:
            headers.append(("dpone_key", key))
        with translated("source", self._client.label):
            self._producer.produce(self._topic, message.value(), place, headers=headers, on_delivery=self._told)
            self._producer.poll(0)

    def _told(self, error: object, _: Message) -> None:
        self._lost += error is not None

    def close(self) -> None:
        left = self._producer.flush(self._client.patience)
        if left or self._lost:
            raise RemoteError(
                f"{left + self._lost} messages could not be written to {self._topic}",
                code="source.dead_letters_lost",
                hint="nothing was published; check that topic, and run again",
                retryable=True,
            )
