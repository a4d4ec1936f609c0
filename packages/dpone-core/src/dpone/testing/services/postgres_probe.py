"""Asks a PostgreSQL server whether it takes sessions, without a driver and without a password."""

from __future__ import annotations

import socket
import struct

_PROTOCOL_3_0 = 196608


def takes_sessions(host: str, port: int, *, timeout: float = 1.0) -> bool:
    """The server asks to authenticate; while it starts or stops, it sends an error instead."""
    body = struct.pack("!I", _PROTOCOL_3_0) + b"user\0dpone\0database\0postgres\0\0"
    try:
        with socket.create_connection((host, port), timeout) as session:
            session.sendall(struct.pack("!I", len(body) + 4) + body)
            return session.recv(1) == b"R"
    except OSError:
        return False
