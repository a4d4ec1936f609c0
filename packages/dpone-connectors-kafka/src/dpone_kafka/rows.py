"""Messages as batches of rows: keys, values and what else is known of a message, and what a tombstone means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import Message
from msgspec import Struct

from dpone.arrow import arrow_type
from dpone.connector import CHANGE_FIELDS
from dpone.errors import DataError
from dpone.stage import ChangeKind
from dpone_kafka.json_rows import UnfitError
from dpone_kafka.shape import METADATA

if TYPE_CHECKING:
    from dpone_kafka.codecs import Codec
    from dpone_kafka.dead_letters import DeadLetters
    from dpone_kafka.shape import Shape

_MICROSECONDS = 1_000
_MANY = 4_000  # partitions above which a clock of microseconds would not fit
Tombstones = Literal["delete", "ignore", "refuse"]


class Clock(Struct):
    """Numbers of changes: they grow within a partition, follow its times, and differ between partitions.

    A key lies in one partition until the topic grows; then the times say which of its messages is the newer one.
    """

    partition: int
    partitions: int
    at: int = 0

    def number(self, milliseconds: int) -> int:
        scale = _MICROSECONDS if self.partitions <= _MANY else 1
        self.at = max(self.at + 1, milliseconds * scale)
        return self.at * self.partitions + self.partition


class Decoder(Struct, frozen=True):
    """One reading's way from messages to rows."""

    shape: Shape
    columns: Sequence[tuple[str, str]]  # name from here on, name in the topic
    tombstones: Tombstones
    changes: bool
    bad: DeadLetters | None

    def batch(self, found: Sequence[Message], clock: Clock) -> pa.RecordBatch | None:
        """The rows of these messages; None when there are none."""
        kept = [m for m in found if m.value() is not None] if self.tombstones == "ignore" else list(found)
        if self.tombstones == "refuse" and any(m.value() is None for m in kept):
            raise _tombstone(self.shape.topic)
        kept, columns = self._decoded(kept)
        if not kept:
            return None
        arrays = [columns[source] for _, source in self.columns]
        names = [name for name, _ in self.columns]
        if self.changes:
            arrays += self._marks(kept, clock)
            names += CHANGE_FIELDS
        return pa.RecordBatch.from_arrays(arrays, names=names)

    def _decoded(self, found: list[Message]) -> tuple[list[Message], dict[str, pa.Array[Any]]]:
        """The columns of the messages that can be decoded; of a bad one the policy says what becomes of it."""
        try:
            return found, self._columns(found)
        except UnfitError:
            pass
        good: list[Message] = []
        for message in found:
            try:
                self._columns([message])
            except UnfitError as error:
                if self.bad is None:
                    raise _bad(message, str(error)) from None
                self.bad.put(message, str(error))
            else:
                good.append(message)
        return good, self._columns(good)

    def _columns(self, found: list[Message]) -> dict[str, pa.Array[Any]]:
        values = list(map(Message.value, found))
        columns = _spread(self.shape.value, values)
        if self.shape.key is not None:
            self._fill_key(found, values, columns)
        for field, column in zip(METADATA, _metadata(found, {s for _, s in self.columns}), strict=True):
            if column is not None:
                columns[field.name] = column
        return columns

    def _fill_key(self, found: list[Message], values: list[bytes | None], columns: dict[str, pa.Array[Any]]) -> None:
        """What the value does not say of the key's columns, the key of the message does."""
        codec = self.shape.key
        assert codec is not None  # asked for only then
        lacking = [f for f in codec.fields if f.name not in columns or columns[f.name].null_count]
        if not lacking:
            return
        keys = [m.key() for m in found]
        if self.changes and any(k is None and v is None for k, v in zip(keys, values, strict=True)):
            raise UnfitError("it has neither a key nor a value")
        said = _spread(codec, keys)
        for field in lacking:
            column = said[field.name]
            known = columns.get(field.name)
            columns[field.name] = column if known is None else pc.coalesce(known, column)

    def _marks(self, found: list[Message], clock: Clock) -> list[pa.Array[Any]]:
        numbers = [clock.number(m.timestamp()[1]) for m in found]
        gone, there = ChangeKind.DELETE.value, ChangeKind.UPSERT.value
        kinds = [gone if m.value() is None else there for m in found]
        return [pa.array(numbers, pa.int64()), pa.array(kinds, pa.string()), pa.nulls(len(found), pa.string())]


def _spread(codec: Codec, data: Sequence[bytes | None]) -> dict[str, pa.Array[Any]]:
    """The codec's columns over all messages, NULL where one has no such part."""
    present = [d for d in data if d is not None]
    read = codec.columns(present)
    names = [f.name for f in codec.fields]
    if len(present) == len(data):
        return dict(zip(names, read, strict=True))
    places = iter(range(len(present)))
    indexes = pa.array([None if d is None else next(places) for d in data], pa.int64())
    return {name: column.take(indexes) for name, column in zip(names, read, strict=True)}


def _metadata(found: list[Message], wanted: set[str]) -> Iterator[pa.Array[Any] | None]:
    makers: tuple[Callable[[], Any], ...] = (
        lambda: [m.topic() for m in found],
        lambda: [m.partition() for m in found],
        lambda: [m.offset() for m in found],
        lambda: [max(0, m.timestamp()[1]) * _MICROSECONDS for m in found],
        lambda: [[{"name": h[0], "value": _bytes(h[1])} for h in m.headers() or ()] for m in found],
    )
    for field, make in zip(METADATA, makers, strict=True):
        yield pa.array(make(), arrow_type(field.type)) if field.name in wanted else None


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def _bad(message: Message, why: str) -> DataError:
    return DataError(
        f"{message.topic()}: the message at partition {message.partition()}, offset {message.offset()} "
        f"cannot be decoded: {why}",
        code="source.bad_message",
        hint="declare other `columns`, or let such messages pass by: `on_bad_message: dead_letter`",
        partition=message.partition(),
        offset=message.offset(),
    )


def _tombstone(topic: str) -> DataError:
    return DataError(
        f"{topic} holds a message without a value, and `tombstones: refuse` is set",
        code="source.tombstone",
        hint="`tombstones: delete` carries deletions out, `ignore` leaves them out",
    )
