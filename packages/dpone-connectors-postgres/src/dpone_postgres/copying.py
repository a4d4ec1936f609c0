"""COPY on the wire: what the server sends, gathered to large pieces and never decoded; what we send, with its count."""

from __future__ import annotations

from collections.abc import Generator

from psycopg import Error, errors, pq

from dpone_postgres.session import Connection
from dpone_postgres.waiting import EVENT_READ, EVENT_WRITE, wait_for

BINARY_SIGNATURE = b"PGCOPY\n\xff\r\n\0"
BINARY_HEADER = BINARY_SIGNATURE + b"\0" * 8
BINARY_TRAILER = b"\xff\xff"
_FEW = 8 << 10  # bytes of messages that are joined first: many small ones at once would not fit the processor's cache
_STANDING = frozenset({pq.TransactionStatus.IDLE, pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR})


def copy_out(connection: Connection, statement: str, piece: int) -> Generator[tuple[bytes, int], None, int]:
    """Pieces of at least `piece` bytes (but for the last), each of whole messages, with their number.

    The server sends one message per row; in binary one more with the trailer. The generator's value is the server's own
    count of rows. Left before its end, the connection is closed, since the rest of the answer is still on its way.
    """
    wire = connection.pgconn
    finished = False
    try:
        _start(wire, statement, pq.ExecStatus.COPY_OUT)
        joined: list[bytes] = []
        messages: list[bytes | memoryview] = []
        whole = held = count = 0
        get, take, few = wire.get_copy_data, messages.append, min(piece, _FEW)
        size, data = get(1)
        while size >= 0:
            while size > 0:
                take(data)
                held += size
                if held >= few:
                    joined.append(b"".join(messages))
                    count += len(messages)
                    messages.clear()
                    whole += held
                    held = 0
                    if whole >= piece:
                        yield b"".join(joined), count
                        joined.clear()
                        whole = count = 0
                size, data = get(1)
            if size == 0:
                wire.consume_input()  # more has mostly come, which costs less to try than to ask the system
                size, data = get(1)
            if size == 0:
                _wait(wire)
                size, data = get(1)
        rows = _finish(wire)
        finished = True
        if joined or messages:
            yield b"".join([*joined, *messages]), count + len(messages)
        return rows
    finally:
        if not finished:
            connection.close()


class CopyIn:
    """One COPY FROM STDIN. Pieces are sent as they come; after `finish`, `rows` is the server's count of them."""

    def __init__(self, connection: Connection, statement: str) -> None:
        self._connection = connection
        self._wire = connection.pgconn
        self.rows = 0  # by the server's own count, once finished
        _start(self._wire, statement, pq.ExecStatus.COPY_IN)

    def send(self, data: bytes) -> None:
        while self._wire.put_copy_data(data) == 0:
            _flush(self._wire)
        _flush(self._wire)

    def finish(self) -> None:
        """All is sent, and taken."""
        while self._wire.put_copy_end() == 0:
            _flush(self._wire)
        _flush(self._wire)
        self.rows = _finish(self._wire)

    def abandon(self) -> None:
        """The server forgets what was sent; the connection, if it still stands, is in a transaction that failed."""
        try:
            while self._wire.put_copy_end(b"abandoned") == 0:
                _flush(self._wire)
            _flush(self._wire)
            _finish(self._wire)
        except Error:
            if self._wire.transaction_status not in _STANDING:
                self._connection.close()


def _start(wire: pq.abc.PGconn, statement: str, expected: pq.ExecStatus) -> None:
    wire.send_query(statement.encode())
    _flush(wire)
    _await(wire)
    result = wire.get_result()
    if result is None or result.status != expected:
        _drain(wire)
        raise _error(wire, result)


def _finish(wire: pq.abc.PGconn) -> int:
    """The count in the command's tag, or the error that ended it."""
    rows = 0
    failure: pq.abc.PGresult | None = None
    while True:
        _await(wire)
        result = wire.get_result()
        if result is None:
            break
        if result.status == pq.ExecStatus.COMMAND_OK:
            rows = result.command_tuples or 0
        else:
            failure = failure or result
    if failure is not None:
        raise _error(wire, failure)
    return rows


def _error(wire: pq.abc.PGconn, result: pq.abc.PGresult | None) -> Exception:
    if result is None or result.status != pq.ExecStatus.FATAL_ERROR:
        return errors.ProtocolViolation(wire.get_error_message())
    return errors.error_from_result(result)


def _drain(wire: pq.abc.PGconn) -> None:
    while wire.get_result() is not None:
        pass


def _flush(wire: pq.abc.PGconn) -> None:
    """Everything handed over is with the system; meanwhile what the server sends is taken in, so that neither waits."""
    while wire.flush():
        if wait_for(wire.socket, EVENT_READ | EVENT_WRITE) & EVENT_READ:
            wire.consume_input()


def _await(wire: pq.abc.PGconn) -> None:
    while wire.is_busy():
        _wait(wire)


def _wait(wire: pq.abc.PGconn) -> None:
    wait_for(wire.socket, EVENT_READ)
    wire.consume_input()
