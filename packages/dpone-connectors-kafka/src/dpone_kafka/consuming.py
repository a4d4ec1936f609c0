"""Messages of one partition within a range that was fixed before, in batches, and nothing behind it."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, Message, TopicPartition

from dpone.errors import PlanError, StateError
from dpone_kafka.faults import OUT_OF_RANGE, from_kafka, translated

if TYPE_CHECKING:
    from dpone_kafka.client import Client, Range

AT_ONCE = 5_000  # messages of one call; more of them cost memory and gain nothing


def messages(client: Client, topic: str, wanted: Range) -> Iterator[list[Message]]:
    """The messages of the range, each once and in order.

    A partition's last offsets may hold no message at all (markers of transactions, compacted records), so that an end
    of the partition ends the range as well as its last message does.
    """
    if not wanted.size:
        return
    consumer = client.consumer()
    try:
        with translated(client.side, client.label):
            consumer.assign([TopicPartition(topic, wanted.partition, wanted.low)])
        heard = monotonic()
        while True:
            with translated(client.side, client.label):
                first = consumer.poll(1.0)
                # what is there besides, without waiting for more
                batch = [] if first is None else [first, *consumer.consume(AT_ONCE - 1, 0)]
            if not batch:
                if monotonic() - heard > client.patience:
                    raise client.silent()
                continue
            heard = monotonic()
            found, ended = _within(client, topic, batch, wanted)
            if found:
                yield found
            if ended:
                return
    finally:
        consumer.close()


def _within(client: Client, topic: str, batch: list[Message], wanted: Range) -> tuple[list[Message], bool]:
    """Those of the batch that lie in the range, and whether none follows."""
    last = batch[-1]
    if last.error() is None and (last.offset() or 0) < wanted.high - 1 and not any(map(Message.error, batch)):
        return batch, False
    found: list[Message] = []
    for message in batch:
        error = message.error()
        offset = message.offset() or 0
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own codes are spelled so
                if offset >= wanted.high:
                    return found, True
                continue  # a transaction that was open when the range was fixed has ended since
            if error.code() in OUT_OF_RANGE:
                raise _lost(topic, wanted)
            if error.retriable():
                continue
            raise from_kafka(error, client.side, client.label)
        if offset >= wanted.high:
            return found, True
        found.append(message)
        if offset == wanted.high - 1:
            return found, True
    return found, False


def _lost(topic: str, wanted: Range) -> StateError:
    return StateError(
        f"{topic} no longer holds the messages of partition {wanted.partition} from {wanted.low} on",
        code="source.offsets_lost",
        hint="what is gone cannot be read: `on_lost_offsets: earliest` goes on with what there is, `dpone resync` "
        "lands the topic anew",
    )


def refuse_none(found: int | None, topic: str) -> int:
    """The number of partitions, or an error when there is no such topic."""
    if found is None:
        raise PlanError(
            f"there is no topic {topic}",
            code="source.table_missing",
            hint="check the name, and that the connection's user may see the topic",
        )
    return found
