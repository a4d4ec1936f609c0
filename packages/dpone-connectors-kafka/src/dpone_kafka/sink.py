"""The sink: a topic as a set of rows by key, written by one transaction a load."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

from confluent_kafka import KafkaException

from dpone.books import HeldLease, never_loaded, stored_json
from dpone.connector import (
    Finding,
    Json,
    Layout,
    Position,
    Publication,
    SchemaChange,
    StageRef,
    StageSpec,
    Stored,
    Target,
)
from dpone.plan import print_op
from dpone.strategies import Load
from dpone_kafka.client import Client, plain
from dpone_kafka.config import KafkaConfig
from dpone_kafka.faults import translated
from dpone_kafka.lease import fence, leased
from dpone_kafka.publication import LogPublication
from dpone_kafka.rendering import Need, need_of
from dpone_kafka.source import diagnose
from dpone_kafka.spills import Spill, spills
from dpone_kafka.staging import SpillStage, SpillWriter
from dpone_kafka.state import INDEX, STATE, load, refuse_name, refuse_other_formats, stands


@contextmanager
def connect(config: KafkaConfig) -> Iterator[KafkaSink]:
    with closing(Client(config, "sink")) as client:
        yield KafkaSink(client)


class KafkaSink:
    """A connected sink."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def inspect(self, target: Target) -> Layout | None:
        topic = self._topic(target)
        kept = load(self._client, topic)
        if kept.layout is None or not stands(self._client, topic, kept):
            return None
        refuse_other_formats(topic, kept, target.options)
        return kept.layout

    @contextmanager
    def lease(self, target: Target, pipeline: str) -> Iterator[HeldLease]:
        topic = self._topic(target)
        with leased(self._client, topic, pipeline, target.options.get("replication")) as lease:
            for spill in spills(self._client.label, topic):
                if spill.began is not None:  # its process has ended, and so did its load
                    spill.drop()
            yield lease

    @contextmanager
    def stage(self, spec: StageSpec) -> Iterator[SpillStage]:
        topic = self._topic(spec.target)
        spill = Spill.new(self._client.label, topic)
        try:
            yield SpillStage(spill, spec)
        finally:
            spill.drop()

    @contextmanager
    def writer(self, stage: StageRef, split: str) -> Iterator[SpillWriter]:
        writer = SpillWriter(stage, split)
        try:
            yield writer
        except BaseException:
            writer.abandon()
            raise
        writer.close()

    @contextmanager
    def publication(self, spec: StageSpec, load: Load) -> Iterator[Publication]:
        publication = LogPublication(self._client, spec, load)
        try:
            yield publication
        finally:
            publication.close()

    def sweep(self, older_than: timedelta) -> Sequence[str]:
        limit = datetime.now(UTC) - older_than
        removed: list[str] = []
        for spill in spills():
            began = spill.began
            if began is not None and began <= limit:
                spill.drop()
                removed.append(spill.name)
        return removed

    # ------------------------------------------------------------------- abilities

    def explain(self, spec: StageSpec, changes: Sequence[SchemaChange]) -> Sequence[str]:
        topic = self._topic(spec.target)
        need = need_of(spec.program, spec.layout, spec.columns)
        known = {
            Need.NOTHING: "nothing of the target is read",
            Need.KEYS: f"{INDEX + topic} is read to its end: about 40 bytes a row",
            Need.VALUES: f"{topic} is read to its end: every row, since the program looks at values",
        }
        return [
            *(f"{topic}: {change}" for change in changes),
            known[need],
            *(f"{topic}: {print_op(op)}" for op in spec.program),
            f"one transaction: {topic}, {INDEX + topic}, {STATE + topic}",
        ]

    def diagnose(self) -> Sequence[Finding]:
        left = sum(spill.began is not None for spill in spills())
        action = "they belong to runs that ended, and are removed by a sweep" if left else ""
        found = Finding("leftovers", ok=not left, found=f"{left} stages on this machine's disk", action=action)
        return [*diagnose(self._client), found]

    def set_position(self, target: Target, pipeline: str, position: Position | None) -> None:
        topic = self._topic(target)
        with leased(self._client, topic, pipeline, target.options.get("replication")) as lease:
            before = lease.stored
            if before is None and load(self._client, topic).layout is None:
                raise never_loaded(topic, pipeline)
            new = Stored(position, (before.generation if before else 0) + 1, before.load_id if before else "")
            self._put(topic, ["stored", pipeline], None if position is None else stored_json(new))

    def _put(self, topic: str, key: list[str], value: Json) -> None:
        producer = fence(self._client, topic)
        with translated("sink", self._client.label):
            try:
                producer.begin_transaction()
                producer.produce(STATE + topic, None if value is None else plain(value), plain(key), 0)
                producer.commit_transaction(self._client.patience)
            except KafkaException:
                producer.abort_transaction(self._client.patience)
                raise

    @staticmethod
    def _topic(target: Target) -> str:
        (topic,) = target.name
        refuse_name(topic)
        return topic
