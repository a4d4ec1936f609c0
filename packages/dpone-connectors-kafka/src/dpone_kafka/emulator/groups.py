"""Consumer groups: who is in one, who leads it, and the two rounds by which members agree on a new generation."""

from __future__ import annotations

import asyncio
import time
from enum import Enum
from uuid import uuid4

from msgspec import Struct, field

from dpone_kafka.emulator.codes import Code

_FIRST_ROUND, _LATER_ROUND, _AGAIN = 0.15, 0.02, 0.05  # seconds in which others may come along


class State(Enum):
    """As the protocol spells it."""

    EMPTY = "Empty"
    PREPARING = "PreparingRebalance"
    COMPLETING = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


class Member(Struct):
    id: str
    client: str
    instance: str | None
    session: float
    patience: float
    protocols: list[tuple[str, bytes]]
    seen: float = field(default_factory=time.monotonic)
    assignment: bytes = b""
    joining: asyncio.Future[Code] | None = None
    syncing: asyncio.Future[Code] | None = None

    def metadata(self, protocol: str) -> bytes:
        return dict(self.protocols).get(protocol, b"")


class Group:
    """One group; its members wait in futures until a round is complete."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.generation = 0
        self.state = State.EMPTY
        self.members: dict[str, Member] = {}
        self.leader = ""
        self.protocol = ""
        self.kind = "consumer"
        self._deadline = 0.0

    async def join(self, member: Member) -> Code:
        """The member is in the next generation, or is told why not."""
        known = self.members.get(member.id)
        if known is None:
            self.members[member.id] = member
        else:
            known.session, known.patience, known.protocols = member.session, member.patience, member.protocols
            known.seen = time.monotonic()
            member = known
        _answer(member.joining, Code.UNKNOWN_MEMBER_ID)
        waiting: asyncio.Future[Code] = asyncio.get_running_loop().create_future()
        member.joining = waiting
        self.rebalance()
        return await waiting

    def rebalance(self) -> None:
        """Members are asked to join again."""
        if self.state is State.PREPARING:
            return
        first = self.state is State.EMPTY
        self.state = State.PREPARING
        for member in self.members.values():
            _answer(member.syncing, Code.REBALANCE_IN_PROGRESS)
            member.syncing = None
        loop = asyncio.get_running_loop()
        self._deadline = loop.time() + max((m.patience for m in self.members.values()), default=10.0)
        loop.call_later(_FIRST_ROUND if first else _LATER_ROUND, self._complete)

    def _complete(self) -> None:
        loop = asyncio.get_running_loop()
        if self.state is not State.PREPARING:
            return
        if any(m.joining is None for m in self.members.values()) and loop.time() < self._deadline:
            loop.call_later(_AGAIN, self._complete)
            return
        self.members = {name: m for name, m in self.members.items() if m.joining is not None}
        if not self.members:
            self.state = State.EMPTY
            return
        spoken = [[name for name, _ in m.protocols] for m in self.members.values()]
        common = [name for name in spoken[0] if all(name in others for others in spoken)]
        if not common:
            for member in self.members.values():
                _answer(member.joining, Code.INCONSISTENT_GROUP_PROTOCOL)
            self.members, self.state = {}, State.EMPTY
            return
        self.protocol, self.generation, self.state = common[0], self.generation + 1, State.COMPLETING
        if self.leader not in self.members:
            self.leader = next(iter(self.members))
        for member in self.members.values():
            member.seen = time.monotonic()
            joining, member.joining = member.joining, None
            _answer(joining, Code.OK)

    async def sync(self, member: str, generation: int, assignments: dict[str, bytes]) -> Code:
        """The member has its assignment, which the leader hands in."""
        code = self.check(member, generation)
        if code is not Code.OK:
            return code
        if self.state is State.PREPARING:
            return Code.REBALANCE_IN_PROGRESS
        if self.state is State.COMPLETING:
            if member != self.leader:
                waiting: asyncio.Future[Code] = asyncio.get_running_loop().create_future()
                self.members[member].syncing = waiting
                return await waiting
            self.state = State.STABLE
            for name, other in self.members.items():
                other.assignment = assignments.get(name, b"")
                _answer(other.syncing, Code.OK)
                other.syncing = None
        return Code.OK

    def check(self, member: str, generation: int) -> Code:
        """Whether this is a member of the current generation, who is seen to be alive by asking."""
        if member not in self.members:
            return Code.UNKNOWN_MEMBER_ID
        self.members[member].seen = time.monotonic()
        return Code.OK if generation == self.generation else Code.ILLEGAL_GENERATION

    def heartbeat(self, member: str, generation: int) -> Code:
        code = self.check(member, generation)
        return Code.REBALANCE_IN_PROGRESS if code is Code.OK and self.state is State.PREPARING else code

    def leave(self, member: str) -> Code:
        gone = self.members.pop(member, None)
        if gone is None:
            return Code.UNKNOWN_MEMBER_ID
        _answer(gone.joining, Code.UNKNOWN_MEMBER_ID)
        _answer(gone.syncing, Code.UNKNOWN_MEMBER_ID)
        if self.members:
            self.rebalance()
        else:
            self.state = State.EMPTY
        return Code.OK

    def expire(self) -> None:
        """Members that were not heard of are no longer in it."""
        now = time.monotonic()
        for member in list(self.members.values()):
            if member.joining is None and member.syncing is None and now - member.seen > member.session:
                self.leave(member.id)


def new_member_id(client: str) -> str:
    return f"{client}-{uuid4()}"


def _answer(waiting: asyncio.Future[Code] | None, code: Code) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(code)
