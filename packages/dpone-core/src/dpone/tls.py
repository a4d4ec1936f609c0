"""Whom we trust over TLS and what we show of ourselves, and what is wrong about it, which drivers do not say."""

from __future__ import annotations

import re
import socket
import ssl
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dpone.errors import RemoteError, UsageError

if TYPE_CHECKING:
    from pydantic import SecretStr

_PATIENCE = 5.0
_CERTIFICATE = "a certificate as PEM (-----BEGIN CERTIFICATE-----)"
_KEY = "a key as PEM (-----BEGIN PRIVATE KEY-----)"
_NO_PASSWORD = ""  # without one OpenSSL would ask the terminal


def system_authorities() -> str | None:
    """The file of those whom this system trusts, where Python knows one: a driver may look elsewhere by itself."""
    return ssl.get_default_verify_paths().cafile


def client_context(
    label: str,
    authorities: Path | str | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
) -> ssl.SSLContext:
    """A context that trusts those whom the file names, or else this system's, and shows our certificate.

    Raises where a file holds none of what it is for: drivers take that for a server that is away.
    """
    try:
        context = ssl.create_default_context(cafile=authorities)
        if certificate is not None:
            context.load_cert_chain(certificate, key, password=_NO_PASSWORD)
    except OSError:
        check_files(label, authorities, certificate, key)  # which says what is wrong with which of them
        raise
    return context


def check_files(
    label: str,
    authorities: Path | str | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    password: SecretStr | None = None,
) -> None:
    """The files hold certificates, and a key that belongs to ours and opens by the password; raises otherwise."""
    for path in (authorities, certificate):
        if path is not None:
            _loaded(label, path, f"expected {_CERTIFICATE}", partial(_trusts, path=path))
    if certificate is None:
        return
    held = certificate if key is None else key
    secret = _NO_PASSWORD if password is None else password.get_secret_value()
    opens = "with the password of the connection" if secret else "without a password"

    def load(context: ssl.SSLContext) -> None:
        context.load_cert_chain(certificate, key, password=lambda: secret)

    _loaded(label, held, f"expected {_KEY} that opens {opens} and belongs to the certificate in {certificate}", load)


def check_certificate(label: str, path: Path) -> None:
    """The file holds a certificate, as PEM or DER; raises otherwise."""
    with suppress(OSError, ValueError):
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=path.read_bytes())
        return
    _loaded(label, path, f"expected {_CERTIFICATE}, or as DER", partial(_trusts, path=path))


def certificates_in(path: Path) -> tuple[bytes, ...]:
    """The certificates of a file that `check_certificate` takes, as DER."""
    content = path.read_bytes()
    found = re.findall(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", content, re.DOTALL)
    return tuple(b64decode(text) for text in found) or (content,)


def _trusts(context: ssl.SSLContext, path: Path | str) -> None:
    context.load_verify_locations(path)


def _loaded(label: str, path: Path | str, expected: str, load: Callable[[ssl.SSLContext], None]) -> None:
    try:
        load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    except OSError as error:
        found = {"KEY_VALUES_MISMATCH": "it holds the key of another one"}.get(
            str(getattr(error, "reason", None)),
            "it holds none such" if isinstance(error, ssl.SSLError) else f"it cannot be read ({type(error).__name__})",
        )
        raise UsageError(
            f"{label}: {path} cannot be used for TLS: {expected}, and {found}",
            code="connection.file_unusable",
            hint="write the path of the right file; `openssl x509 -in FILE -text` shows what a certificate's holds",
        ) from None


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
