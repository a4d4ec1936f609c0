"""What a load sends, on its way: messages of rows, tombstones, and the segments of the index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from dpone_kafka.index import Entry, SegmentWriter
from dpone_kafka.state import INDEX

if TYPE_CHECKING:
    from confluent_kafka import Producer

    from dpone_kafka.difference import Difference
    from dpone_kafka.encoding import Encoder

EPOCH = "dpone_epoch"  # the header of messages of a load that took the place of everything before it
_MOMENT = 0.005  # seconds until a full queue is looked at again


def put(producer: Producer, *message: Any) -> None:
    """The message is in the producer's queue, which may be full for a while."""
    while True:
        try:
            producer.produce(*message)
        except BufferError:
            producer.poll(_MOMENT)
        else:
            return


class Sender(Struct, frozen=True):
    """Sends within the producer's transaction."""

    producer: Producer
    topic: str
    encoder: Encoder
    indexed: bool

    def send(self, difference: Difference, epoch: int | None, name: str) -> None:
        """All of the difference is on its way; `name` is that of the load."""
        headers = {} if epoch is None else {"headers": [(EPOCH, str(epoch).encode())]}
        segments = difference.segments
        anew = segments.are_outdated(difference.known, difference.written, difference.gone)
        index = SegmentWriter(f"{name} whole" if anew else name)
        for keys, values, hashes in difference.writes():
            self._messages(keys.to_pylist(), values, headers)
            self._index(index.add(keys, hashes))
        for keys in difference.tombstones():
            self._messages(keys.to_pylist(), [None] * len(keys), headers)
            self._index(() if anew else index.add(keys))
        if anew:
            for keys, hashes in difference.untouched():
                self._index(index.add(keys, hashes))
            self._index((old, None) for old in segments.names)
        self._index(index.rest())

    def _messages(self, keys: Sequence[bytes], values: Sequence[bytes | None], headers: dict[str, Any]) -> None:
        topic, produce, poll = self.topic, self.producer.produce, self.producer.poll
        for key, value in zip(self.encoder.keys(keys), values, strict=True):
            while True:  # a call of `put` for each message would cost a fifth more
                try:
                    produce(topic, value, key, **headers)
                except BufferError:
                    poll(_MOMENT)
                else:
                    break
        poll(0)

    def _index(self, entries: Iterable[Entry]) -> None:
        if self.indexed:
            for key, value in entries:
                put(self.producer, INDEX + self.topic, value, key, 0)
