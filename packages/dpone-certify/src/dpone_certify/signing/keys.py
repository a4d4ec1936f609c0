"""Keys from a file or from the environment: Ed25519, as PEM."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from dpone.errors import UsageError

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, SSlibKey

ENVIRONMENT = "env:"
_MAKE = "openssl genpkey -algorithm ed25519 -out signing.pem && openssl pkey -in signing.pem -pubout -out public.pem"


def signer_of(said: str) -> CryptoSigner:
    """The signer behind a path, or behind `env:NAME`; a file that others can read is refused."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    pem = _pem(said, private=True)
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):  # its message could quote the key; TypeError: it is encrypted
        raise _unusable(said, "it holds no private key as unencrypted PEM") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable(said, "it is not an Ed25519 key")
    return CryptoSigner(key)


def public_key_of(said: str) -> SSlibKey:
    """The public key behind a path, or behind `env:NAME`."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.signer import SSlibKey

    pem = _pem(said, private=False)
    try:
        key = load_pem_public_key(pem)
    except ValueError:
        raise _unusable(said, "it holds no public key as PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise _unusable(said, "it is not an Ed25519 key")
    return SSlibKey.from_crypto(key)


def _pem(said: str, *, private: bool) -> bytes:
    if said.startswith(ENVIRONMENT):
        name = said.removeprefix(ENVIRONMENT)
        value = os.environ.get(name)
        if not value:
            raise _unusable(said, f"the variable {name} is not set")
        return value.encode()
    path = Path(said)
    try:
        if private and os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise UsageError(
                f"others can read the signing key {path}",
                code="usage.signing_key_open",
                hint=f"chmod 600 {path}",
            )
        return path.read_bytes()
    except OSError as error:
        raise _unusable(said, error.strerror or type(error).__name__) from None


def _unusable(said: str, reason: str) -> UsageError:
    return UsageError(
        f"the key {said} cannot be used: {reason}",
        code="usage.invalid_key",
        hint=f"name a PEM file or env:NAME; a pair is made by: {_MAKE}",
    )
