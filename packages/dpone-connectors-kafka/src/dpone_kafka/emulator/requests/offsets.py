"""Offsets that groups commit, and who looks after them: this node, always."""

from __future__ import annotations

from dpone_kafka.emulator.broker import Api, Broker, Request
from dpone_kafka.emulator.codes import Code
from dpone_kafka.emulator.store import NODE


def find_coordinator(broker: Broker, request: Request) -> None:
    r, w, v = request.body, request.answer, request.version
    r.text()
    if v >= 1:
        w.int32(0)
    w.int16(Code.OK)
    if v >= 1:
        w.text(None)
    w.int32(NODE).text(broker.host).int32(request.session.door.port)


def commit(broker: Broker, request: Request) -> None:
    r, w, v = request.body, request.answer, request.version
    name, generation, member = r.text(), r.int32(), r.text()
    if v >= 7:  # noqa: PLR2004 - a version
        r.text()
    if v <= 4:  # noqa: PLR2004 - a version
        r.int64()

    def wanted() -> tuple[int, int, str | None]:
        index, offset = r.int32(), r.int64()
        if v >= 6:  # noqa: PLR2004 - a version
            r.int32()
        return index, offset, r.text_or_none()

    asked = r.array(lambda: (r.text(), r.array(wanted)))
    group = broker.groups.get(name)
    code = Code.OK
    if generation >= 0 or member:
        code = group.check(member, generation) if group is not None else Code.UNKNOWN_MEMBER_ID
    elif group is not None and group.members:
        code = Code.UNKNOWN_MEMBER_ID
    if v >= 3:  # noqa: PLR2004 - a version
        w.int32(0)

    def one(topic: str, index: int, offset: int, note: str | None) -> None:
        known = broker.store.partition(topic, index) is not None
        said = code if code is not Code.OK or known else Code.UNKNOWN_TOPIC_OR_PARTITION
        if said is Code.OK:
            broker.store.commit_offset(name, topic, index, offset, note)
        w.int32(index).int16(said)

    w.array(asked, lambda item: w.text(item[0]).array(item[1], lambda p: one(item[0], *p)))


def committed(broker: Broker, request: Request) -> None:
    r, w, v = request.body, request.answer, request.version
    name = r.text()
    asked = r.array_or_none(lambda: (r.text(), r.array(r.int32)))
    if asked is None:
        asked = list(broker.store.committed_topics(name).items())
    if v >= 3:  # noqa: PLR2004 - a version
        w.int32(0)

    def one(topic: str, index: int) -> None:
        offset, note = broker.store.committed(name, topic, index)
        w.int32(index).int64(offset)
        if v >= 5:  # noqa: PLR2004 - a version
            w.int32(-1)
        w.text(note).int16(Code.OK)

    w.array(asked, lambda item: w.text(item[0]).array(item[1], lambda index: one(item[0], index)))
    if v >= 2:  # noqa: PLR2004 - a version
        w.int16(Code.OK)


OFFSETS = (Api(8, 2, 7, commit), Api(9, 1, 5, committed), Api(10, 0, 2, find_coordinator))
