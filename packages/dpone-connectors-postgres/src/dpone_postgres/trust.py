"""Whom we trust over TLS: the authorities that the connection names, or this system's."""

from __future__ import annotations

import socket
import ssl
import struct

from dpone.errors import RemoteError
from dpone.tls import distrusted, not_trusted, shaken, system_authorities
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
    """Why TLS stands between us and the server; None when it is something else."""
    if config.tls not in _ENCRYPTED or config.host.startswith("/"):
        return None
    try:
        context = _context(config)
    except OSError as error:
        why: str | None = f"a file of the connection cannot be read ({type(error).__name__})"
    else:
        why = distrusted((config.host, config.port), lambda way: _asks(way) and shaken(way, context, config.host))
    hint = "check `sslrootcert`, `sslcert`, `sslkey` and `sslmode` of the connection, and the name in the certificate"
    return None if why is None else not_trusted(side, config.label, why, hint)


def _context(config: PostgresConfig) -> ssl.SSLContext:
    named = authorities(config)
    context = ssl.create_default_context(cafile=None if named == SYSTEM else named)
    context.check_hostname = config.tls == "verify-full"
    if named is None:
        context.verify_mode = ssl.CERT_NONE
    if config.sslcert is not None:
        context.load_cert_chain(config.sslcert, config.sslkey)
    return context


def _asks(way: socket.socket) -> bool:
    """Whether the server offers TLS."""
    way.sendall(_TLS_REQUEST)
    return way.recv(1) == b"S"
