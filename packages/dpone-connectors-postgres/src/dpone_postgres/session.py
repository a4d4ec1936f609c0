"""Connections to PostgreSQL: pinned settings under which text means the same at both ends, failures by SQLSTATE."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
from psycopg import conninfo, pq

from dpone.errors import PlanError
from dpone_postgres.config import PostgresConfig
from dpone_postgres.faults import Side, not_a_database, refused_login, translate, unreachable
from dpone_postgres.waiting import EVENT_READ, EVENT_WRITE, wait_for

Connection = psycopg.Connection[tuple[Any, ...]]

# With these the server prints every value so that a server with the same settings reads back the very same one.
PINNED = {
    "search_path": "",
    "client_encoding": "UTF8",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmlbinary": "base64",
    "xmloption": "content",
    "standard_conforming_strings": "on",
    "row_security": "off",  # a policy would hide rows from us without a word: then reading is an error instead
}
MINIMUM = 140000


def connect(
    config: PostgresConfig,
    side: Side,
    *,
    timeout: timedelta | None = None,
    settings: dict[str, str] | None = None,
    replication: bool = False,
) -> Connection:
    """A connection in autocommit mode, ready for work."""
    asked = {**config.options, **PINNED, **(settings or {})}
    if timeout is not None:
        asked["statement_timeout"] = str(int(timeout.total_seconds() * 1000))
    parameters = _parameters(config, asked)
    if replication:
        parameters["replication"] = "database"
    try:
        connection = psycopg.connect(autocommit=True, prepare_threshold=None, **parameters)
    except psycopg.OperationalError as error:
        raise _failed(error, parameters, config, side) from None
    if connection.info.server_version < MINIMUM:
        version = connection.info.server_version // 10000
        connection.close()
        raise _too_old(config, side, version)
    return connection


@contextmanager
def session(config: PostgresConfig, side: Side, **how: Any) -> Iterator[Connection]:
    """A connection that is closed at the end, and whose errors leave as dpone's."""
    connection = connect(config, side, **how)
    try:
        yield connection
    except psycopg.Error as error:
        raise translate(error, side, config.label) from None
    finally:
        connection.close()


def _parameters(config: PostgresConfig, settings: dict[str, str]) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "host": config.host,
        "port": config.port,
        "dbname": config.database,
        "sslmode": config.tls,
        "application_name": config.application_name,
        "connect_timeout": config.connect_timeout,
        "keepalives_idle": 60,
        "options": " ".join(f"-c {name}={_escaped(value)}" for name, value in settings.items()),
    }
    if config.user is not None:
        parameters["user"] = config.user
    if config.password is not None:
        parameters["password"] = config.password.get_secret_value()
    if config.sslrootcert is not None or config.tls.startswith("verify"):
        from dpone_postgres.trust import authorities  # which imports ssl, 5 ms that a loopback need not wait for

        parameters["sslrootcert"] = authorities(config)
    if config.sslcert is not None:
        parameters |= {"sslcert": str(config.sslcert), "sslkey": str(config.sslkey)}
    return parameters


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


_STATE = re.compile(rb'ErrorResponse.*? C "([0-9A-Z]{5})"', re.DOTALL)


def _failed(
    error: psycopg.OperationalError, parameters: dict[str, Any], config: PostgresConfig, side: Side
) -> Exception:
    state = error.sqlstate or _state_of_login(parameters)
    if state in {"28000", "28P01"}:
        return refused_login(side, config.label, state)
    if state == "3D000":
        return not_a_database(side, config.label)
    from dpone_postgres.trust import refused_trust

    return refused_trust(config, side) or unreachable(side, config.label)


def _state_of_login(parameters: dict[str, Any]) -> str | None:
    """The SQLSTATE with which the server refuses this login; None when none answers.

    libpq keeps it to itself for a login, so the login is tried again under its protocol trace, in memory.
    """
    if not hasattr(os, "memfd_create"):
        return None
    trace = os.memfd_create("login")
    try:
        attempt = pq.PGconn.connect_start(conninfo.make_conninfo(**parameters).encode())
        try:
            attempt.trace(trace)
            attempt.set_trace_flags(pq.Trace.SUPPRESS_TIMESTAMPS)
            _finish_login(attempt, parameters["connect_timeout"])
            attempt.untrace()
        finally:
            attempt.finish()
        os.lseek(trace, 0, os.SEEK_SET)
        found = _STATE.search(os.read(trace, 1 << 16))
        return found[1].decode() if found else None
    except (psycopg.Error, OSError):
        return None
    finally:
        os.close(trace)


def _finish_login(attempt: pq.abc.PGconn, seconds: float) -> None:
    while (status := attempt.connect_poll()) in {pq.PollingStatus.READING, pq.PollingStatus.WRITING}:
        event = EVENT_READ if status == pq.PollingStatus.READING else EVENT_WRITE
        if not wait_for(attempt.socket, event, seconds):
            return


def _too_old(config: PostgresConfig, side: Side, version: int) -> Exception:
    return PlanError(
        f"{config.label} is PostgreSQL {version}; dpone reads and writes 14 and later",
        code=f"{side}.version",
        hint="upgrade the server",
    )
