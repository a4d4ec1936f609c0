"""The ports at which the broker answers, and what it knows of whoever came in by one of them."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from dpone_kafka.emulator.logins import Conversation

if TYPE_CHECKING:
    from dpone_kafka.doors import Doors

Users = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Door:
    """One port. Where there are users, one of them must log in before anything else is answered."""

    port: int
    users: Users = field(default_factory=dict, repr=False)
    context: ssl.SSLContext | None = None


class Session(Struct):
    """What is known of one connection."""

    door: Door
    conversation: Conversation | None = None
    is_known: bool = False
    is_refused: bool = False  # the connection ends behind the answer that says so

    @property
    def may_ask(self) -> bool:
        return self.is_known or not self.door.users


def write(path: Path, ports: Mapping[str, int], doors: Doors) -> None:
    """The file says what is behind each of the ports; it is readable for us alone, since it holds passwords."""
    users = {name: secret.reveal() for name, secret in doors.users.items()}
    identity = None if doors.identity is None else [str(doors.identity.server), str(doors.identity.authority)]
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
        json.dump({"ports": dict(ports), "users": users, "identity": identity}, file)


def read(path: Path) -> list[Door]:
    """The doors of the file, the open one first."""
    found = json.loads(path.read_text("utf-8"))
    doors: list[Door] = []
    for name, port in found["ports"].items():
        users = found["users"] if name in {"sasl", "sasl_tls"} else {}
        context = _context(*found["identity"], asks=name == "tls") if name in {"tls", "sasl_tls"} else None
        doors.append(Door(port, users, context))
    return doors


def _context(server: str, authority: str, *, asks: bool) -> ssl.SSLContext:
    """Shows the server's certificate; one that asks lets in only who shows one of the authority's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server)
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority)
    return context
