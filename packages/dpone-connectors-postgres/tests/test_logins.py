"""Logins ahead: whoever asks next finds the connection or the error, and one that is not asked for keeps nobody."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from dpone.errors import RemoteError
from dpone_postgres import connections as module
from dpone_postgres.config import PostgresConfig
from dpone_postgres.connections import Connections

CONFIG = PostgresConfig.model_validate({"host": "127.0.0.1", "port": 1, "user": "u", "database": "d"})


class Made:
    """A connection as far as its keeper looks at one."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


def test_a_login_under_way_is_taken_by_the_session_without_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Made] = []

    def connect(*_: object, timeout: timedelta | None = None) -> Made:
        del timeout
        made.append(Made())
        return made[-1]

    monkeypatch.setattr(module, "connect", connect)
    monkeypatch.setattr(module, "_is_at_rest", lambda _: False)
    connections = Connections(CONFIG, "sink", keeps=True)
    connections.log_in_ahead()
    connections.log_in_ahead()  # one is under way
    taken: list[object] = []
    for limit in (timedelta(seconds=1), None):
        with connections.session(timeout=limit) as connection:
            taken.append(connection)
    assert taken == [made[1], made[0]]
    connections.log_in_ahead()
    connections.close()
    assert all(m.closed for m in made)


def test_an_error_of_a_login_ahead_is_that_of_the_session() -> None:
    connections = Connections(CONFIG, "sink", keeps=True)
    connections.log_in_ahead()
    with pytest.raises(RemoteError) as refused, connections.session():
        pytest.fail("nobody answers")
    assert refused.value.code == "sink.unreachable"
    connections.close()


def test_a_login_that_comes_too_late_is_closed_and_keeps_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    late, answered, connection = threading.Event(), threading.Event(), Made()

    def close() -> None:
        connection.closed = True
        answered.set()

    def connect(*_: object) -> Made:
        late.wait(60)
        return connection

    monkeypatch.setattr(connection, "close", close)
    monkeypatch.setattr(module, "connect", connect)
    connections = Connections(CONFIG, "source", keeps=True)
    connections.log_in_ahead()
    connections.close()
    assert not connection.closed
    late.set()
    assert answered.wait(60)


def test_nothing_of_a_refused_login_is_at_work_when_the_process_may_end() -> None:
    before = set(threading.enumerate())
    connections = Connections(CONFIG, "sink", keeps=True)
    connections.log_in_ahead()
    connections.close()
    assert set(threading.enumerate()) <= before
