"""The broker: connections, the order of answers, and the requests that it knows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from msgspec import Struct

from dpone_kafka.emulator.codes import Code
from dpone_kafka.emulator.doors import Door, Session
from dpone_kafka.emulator.groups import Group
from dpone_kafka.emulator.store import Store
from dpone_kafka.emulator.transactions import Transactions
from dpone_kafka.emulator.wire import INT32, MalformedError, Reader, Writer

log = logging.getLogger(__name__)

_LARGEST = 256 << 20
_WAITING = 64  # requests of one connection that are under way at once
_API_VERSIONS, _FETCH, _JOIN, _SYNC = 18, 1, 11, 14
_LOGINS = frozenset({_API_VERSIONS, 17, 36})  # what is answered before a login
_PATIENT = frozenset({_FETCH, _JOIN, _SYNC})
_LAST_FLEXIBLE = 3


class Request(Struct, frozen=True):
    """One request: its body is read from `body`, the answer written into `answer`."""

    version: int
    client: str
    body: Reader
    answer: Writer
    session: Session


Handler = Callable[["Broker", Request], Awaitable[bool | None] | bool | None]  # False: there is no answer


class Api(Struct, frozen=True):
    """A request that is known in these versions."""

    key: int
    oldest: int
    newest: int
    handle: Handler


class Broker:
    """A single node. `serve` answers at its doors until the loop ends."""

    def __init__(self, root: Path, doors: Sequence[Door], *, host: str = "127.0.0.1") -> None:
        from dpone_kafka.emulator.requests import APIS  # they know the broker

        self.host = host
        self._doors = doors
        self.store = Store(root)
        self.groups: dict[str, Group] = {}
        self.transactions = Transactions(self.store, root / "transactions.jsonl")
        self._apis = {api.key: api for api in APIS}

    def group(self, name: str) -> Group:
        return self.groups.setdefault(name, Group(name))

    async def serve(self) -> None:
        servers = [await self._opened(door) for door in self._doors]
        self._keeping = asyncio.create_task(self._keep_house())
        self._waiting = [asyncio.create_task(server.serve_forever()) for server in servers]

    async def _opened(self, door: Door) -> asyncio.Server:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._connected(Session(door), reader, writer)

        return await asyncio.start_server(connected, self.host, door.port, limit=1 << 20, ssl=door.context)

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            for group in list(self.groups.values()):
                group.expire()
            self.transactions.expire()
            self.store.clean()

    async def _connected(self, session: Session, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers: asyncio.Queue[asyncio.Future[bytes | None] | None] = asyncio.Queue(_WAITING)
        sending = asyncio.create_task(self._send(session, answers, writer))
        try:
            while True:
                (size,) = INT32.unpack(await reader.readexactly(INT32.size))
                if not 0 < size <= _LARGEST:
                    break
                data = memoryview(await reader.readexactly(size))
                handling = asyncio.ensure_future(self._handle(session, data))
                await answers.put(handling)
                if int.from_bytes(data[:2], "big") not in _PATIENT:
                    await asyncio.sleep(0)  # it begins at once: requests of one connection are carried out in order
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            sending.cancel()
            writer.close()

    async def _send(
        self,
        session: Session,
        answers: asyncio.Queue[asyncio.Future[bytes | None] | None],
        writer: asyncio.StreamWriter,
    ) -> None:
        while (answer := await answers.get()) is not None:
            try:
                out = await answer
                if out is not None:
                    writer.write(out)
                    await writer.drain()
                if session.is_refused:
                    break
            except (ConnectionError, MalformedError):
                break
            except Exception:
                log.exception("a request failed")
                break
        writer.close()

    async def _handle(self, session: Session, data: memoryview) -> bytes | None:
        head = Reader(data)
        key, version, correlation = head.int16(), head.int16(), head.int32()
        answer = Writer()
        request = Request(version, head.text(), head, answer, session)
        if key not in _LOGINS and not session.may_ask:
            raise MalformedError("nobody has logged in")
        if key == _API_VERSIONS:
            self._say_versions(request)
        else:
            api = self._apis.get(key)
            if api is None or not api.oldest <= version <= api.newest:
                raise MalformedError(f"request {key} of version {version}")
            done = api.handle(self, request)
            if isinstance(done, Awaitable):
                done = await done
            if done is False:
                return None
        return INT32.pack(len(answer.out) + INT32.size) + INT32.pack(correlation) + answer.out

    def _say_versions(self, request: Request) -> None:
        w, version = request.answer, request.version
        known = [(a.key, a.oldest, a.newest) for a in sorted(self._apis.values(), key=lambda a: a.key)]
        known.append((_API_VERSIONS, 0, _LAST_FLEXIBLE))

        def plain(api: tuple[int, int, int]) -> None:
            key, oldest, newest = api
            w.int16(key).int16(oldest).int16(newest)

        if version > _LAST_FLEXIBLE:
            w.int16(Code.UNSUPPORTED_VERSION).array(known, plain)
            return
        w.int16(Code.OK)
        if version < _LAST_FLEXIBLE:
            w.array(known, plain)
            if version >= 1:
                w.int32(0)
            return
        w.int8(len(known) + 1)  # a compact array; each entry and the whole end with no tagged fields
        for api in known:
            plain(api)
            w.int8(0)
        w.int32(0).int8(0)
