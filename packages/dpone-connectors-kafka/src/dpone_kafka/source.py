"""The source: a topic read as a table or as a log, whole or since the offsets that the sink stored."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from confluent_kafka import TopicPartition

from dpone.batch import ARROW, Batch
from dpone.connector import Dataset, Finding, Position, ReadRequest, Split
from dpone.errors import DataError
from dpone.readings import OpenReading, requested
from dpone.schema import Schema
from dpone.strategies import Read
from dpone_kafka.ahead import ahead
from dpone_kafka.client import Client, Range
from dpone_kafka.config import KafkaConfig
from dpone_kafka.consuming import messages
from dpone_kafka.dead_letters import DeadLetters
from dpone_kafka.faults import translated
from dpone_kafka.latest import Latest, latest
from dpone_kafka.rows import Clock, Decoder
from dpone_kafka.shape import Shape, shape_of
from dpone_kafka.windows import windows_of

if TYPE_CHECKING:
    import pyarrow as pa

_OURS = "_dpone_"
_SMALL = 1 << 16
_GENEROUS = 16  # a batch of Arrow costs the same whatever its size, so it may have so many times the bytes asked for
_WORTH_SPLITTING, _CORES = 1_000_000, 4


@contextmanager
def connect(config: KafkaConfig) -> Iterator[KafkaSource]:
    with closing(Client(config, "source")) as client:
        yield KafkaSource(client)


class KafkaSource:
    """A connected source."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._shapes: dict[str, Shape] = {}

    def describe(self, dataset: Dataset) -> Schema:
        return shape_of(self._client, dataset).schema

    @contextmanager
    def open(self, request: ReadRequest) -> Iterator[OpenReading]:
        shape = self._shape(request, anew=True)
        ranges, upto = windows_of(self._client, request)
        schema = requested(shape.schema, request.columns)
        yield OpenReading(schema, upto, _splits(request, ranges), _carries_changes(request, shape))

    def read(self, request: ReadRequest, split: Split) -> Iterator[Batch]:
        shape = self._shape(request)
        options = request.dataset.options
        letters = options.get("dead_letter_topic")
        bad = None if letters is None else DeadLetters(self._client, letters)
        changes = _carries_changes(request, shape)
        as_table = _is_table(request)
        tombstones = options.get("tombstones", "delete")
        columns = [(c.name, c.source) for c in request.columns]
        # a table's tombstones are removed when its rows are looked for
        decoder = Decoder(shape, columns, "ignore" if as_table else tombstones, changes, bad)
        ranges = [Range(*r) for r in split.payload["ranges"]]
        last = latest(self._client, shape.topic, ranges, tombstones) if as_table else None
        for made in ahead(self._decoded(shape, split, decoder, last)):
            yield from _cut(made, request.batch_bytes)
        if bad is not None:
            bad.close()
        if last is not None and last.missing:
            raise DataError(
                f"{last.missing} rows of {shape.topic} went while it was read: newer messages took their place",
                code="source.changed_while_read",
                hint="run again; `min.compaction.lag.ms` of the topic lets a reading finish first",
            )

    def _decoded(self, shape: Shape, split: Split, decoder: Decoder, last: Latest | None) -> Iterator[pa.RecordBatch]:
        """The rows of the split's messages, of which the next are fetched meanwhile."""
        for wanted in (Range(*r) for r in split.payload["ranges"]):
            clock = Clock(wanted.partition, split.payload["partitions"])
            for found in ahead(messages(self._client, shape.topic, wanted)):
                kept = found if last is None else last.take(found, wanted.partition)
                made = decoder.batch(kept, clock) if kept else None
                if made is not None:
                    yield made

    def settle(self, request: ReadRequest, position: Position) -> None:
        """The group that the manifest names has the offsets that the sink holds; nothing else depends on it."""
        group = request.dataset.options.get("commit_group")
        if group is None or position.kind is not Read.SINCE:
            return
        topic = position.token["topic"]
        offsets = [TopicPartition(topic, int(p), int(o)) for p, o in position.token["offsets"].items()]
        consumer = self._client.consumer(group=group)
        try:
            with translated("source", self._client.label):
                consumer.commit(offsets=offsets, asynchronous=False)
        finally:
            consumer.close()

    def discover(self, pattern: tuple[str, ...]) -> Sequence[Dataset]:
        (wanted,) = pattern
        names = sorted(n for n in self._client.topics() if not n.startswith((_OURS, "__")))
        return [Dataset((name,)) for name in names if fnmatchcase(name, wanted)]

    def diagnose(self) -> Sequence[Finding]:
        return diagnose(self._client)

    def _shape(self, request: ReadRequest, *, anew: bool = False) -> Shape:
        key = repr(request.dataset)
        if anew or key not in self._shapes:
            self._shapes[key] = shape_of(self._client, request.dataset)
        return self._shapes[key]


def diagnose(client: Client) -> Sequence[Finding]:
    """What is known of the brokers without touching anything."""
    topics = client.topics()
    ours = sum(name.startswith(_OURS) for name in topics)
    return [
        Finding("brokers", ok=True, found=f"{len(topics) - ours} topics at {client.label}"),
        Finding("registry", ok=True, found=client.config.registry or "none is named"),
    ]


def _is_table(request: ReadRequest) -> bool:
    """A reading since a position carries changes in either view; a scan of a table gives its rows."""
    return request.read is Read.SCAN and request.dataset.options.get("view") == "table"


def _carries_changes(request: ReadRequest, shape: Shape) -> bool:
    options: Mapping[str, Any] = request.dataset.options
    deletes = options.get("tombstones", "delete") == "delete" and options.get("format") != "raw"
    return request.read is Read.SINCE and shape.key is not None and deletes


def _splits(request: ReadRequest, ranges: Sequence[Range]) -> Sequence[Split]:
    """One split, or several that share the partitions; a table is one, for a key may have moved when the topic grew."""
    if request.splits is None:
        large = sum(r.size for r in ranges) >= _WORTH_SPLITTING and (os.cpu_count() or 1) >= _CORES
        wanted = len(ranges) if large else 1
    else:
        wanted = request.splits
    wanted = 1 if _is_table(request) else max(1, min(wanted, len(ranges)))
    parts = [[[r.partition, r.low, r.high] for r in ranges[number::wanted]] for number in range(wanted)]
    return [Split(str(number), {"ranges": part, "partitions": len(ranges)}) for number, part in enumerate(parts)]


def _cut(made: pa.RecordBatch, batch_bytes: int) -> Iterator[Batch]:
    """The batch in pieces of about the size that was asked for."""
    limit = batch_bytes if batch_bytes < _SMALL else batch_bytes * _GENEROUS
    step = max(1, made.num_rows * limit // max(1, made.nbytes))
    for at in range(0, made.num_rows, step):
        piece = made.slice(at, step)
        yield Batch(ARROW, piece, piece.num_rows, made.nbytes * piece.num_rows // made.num_rows)
