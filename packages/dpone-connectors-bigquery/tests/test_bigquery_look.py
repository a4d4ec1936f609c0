"""Whether anybody answers is said within seconds, before a load is under way and not in the midst of one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dpone.errors import RemoteError
from dpone_bigquery import BigQueryConfig
from dpone_bigquery.warehouse import connected

SOON = 15.0  # seconds; the client itself tries for a minute


def config(endpoint: str) -> BigQueryConfig:
    return BigQueryConfig(project="p", dataset="d", auth="anonymous", endpoint=endpoint, connect_timeout=2)


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    class Answers(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Nothing is told."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


def opened(endpoint: str) -> None:
    with connected(config(endpoint)) as warehouse:
        warehouse.datasets("p")


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "https://nobody.invalid"])
def test_that_nobody_answers_is_said_soon(endpoint: str) -> None:
    began = time.monotonic()
    with pytest.raises(RemoteError, match="does not answer") as refused:
        opened(endpoint)
    assert refused.value.code == "sink.unreachable"
    assert refused.value.retryable
    assert time.monotonic() - began < SOON


def test_one_that_is_silent_is_given_up_after_the_time_to_connect() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(RemoteError, match="does not answer"):
            opened(f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert time.monotonic() - began < SOON


def test_a_look_is_taken_once(server: ThreadingHTTPServer) -> None:
    endpoint = f"http://127.0.0.1:{server.server_port}"
    with connected(config(endpoint)):
        pass
    server.shutdown()
    server.server_close()
    with connected(config(endpoint)):  # one that is away meanwhile is asked again and again, by each request
        pass
