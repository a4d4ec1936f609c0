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


def distrusted(
    address: tuple[str, int], context: ssl.SSLContext, name: str, begin: Callable[[socket.socket], bool] | None = None
) -> str | None:
    """Why the server is not trusted under this name; None where it is, or where nobody answers at all.

    `begin` asks for TLS where a protocol begins in clear, and says whether the server agrees.
    """
    with suppress(TimeoutError, ConnectionError, socket.gaierror), socket.create_connection(address, _PATIENCE) as way:
        if begin is not None and not begin(way):
            return "it offers none"
        try:
            context.wrap_socket(way, server_hostname=name).close()
        except ssl.SSLCertVerificationError as error:
            return f"{error.verify_message.rstrip('.')}"
        except ssl.SSLError:
            return "the two do not agree upon it"
    return None


def not_trusted(side: str, label: str, why: str, hint: str) -> RemoteError:
    return RemoteError(f"there is no trusted way to {label} over TLS: {why}", code=f"{side}.not_trusted", hint=hint)
