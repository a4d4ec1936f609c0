"""How clients say who they are: the server's side of PLAIN and of SCRAM (RFC 5802), message by message."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Mapping
from typing import Protocol

ROUNDS = 4096  # of hashing, the fewest that are allowed
_SALT = os.urandom(16)  # of this process


class RefusedError(Exception):
    """The client is not who it says, or does not speak as the mechanism asks for."""


class Conversation(Protocol):
    """`answer` takes what the client said; afterwards `is_over` says whether the client is logged in."""

    is_over: bool

    def answer(self, said: bytes) -> bytes: ...


class Plain:
    """The client says its name and its password."""

    def __init__(self, users: Mapping[str, str]) -> None:
        self._users = users
        self.is_over = False

    def answer(self, said: bytes) -> bytes:
        parts = said.split(b"\0")
        if len(parts) != 3:  # noqa: PLR2004 - for whom it speaks, its name, its password
            raise RefusedError
        password = self._users.get(parts[1].decode())
        if password is None or not hmac.compare_digest(password.encode(), parts[2]):
            raise RefusedError
        self.is_over = True
        return b""


class Scram:
    """The client proves that it knows the password, and so do we; nobody says it."""

    def __init__(self, users: Mapping[str, str], digest: str) -> None:
        self._users = users
        self._digest = digest
        self._header = ""  # what the client said of a channel that it might bind the login to, as it repeats it
        self._first: tuple[bytes, bytes, bytes] | None = None  # the client's, ours, and what the password amounts to
        self.is_over = False

    def answer(self, said: bytes) -> bytes:
        return self._challenge(said) if self._first is None else self._verdict(said, *self._first)

    def _challenge(self, said: bytes) -> bytes:
        binding, speaks_for, bare = (*said.split(b",", 2), b"", b"")[:3]
        named = _attributes(bare)
        password = self._users.get(named.get("n", "").replace("=2C", ",").replace("=3D", "="))
        if binding not in {b"n", b"y"} or speaks_for or not named.get("r") or password is None:
            raise RefusedError
        self._header = base64.b64encode(binding + b",,").decode()
        nonce = named["r"] + secrets.token_hex(12)
        ours = f"r={nonce},s={base64.b64encode(_SALT).decode()},i={ROUNDS}".encode()
        self._first = bare, ours, hashlib.pbkdf2_hmac(self._digest, password.encode(), _SALT, ROUNDS)
        return ours

    def _verdict(self, said: bytes, first: bytes, ours: bytes, salted: bytes) -> bytes:
        bare, _, _ = said.rpartition(b",p=")
        found, expected = _attributes(said), _attributes(ours)
        if (found.get("c"), found.get("r")) != (self._header, expected["r"]):
            raise RefusedError
        try:
            proof = base64.b64decode(found.get("p", ""), validate=True)
        except binascii.Error:
            raise RefusedError from None
        exchanged = b",".join((first, ours, bare))
        stored = hashlib.new(self._digest, self._keyed(salted, b"Client Key")).digest()
        signature = self._keyed(stored, exchanged)
        key = bytes(one ^ other for one, other in zip(proof, signature, strict=False))
        if not hmac.compare_digest(hashlib.new(self._digest, key).digest(), stored):
            raise RefusedError
        self.is_over = True
        return b"v=" + base64.b64encode(self._keyed(self._keyed(salted, b"Server Key"), exchanged))

    def _keyed(self, key: bytes, message: bytes) -> bytes:
        return hmac.digest(key, message, self._digest)


def _attributes(said: bytes) -> dict[str, str]:
    return {name: value for name, _, value in (part.partition("=") for part in said.decode().split(","))}


CONVERSATIONS: Mapping[str, Callable[[Mapping[str, str]], Conversation]] = {
    "PLAIN": Plain,
    "SCRAM-SHA-256": lambda users: Scram(users, "sha256"),
    "SCRAM-SHA-512": lambda users: Scram(users, "sha512"),
}
