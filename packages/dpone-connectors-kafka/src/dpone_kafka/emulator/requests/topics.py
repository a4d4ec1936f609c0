"""Topics: made, removed, grown, and records deleted from their beginning."""

from __future__ import annotations

from msgspec import Struct

from dpone_kafka.emulator.broker import Api, Broker, Request
from dpone_kafka.emulator.codes import Code
from dpone_kafka.emulator.rules import refused_settings
from dpone_kafka.emulator.store import TOPIC


class _Wanted(Struct, frozen=True):
    name: str
    partitions: int
    replication: int
    config: dict[str, str | None]


def create(broker: Broker, request: Request) -> None:
    r, w, v = request.body, request.answer, request.version

    def wanted() -> _Wanted:
        name, partitions, replication = r.text(), r.int32(), r.int16()
        assigned = r.array(lambda: (r.int32(), r.array(r.int32)))
        config = dict(r.array(lambda: (r.text(), r.text_or_none())))
        return _Wanted(name, len(assigned) or partitions, replication, config)

    asked = r.array(wanted)
    r.int32()
    only_asks = r.flag() if v >= 1 else False
    if v >= 2:  # noqa: PLR2004 - a version
        w.int32(0)

    def one(topic: _Wanted) -> None:
        code, why = _refusal(broker, topic)
        if code is Code.OK and not only_asks:
            count = topic.partitions if topic.partitions > 0 else broker.store.partitions_of_new
            broker.store.create(topic.name, count, topic.config)
        w.text(topic.name).int16(code)
        if v >= 1:
            w.text(why)

    w.array(asked, one)


def _refusal(broker: Broker, topic: _Wanted) -> tuple[Code, str | None]:
    if not TOPIC.fullmatch(topic.name) or topic.name in {".", ".."}:
        return Code.INVALID_TOPIC, "a name holds letters, digits, '.', '_' and '-'"
    if topic.name in broker.store.topics:
        return Code.TOPIC_ALREADY_EXISTS, f"Topic '{topic.name}' already exists."
    if topic.replication > 1:
        return Code.INVALID_REPLICATION_FACTOR, "there is one broker"
    if topic.partitions == 0:
        return Code.INVALID_PARTITIONS, "a topic has one partition at least"
    if refused := refused_settings(topic.config):
        return Code.INVALID_CONFIG, f"not as a topic is told: {', '.join(refused)}"
    return Code.OK, None


def delete(broker: Broker, request: Request) -> None:
    r, w = request.body, request.answer
    if request.version >= 1:
        w.int32(0)

    def one(name: str) -> None:
        known = name in broker.store.topics
        if known:
            broker.store.remove(name)
        w.text(name).int16(Code.OK if known else Code.UNKNOWN_TOPIC_OR_PARTITION)

    w.array(r.array(r.text), one)


def grow(broker: Broker, request: Request) -> None:
    r, w = request.body, request.answer
    asked = r.array(lambda: (r.text(), r.int32(), r.array(lambda: r.array(r.int32))))
    r.int32()
    only_asks = r.flag()

    def one(name: str, count: int) -> None:
        there = broker.store.topics.get(name)
        code = Code.UNKNOWN_TOPIC_OR_PARTITION if there is None else Code.OK
        if there is not None and count <= len(there):
            code = Code.INVALID_PARTITIONS
        if code is Code.OK and not only_asks:
            broker.store.grow(name, count)
        w.text(name).int16(code).text(None)

    w.int32(0).array(asked, lambda item: one(item[0], item[1]))


def delete_records(broker: Broker, request: Request) -> None:
    r, w = request.body, request.answer
    asked = r.array(lambda: (r.text(), r.array(lambda: (r.int32(), r.int64()))))
    r.int32()

    def one(topic: str, index: int, offset: int) -> None:
        partition = broker.store.partition(topic, index)
        if partition is None:
            w.int32(index).int64(-1).int16(Code.UNKNOWN_TOPIC_OR_PARTITION)
            return
        before = partition.end if offset == -1 else offset
        code = Code.OK if before <= partition.end else Code.OFFSET_OUT_OF_RANGE
        if code is Code.OK:
            broker.store.delete_before(topic, index, before)
        w.int32(index).int64(partition.start).int16(code)

    w.int32(0).array(asked, lambda item: w.text(item[0]).array(item[1], lambda p: one(item[0], *p)))


TOPICS = (Api(19, 0, 4, create), Api(20, 0, 3, delete), Api(21, 0, 1, delete_records), Api(37, 0, 1, grow))
