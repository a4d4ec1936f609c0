"""Metadata, produce, fetch and the search for offsets."""

from __future__ import annotations

import asyncio
import time

from dpone_kafka.emulator.broker import Api, Broker, Request
from dpone_kafka.emulator.codes import Code
from dpone_kafka.emulator.partition import Partition
from dpone_kafka.emulator.records import EPOCH
from dpone_kafka.emulator.rules import Rules
from dpone_kafka.emulator.store import NODE, TOPIC

_NO_OPERATIONS = -2147483648
_LATEST, _EARLIEST = -1, -2


def metadata(broker: Broker, request: Request) -> None:
    r, w, v = request.body, request.answer, request.version
    names = r.array_or_none(r.text)
    creates = (r.flag() if v >= 4 else True) and broker.store.creates_topics  # noqa: PLR2004 - a version
    if names is None or (v == 0 and not names):
        names = list(broker.store.topics)
    for name in names:
        if creates and name not in broker.store.topics and TOPIC.fullmatch(name):
            broker.store.create(name, broker.store.partitions_of_new, {})
    if v >= 3:  # noqa: PLR2004 - a version
        w.int32(0)

    def node(_: int) -> None:
        w.int32(NODE).text(broker.host).int32(request.session.door.port)
        if v >= 1:
            w.text(None)

    w.array([NODE], node)
    if v >= 2:  # noqa: PLR2004 - a version
        w.text(broker.store.cluster)
    if v >= 1:
        w.int32(NODE)

    def partition(index: int) -> None:
        w.int16(Code.OK).int32(index).int32(NODE)
        if v >= 7:  # noqa: PLR2004 - a version
            w.int32(EPOCH)
        w.array([NODE], w.int32).array([NODE], w.int32)
        if v >= 5:  # noqa: PLR2004 - a version
            w.empty()

    def topic(name: str) -> None:
        found = broker.store.topics.get(name)
        legal = TOPIC.fullmatch(name)
        code = Code.OK if found else Code.UNKNOWN_TOPIC_OR_PARTITION if legal else Code.INVALID_TOPIC
        w.int16(code).text(name)
        if v >= 1:
            w.flag(False)
        w.array(range(len(found or ())), partition)
        if v >= 8:  # noqa: PLR2004 - a version
            w.int32(_NO_OPERATIONS)

    w.array(names, topic)
    if v >= 8:  # noqa: PLR2004 - a version
        w.int32(_NO_OPERATIONS)


def produce(broker: Broker, request: Request) -> bool:
    r, w, v = request.body, request.answer, request.version
    name = r.text_or_none()
    acks, _ = r.int16(), r.int32()
    done: list[tuple[str, list[tuple[int, Code, int, int, int]]]] = []

    def permitted(producer: int, epoch: int, is_transactional: bool) -> Code:  # noqa: FBT001 - what a batch says
        return broker.transactions.permission(name, producer, epoch, is_transactional)

    def partition(topic: str) -> tuple[int, Code, int, int, int]:
        index, data = r.int32(), r.view()
        found = broker.store.partition(topic, index)
        if found is None:
            return index, Code.UNKNOWN_TOPIC_OR_PARTITION, -1, -1, -1
        rules = Rules.of(broker.store.config(topic))
        code, offset = found.append(data, permitted, rules)
        stamped = int(time.time() * 1000) if rules.is_stamped and code is Code.OK else -1
        return index, code, offset, found.start, stamped

    def topic() -> None:
        of = r.text()
        done.append((of, r.array(lambda: partition(of))))

    r.array(topic)
    broker.store.wake()

    def said(answer: tuple[int, Code, int, int, int]) -> None:
        index, code, offset, start, stamped = answer
        w.int32(index).int16(code).int64(offset).int64(stamped)
        if v >= 5:  # noqa: PLR2004 - a version
            w.int64(start)
        if v >= 8:  # noqa: PLR2004 - a version
            w.empty().text(None)

    w.array(done, lambda item: w.text(item[0]).array(item[1], said)).int32(0)
    return acks != 0


Wanted = list[tuple[str, list[tuple[int, int, int]]]]
Found = list[tuple[str, list[tuple[int, Partition | None, Code, bytes, int]]]]


async def fetch(broker: Broker, request: Request) -> None:
    r, w, v = request.body, request.answer, request.version
    r.int32()
    patience, least, most, committed = r.int32(), r.int32(), r.int32(), r.int8() == 1
    if v >= 7:  # noqa: PLR2004 - a version
        r.int32(), r.int32()

    def wanted() -> tuple[int, int, int]:
        index = r.int32()
        if v >= 9:  # noqa: PLR2004 - a version
            r.int32()
        offset = r.int64()
        if v >= 5:  # noqa: PLR2004 - a version
            r.int64()
        return index, offset, r.int32()

    asked: Wanted = r.array(lambda: (r.text(), r.array(wanted)))
    until = time.monotonic() + patience / 1000
    while True:
        written = broker.store.written
        found, size, failed = _gather(broker, asked, most, committed=committed)
        left = until - time.monotonic()
        if size >= least or failed or left <= 0:
            break
        try:
            await asyncio.wait_for(written.wait(), left)
        except TimeoutError:
            continue

    def partition(item: tuple[int, Partition | None, Code, bytes, int]) -> None:
        index, of, code, data, offset = item
        w.int32(index).int16(code).int64(of.end if of else -1).int64(of.stable_end if of else -1)
        if v >= 5:  # noqa: PLR2004 - a version
            w.int64(of.start if of else -1)
        aborted = of.aborted_between(offset, of.stable_end) if of and committed and data else []
        w.array(aborted, lambda a: w.int64(a.producer).int64(a.first))
        if v >= 11:  # noqa: PLR2004 - a version
            w.int32(-1)
        w.data(data)

    w.int32(0)
    if v >= 7:  # noqa: PLR2004 - a version
        w.int16(Code.OK).int32(0)
    w.array(found, lambda item: w.text(item[0]).array(item[1], partition))


def _gather(broker: Broker, asked: Wanted, most: int, *, committed: bool) -> tuple[Found, int, bool]:
    """What there is now: by topic, its size, and whether something is wrong that is said at once."""
    size, failed = 0, False
    found: Found = []
    for topic, partitions in asked:
        answers: list[tuple[int, Partition | None, Code, bytes, int]] = []
        for index, offset, limit in partitions:
            of = broker.store.partition(topic, index)
            code, data = Code.OK, b""
            if of is None:
                code = Code.UNKNOWN_TOPIC_OR_PARTITION
            elif not of.start <= offset <= of.end:
                code = Code.OFFSET_OUT_OF_RANGE
            else:
                data = of.read(offset, min(limit, most - size), committed=committed, at_least_one=size == 0)
            failed = failed or code is not Code.OK
            size += len(data)
            answers.append((index, of, code, data, offset))
        found.append((topic, answers))
    return found, size, failed


def list_offsets(broker: Broker, request: Request) -> None:
    r, w, v = request.body, request.answer, request.version
    r.int32()
    committed = v >= 2 and r.int8() == 1  # noqa: PLR2004 - a version

    def wanted() -> tuple[int, int]:
        index = r.int32()
        if v >= 4:  # noqa: PLR2004 - a version
            r.int32()
        return index, r.int64()

    asked = r.array(lambda: (r.text(), r.array(wanted)))
    if v >= 2:  # noqa: PLR2004 - a version
        w.int32(0)

    def partition(topic: str, index: int, timestamp: int) -> None:
        of = broker.store.partition(topic, index)
        code, time_found, offset = Code.OK, -1, -1
        if of is None:
            code = Code.UNKNOWN_TOPIC_OR_PARTITION
        elif timestamp == _LATEST:
            offset = of.stable_end if committed else of.end
        elif timestamp == _EARLIEST:
            offset = of.start
        else:
            time_found, offset = of.offset_at(timestamp)
        w.int32(index).int16(code).int64(time_found).int64(offset)
        if v >= 4:  # noqa: PLR2004 - a version
            w.int32(EPOCH)

    w.array(asked, lambda item: w.text(item[0]).array(item[1], lambda p: partition(item[0], *p)))


DATA = (Api(0, 3, 8, produce), Api(1, 4, 11, fetch), Api(2, 1, 5, list_offsets), Api(3, 0, 8, metadata))
