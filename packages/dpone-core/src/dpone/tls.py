"""Whom this system trusts over TLS, and why it does not trust a server, which drivers do not say."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from dpone.errors import RemoteError

_PATIENCE = 5.0


def system_authorities() -> str | None:
    """The file of those whom this system trusts, where Python knows one: a driver may look elsewhere by itself."""
    return ssl.get_default_verify_paths().cafile


def shaken(way: socket.socket, context: ssl.SSLContext, name: str) -> bool:
    """The server has shown who it is, by a protocol that speaks TLS from the first byte on."""
    context.wrap_socket(way, server_hostname=name).close()
    return True


def distrusted(address: tuple[str, int], shake: Callable[[socket.socket], bool]) -> str | None:
    """Why the server is not trusted; None where it is, or where nobody answers at all.

    `shake` lets the server show who it is, and says whether there is TLS at all.
    """
    with suppress(OSError), socket.create_connection(address, _PATIENCE) as way:
        try:
            return None if shake(way) else "it offers none"
        except ssl.SSLCertVerificationError as error:
            return error.verify_message.rstrip(".")
        except ssl.SSLError:
            return "the two do not agree upon it"
    return None


def not_trusted(side: str, label: str, why: str, hint: str) -> RemoteError:
    return RemoteError(f"there is no trusted way to {label} over TLS: {why}", code=f"{side}.not_trusted", hint=hint)
