"""The right to write one target: a query that runs on the server as long as the lease is held.

A server refuses a second query with the id of one that is running, whoever asks; and it ends a query a moment
after the connection of its client ended, however that happens. So the query is a lock of a session, which a
`kill -9` of its holder frees. Whoever takes the lease removes the shadows of those who held it before: a writer that
was held up finds nothing left to exchange. The lock is one server's: writers of one target must use the same server.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from time import monotonic, sleep
from uuid import uuid4

from msgspec import Struct

from dpone.books import WAIT, held_elsewhere
from dpone.names import print_name
from dpone_clickhouse.catalog import Name
from dpone_clickhouse.config import ClickHouseConfig
from dpone_clickhouse.driver import errors
from dpone_clickhouse.faults import RUNNING_ALREADY, translated
from dpone_clickhouse.session import Session, connect

_PAUSE = 0.02
_LOCK = "SELECT count() FROM system.numbers WHERE NOT ignore(sleepEachRow(0.01)) -- "
_SETTINGS = {
    "max_block_size": 1,
    "max_threads": 1,
    "interactive_delay": 10_000,  # microseconds between two looks at the connection
    "function_sleep_max_microseconds_per_block": 0,
    "max_execution_time": 0,
    "max_rows_to_read": 0,
    "log_queries": 0,
}


def digest_of(name: Name) -> str:
    """What stands for the target in the names of its lock, stages and shadows."""
    return hashlib.sha256("\0".join(name).encode()).hexdigest()[:16]


class Held(Struct, frozen=True):
    """A lease that is held, known to the server by the text of its query."""

    query_id: str
    token: str

    def refuse_lost(self, session: Session, target: str) -> None:
        """Raises when the server does not run this very query any more."""
        found = session.ask(
            f"SELECT query FROM system.processes WHERE query_id = '{self.query_id}'"  # noqa: S608 - a digest
        )
        if not any(query.endswith(self.token) for (query,) in found):
            raise held_elsewhere(target)


@contextmanager
def locked(config: ClickHouseConfig, name: Name, *, digest: str | None = None, wait: float = WAIT) -> Iterator[Held]:
    """Nobody else has the lease within the context, as long as the connection to the server stands.

    A sweep knows the digest of a target alone.
    """
    query_id = f"dpone-lease-{digest or digest_of(name)}"
    token = uuid4().hex
    until = monotonic() + wait
    client = connect(config, settings=_SETTINGS)
    try:
        with translated("sink", config.label):
            while True:
                answer = client.execute_iter(_LOCK + token, query_id=query_id, with_column_types=True)
                try:
                    next(answer)  # the names of its columns, which the server sends when it begins
                    break
                except errors.ServerException as error:
                    if error.code != RUNNING_ALREADY:
                        raise
                    if monotonic() > until:
                        raise held_elsewhere(print_name(name)) from None
                sleep(_PAUSE)
        reader = Thread(target=_read, args=(answer,), name="dpone-lease", daemon=True)
        reader.start()
        try:
            yield Held(query_id, token)
        finally:
            with suppress(errors.Error, OSError, EOFError):
                if reader.is_alive() and client.connection.connected:
                    client.connection.send_cancel()
                reader.join(timeout=5.0)
    finally:
        client.disconnect()


def _read(answer: Iterator[object]) -> None:
    """What the server says meanwhile is taken in, until the query ends."""
    with suppress(errors.Error, OSError, EOFError):
        for _ in answer:
            pass
