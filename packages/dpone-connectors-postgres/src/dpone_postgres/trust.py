"""Whom we trust over TLS: the authorities that the connection names, or this system's."""

from __future__ import annotations

import socket
import ssl
import stat
import struct
from pathlib import Path

from dpone.errors import RemoteError, UsageError
from dpone.tls import client_context, distrusted, not_trusted, shaken, system_authorities
from dpone_postgres.config import PostgresConfig
from dpone_postgres.faults import Side

SYSTEM = "system"
_ENCRYPTED = frozenset({"require", "verify-ca", "verify-full"})
_TLS_REQUEST = struct.pack("!ii", 8, 80877103)


def authorities(config: PostgresConfig) -> str | None:
    """What libpq is told of them. The system's are a file where Python knows it: the OpenSSL that comes in psycopg's
    wheels looks for them in a folder that no system has, so that it would trust nobody.
    """
    named = config.sslrootcert or (SYSTEM if config.tls.startswith("verify") else None)
    return (system_authorities() or SYSTEM) if named == SYSTEM else named and str(named)


def refused_trust(config: PostgresConfig, side: Side) -> RemoteError | None:
    """Why TLS stands between us and the server; None when it is something else. Raises where it is a file of ours."""
    if config.tls == "disable" or config.host.startswith("/"):
        return None
    context = _context(config)
    if config.sslkey is not None:
        _refuse_open(config.sslkey, config.label)
    if config.tls not in _ENCRYPTED:
        return None
    why = distrusted((config.host, config.port), lambda way: _asks(way) and shaken(way, context, config.host))
    hint = "check `sslrootcert`, `sslcert`, `sslkey` and `sslmode` of the connection, and the name in the certificate"
    return None if why is None else not_trusted(side, config.label, why, hint)


def _context(config: PostgresConfig) -> ssl.SSLContext:
    named = authorities(config)
    context = client_context(config.label, None if named == SYSTEM else named, config.sslcert, config.sslkey)
    context.check_hostname = config.tls == "verify-full"
    if named is None:
        context.verify_mode = ssl.CERT_NONE
    return context


def _refuse_open(key: Path, label: str) -> None:
    """As libpq does, which does not say so: root's own key may be readable by a group."""
    found = key.stat()
    others = stat.S_IRWXO | (stat.S_IRWXG if found.st_uid else stat.S_IWGRP | stat.S_IXGRP)
    if found.st_mode & others:
        raise UsageError(
            f"{label}: {key} cannot be used for TLS: expected a key that nobody else may read, "
            f"and its mode is {stat.S_IMODE(found.st_mode):o}",
            code="connection.file_unusable",
            hint="chmod 600 the file",
        )


def _asks(way: socket.socket) -> bool:
    """Whether the server offers TLS."""
    way.sendall(_TLS_REQUEST)
    return way.recv(1) == b"S"
