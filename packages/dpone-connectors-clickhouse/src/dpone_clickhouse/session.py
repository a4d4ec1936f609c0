"""Statements and small answers over the native protocol: a driver's client with pinned settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

from dpone.errors import PlanError
from dpone.tls import distrusted, shaken, system_authorities
from dpone_clickhouse.config import ClickHouseConfig, Tls
from dpone_clickhouse.driver import Client, errors
from dpone_clickhouse.faults import Side, translated, untrusted

# Under these a value means the same wherever the server is, NULL is never replaced, and an empty set has no sum.
PINNED: Mapping[str, Any] = {
    "session_timezone": "UTC",
    "join_use_nulls": 0,
    "transform_null_in": 0,
    "insert_null_as_default": 0,
    "aggregate_functions_null_for_empty": 1,
    "date_time_overflow_behavior": "throw",
    "cast_keep_nullable": 0,
    "union_default_mode": "ALL",
    "mutations_sync": 2,
    "alter_sync": 2,
    "database_atomic_wait_for_drop_and_detach_synchronously": 0,
    "allow_suspicious_low_cardinality_types": 1,
    "insert_deduplicate": 0,
    "flatten_nested": 0,
    "max_partitions_per_insert_block": 0,
    "send_logs_level": "none",
}
READ_ONLY: Mapping[str, Any] = {"readonly": 2}  # settings may be sent, nothing may be written
MINIMUM = (26, 7)


class Session:
    """One connection, for one thread."""

    def __init__(self, client: Client, label: str) -> None:
        self.client = client
        self.label = label

    def run(self, statement: str, **settings: object) -> None:
        """The statement is carried out."""
        self.client.execute(statement, settings=settings or None)

    def ask(self, query: str, **settings: object) -> list[tuple[Any, ...]]:
        """All rows of a query that has few."""
        rows: list[tuple[Any, ...]] = self.client.execute(query, settings=settings or None)
        return rows

    def row(self, query: str) -> Sequence[Any]:
        """The only row of a query that has one."""
        return self.ask(query)[0]

    def value(self, query: str) -> Any:
        return self.ask(query)[0][0]


def connect(
    config: ClickHouseConfig, *, timeout: timedelta | None = None, settings: Mapping[str, object] | None = None
) -> Client:
    """A client; it connects with its first statement."""
    mode = config.tls_mode
    asked: dict[str, object] = {**config.settings, **PINNED, **(settings or {})}
    if timeout is not None:
        asked["max_execution_time"] = max(1, round(timeout.total_seconds()))
    return Client(
        host=config.host,
        port=config.ports[0],
        database=config.database,
        user=config.user,
        password=config.password.get_secret_value() if config.password else "",
        client_name="dpone",
        connect_timeout=config.connect_timeout,
        secure=mode != "off",
        verify=mode == "verify",
        ca_certs=str(config.ca_file) if config.ca_file else _system_authorities(mode),
        certfile=str(config.cert_file) if config.cert_file else None,
        keyfile=str(config.key_file) if config.key_file else None,
        server_hostname=config.server_name,
        settings=asked,
        tcp_keepalive=True,
    )


def _system_authorities(mode: Tls) -> str | None:
    """Those of this system, as over HTTP; the driver would take those of another package where that is installed."""
    return system_authorities() if mode == "verify" else None


@contextmanager
def session(
    config: ClickHouseConfig,
    side: Side,
    *,
    timeout: timedelta | None = None,
    settings: Mapping[str, object] | None = None,
) -> Iterator[Session]:
    """A connection that is closed at the end, and whose errors leave as dpone's."""
    client = connect(config, timeout=timeout, settings=settings)
    try:
        with translated(side, config.label):
            _reach(client, config, side)
            _refuse_old(client, side, config.label)
            yield Session(client, config.label)
    finally:
        client.disconnect()


def _reach(client: Client, config: ClickHouseConfig, side: Side) -> None:
    """The client is connected; raises with the reason when it is TLS that stands between, which the driver keeps."""
    try:
        client.connection.connect()
    except errors.NetworkError:
        if config.tls_mode != "off":
            from dpone_clickhouse.bulk import tls_context

            shake = partial(shaken, context=tls_context(config), name=config.server_name or config.host)
            if why := distrusted((config.host, config.ports[0]), shake):
                raise untrusted(side, config.label, why) from None
        raise


def _refuse_old(client: Client, side: Side, label: str) -> None:
    found = client.connection.server_info
    if (found.version_major, found.version_minor) < MINIMUM:
        raise PlanError(
            f"{label} is ClickHouse {found.version_major}.{found.version_minor}; dpone reads and writes "
            f"{MINIMUM[0]}.{MINIMUM[1]} and later, since earlier ones move dates silently into years that they know",
            code=f"{side}.version",
            hint="upgrade the server",
        )
