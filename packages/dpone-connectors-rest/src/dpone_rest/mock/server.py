"""The mock service itself: collections below /api/v1, one way of paging per folder, on a real local HTTP server.

`tables/x` gives all of x as a list, or a part of it where `limit` is given; `page/x`, `offset/x`, `cursor/x`, `link/x`
and `header/x` page in the way of their name. PUT and GET of `_tables/x` fill and show a collection.
"""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlencode, urlsplit

from msgspec import Struct, field

from dpone_rest.mock.faults import Fault, Plan, Wrong
from dpone_rest.mock.guard import Credentials, Guard
from dpone_rest.mock.tables import Tables, listed

ROOT = "/api/v1"
LOOPBACK = "127.0.0.1"
_SIZE = 100


class Asked(Struct, frozen=True):
    """A request as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


class Reply(Struct):
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class MockApi:
    """What the service holds and what was asked of it; tests look into it and plan its faults."""

    def __init__(self, credentials: Credentials | None = None) -> None:
        self.tables = Tables()
        self.plan = Plan()
        self.guard = Guard(credentials or Credentials())
        self.asked: list[Asked] = []
        self.url = ""
        self.behind = 0.0  # seconds that the server's clock is late

    def fail(self, wrong: Wrong, **how: Any) -> None:
        self.plan.add(Fault(wrong, **how))

    def pages(self) -> list[Mapping[str, str]]:
        """The parameters of each request for records so far."""
        return [asked.query for asked in self.asked if asked.method == "GET" and "/_tables/" not in asked.path]


@contextmanager
def serving(api: MockApi, port: int = 0, host: str = LOOPBACK) -> Iterator[MockApi]:
    """Within the context the service answers at `api.url`."""

    class Handler(_Handler):
        service = api

    server = _Server((host, port), Handler)
    api.url = f"http://{host}:{server.server_address[1]}{ROOT}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a client that keeps its connection would hold us up

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none of our business."""


class _Handler(BaseHTTPRequestHandler):
    service: MockApi
    protocol_version = "HTTP/1.1"
    # without these two an answer waits 40 ms for the client's acknowledgement: 23 requests a second instead of 1,000
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 60

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that its base gives it
        """Nothing is logged: a query may hold a key."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string((time.time() if timestamp is None else timestamp) - self.service.behind)

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def _answer(self, method: str) -> None:
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = Asked(method, parts.path, query, dict(self.headers.items()))
        api = self.service
        api.asked.append(asked)
        if parts.path == f"{ROOT}/oauth/token":
            self._send(_token(api, asked, body))
            return
        if not api.guard.admits(asked.headers, query):
            self._send(Reply(status=401))
            return
        if parts.path.startswith(f"{ROOT}/_tables/"):
            self._send(_kept(api, asked, unquote(parts.path.rpartition("/")[2]), body))
            return
        fault = api.plan.take()
        reply = self._disturbed(fault, asked) if fault is not None else respond(api, asked)
        if reply is not None:
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def _disturbed(self, fault: Fault, asked: Asked) -> Reply | None:
        """What is answered instead; None when it was said already."""
        api = self.service
        match fault.wrong:
            case Wrong.STATUS:
                return Reply(status=fault.status, headers=dict(fault.headers))
            case Wrong.OTHER_TOKEN:
                api.guard.forget()
                return Reply(status=401)
            case Wrong.NOT_JSON:
                return Reply(b'[{"id": 1}, {"id"')
            case Wrong.NAN:
                return Reply(b'[{"id": NaN}]')
            case Wrong.NO_LIST:
                return Reply(b'{"error": "quota"}')
            case Wrong.SLOW:
                time.sleep(fault.seconds)
                return respond(api, asked)
            case Wrong.BOMB:
                return Reply(gzip.compress(b" " * fault.size), headers={"Content-Encoding": "gzip"})
            case Wrong.CUT | Wrong.CUT_CHUNK | Wrong.CLOSED | Wrong.TRICKLE:
                self._broken_off(fault, respond(api, asked).body)
                return None
            case _:
                return respond(api, asked, fault)

    def _broken_off(self, fault: Fault, body: bytes) -> None:
        self.close_connection = True
        if fault.wrong is not Wrong.CLOSED:
            self.send_response(200)
            if fault.wrong is Wrong.CUT_CHUNK:
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(f"{len(body):x}\r\n".encode() + body[: len(body) // 2])
            else:
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if fault.wrong is Wrong.TRICKLE:
                    self._trickle(body, fault.seconds)
                else:
                    self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def _trickle(self, body: bytes, seconds: float) -> None:
        for at in range(len(body)):
            self.wfile.write(body[at : at + 1])
            self.wfile.flush()
            time.sleep(seconds)


def _token(api: MockApi, asked: Asked, body: bytes) -> Reply:
    given = api.guard.token(asked.headers, dict(parse_qsl(body.decode())))
    return Reply(status=401) if given is None else Reply(json.dumps(given).encode())


def _kept(api: MockApi, asked: Asked, name: str, body: bytes) -> Reply:
    """The collection as it is kept: filled by PUT, shown by GET, each record as a text."""
    if asked.method == "PUT":
        api.tables.put(name, json.loads(body))
    rows = api.tables.rows(name)
    return Reply(status=404) if rows is None else Reply(json.dumps(rows).encode())


def respond(api: MockApi, asked: Asked, fault: Fault | None = None) -> Reply:
    """The page that is asked for, as an API answers that works, or that has this fault in its paging."""
    folder, _, name = asked.path.removeprefix(f"{ROOT}/").partition("/")
    rows = api.tables.asked(unquote(name), asked.query)
    if rows is None or folder not in _FOLDERS:
        return Reply(status=404)
    size = int(asked.query.get("limit", asked.query.get("per_page", _SIZE)))
    if folder == "tables" and "limit" not in asked.query:
        return Reply(listed(rows).encode())
    begin = _begin(folder, asked.query, size)
    wrong = fault.wrong if fault is not None else None
    if wrong is Wrong.REPEAT:
        begin = 0
    part = rows[begin : begin + size]
    end = begin + len(part)
    if wrong is Wrong.ENDLESS:
        part = [json.dumps({"id": begin + n}) for n in range(size)]
        end = begin + size
    more = end < len(rows) or wrong in {Wrong.ENDLESS, Wrong.CYCLE, Wrong.FOREIGN}
    following = begin if wrong is Wrong.CYCLE else end
    total = len(rows) + (1 if wrong is Wrong.SHORT else 0)
    return _page(api, asked, folder, part, following if more else None, total, size, foreign=wrong is Wrong.FOREIGN)


_FOLDERS = frozenset({"tables", "page", "offset", "cursor", "link", "header"})


def _begin(folder: str, query: Mapping[str, str], size: int) -> int:
    match folder:
        case "page":
            return (int(query.get("page", 1)) - 1) * size
        case "cursor":
            return int(query.get("cursor", "at-0").removeprefix("at-"))
        case "link" | "header":
            return int(query.get("at", 0))
        case _:
            return int(query.get("offset", 0))


def _page(
    api: MockApi,
    asked: Asked,
    folder: str,
    part: list[str],
    following: int | None,
    total: int,
    size: int,
    *,
    foreign: bool,
) -> Reply:
    data = listed(part)
    match folder:
        case "page":
            return _wrapped(data, f'"pages":{-(-total // size)},"total":{total}')
        case "cursor":
            return _wrapped(data, '"next":' + ("null" if following is None else f'"at-{following}"'))
        case "link":
            link = None if following is None else _link(api, asked, following, foreign=foreign)
            return _wrapped(data, f'"links":{{"next":{json.dumps(link)}}},"total":{total}')
        case "header":
            if following is None:
                return Reply(data.encode())
            link = _link(api, asked, following, foreign=foreign)
            return Reply(data.encode(), headers={"Link": f'<{link}>; rel="next", <{link}>; rel="last"'})
        case _:
            return _wrapped(data, f'"total":{total}')


def _wrapped(data: str, more: str) -> Reply:
    return Reply(f'{{"data":{data},{more}}}'.encode())


def _link(api: MockApi, asked: Asked, following: int, *, foreign: bool) -> str:
    query = urlencode({**asked.query, "at": following})
    root = api.url.replace(LOOPBACK, "localhost") if foreign else api.url
    return f"{root}{quote(unquote(asked.path.removeprefix(ROOT)))}?{query}"
