"""Consumer groups: joining, agreeing, staying, leaving, and what an operator sees of them."""

from __future__ import annotations

from dpone_kafka.emulator.broker import Api, Broker, Request
from dpone_kafka.emulator.codes import Code
from dpone_kafka.emulator.groups import Group, Member, State, new_member_id

_NO_OPERATIONS = -2147483648


async def join(broker: Broker, request: Request) -> None:
    r, w, v = request.body, request.answer, request.version
    group = broker.group(r.text())
    session = r.int32()
    patience = r.int32() if v >= 1 else session
    given = r.text()
    instance = r.text_or_none() if v >= 5 else None  # noqa: PLR2004 - a version
    group.kind = r.text()
    protocols = r.array(lambda: (r.text(), r.data()))
    code, name = Code.UNKNOWN_MEMBER_ID, given
    if not given or given in group.members:
        name = given or new_member_id(request.client)
        member = Member(name, request.client, instance, session / 1000, patience / 1000, protocols)
        code = await group.join(member)
    joined = code is Code.OK
    if v >= 2:  # noqa: PLR2004 - a version
        w.int32(0)
    w.int16(code).int32(group.generation if joined else -1).text(group.protocol if joined else "")
    w.text(group.leader if joined else "").text(name)

    def one(other: Member) -> None:
        w.text(other.id)
        if v >= 5:  # noqa: PLR2004 - a version
            w.text(other.instance)
        w.data(other.metadata(group.protocol))

    w.array(list(group.members.values()) if joined and name == group.leader else [], one)


async def sync(broker: Broker, request: Request) -> None:
    r, w, v = request.body, request.answer, request.version
    group, generation, member = broker.group(r.text()), r.int32(), r.text()
    if v >= 3:  # noqa: PLR2004 - a version
        r.text()
    code = await group.sync(member, generation, dict(r.array(lambda: (r.text(), r.data()))))
    known = group.members.get(member)
    if v >= 1:
        w.int32(0)
    w.int16(code).data(known.assignment if known is not None and code is Code.OK else b"")


def heartbeat(broker: Broker, request: Request) -> None:
    r, w = request.body, request.answer
    group, generation, member = broker.group(r.text()), r.int32(), r.text()
    if request.version >= 1:
        w.int32(0)
    w.int16(group.heartbeat(member, generation))


def leave(broker: Broker, request: Request) -> None:
    r, w, v = request.body, request.answer, request.version
    group = broker.group(r.text())
    several = v >= 3  # noqa: PLR2004 - a version
    members = r.array(lambda: (r.text(), r.text_or_none())) if several else [(r.text(), None)]
    done = [(name, instance, group.leave(name)) for name, instance in members]
    if v >= 1:
        w.int32(0)
    w.int16(Code.OK if several else done[0][2])
    if several:
        w.array(done, lambda item: w.text(item[0]).text(item[1]).int16(item[2]))


def list_groups(broker: Broker, request: Request) -> None:
    w = request.answer
    if request.version >= 1:
        w.int32(0)
    names = sorted({*broker.groups, *broker.store.groups_with_offsets()})
    kinds = {name: group.kind for name, group in broker.groups.items()}
    w.int16(Code.OK).array(names, lambda name: w.text(name).text(kinds.get(name, "consumer")))


def describe(broker: Broker, request: Request) -> None:
    r, w, v = request.body, request.answer, request.version
    if v >= 1:
        w.int32(0)

    def member(of: Member, group: Group) -> None:
        w.text(of.id)
        if v >= 4:  # noqa: PLR2004 - a version
            w.text(of.instance)
        w.text(of.client).text("/127.0.0.1").data(of.metadata(group.protocol)).data(of.assignment)

    def one(name: str) -> None:
        known = name in broker.groups or name in broker.store.groups_with_offsets()
        group = broker.groups.get(name) or Group(name)
        state = group.state if known else State.DEAD
        w.int16(Code.OK).text(name).text(state.value).text(group.kind).text(group.protocol)
        w.array(list(group.members.values()), lambda of: member(of, group))
        if v >= 3:  # noqa: PLR2004 - a version
            w.int32(_NO_OPERATIONS)

    w.array(r.array(r.text), one)


def delete(broker: Broker, request: Request) -> None:
    r, w = request.body, request.answer

    def one(name: str) -> None:
        group = broker.groups.get(name)
        if group is not None and group.members:
            w.text(name).int16(Code.NON_EMPTY_GROUP)
            return
        known = group is not None or name in broker.store.groups_with_offsets()
        broker.groups.pop(name, None)
        broker.store.offsets.forget(lambda key: key.split("\0")[0] == name)
        w.text(name).int16(Code.OK if known else Code.GROUP_ID_NOT_FOUND)

    w.int32(0).array(r.array(r.text), one)


MEMBERSHIP = (
    Api(11, 0, 5, join),
    Api(12, 0, 3, heartbeat),
    Api(13, 0, 3, leave),
    Api(14, 0, 3, sync),
    Api(15, 0, 4, describe),
    Api(16, 0, 2, list_groups),
    Api(42, 0, 1, delete),
)
