"""The doors of a broker for tests: beside the open one those for clients that log in, over TLS, or both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from dpone.testing.services.secret import Secret

MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


class Identity(Struct, frozen=True):
    """How clients know the brokers, and brokers clients: PEM files, the server's with its key."""

    server: Path
    authority: Path


class Doors(Struct, frozen=True):
    """Who may log in, and with which certificate a broker shows itself."""

    users: Mapping[str, Secret] = field(default_factory=dict)
    identity: Identity | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The further ports of the endpoint."""
        sasl, tls = bool(self.users), self.identity is not None
        return (*(["sasl"] if sasl else []), *(["tls"] if tls else []), *(["sasl_tls"] if sasl and tls else []))
