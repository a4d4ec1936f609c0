"""Where a service answers, how it was had and how much a test against it proves."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, StrEnum
from functools import total_ordering
from types import MappingProxyType
from urllib.parse import quote

from msgspec import Struct, field
from msgspec.structs import force_setattr

from dpone.testing.services.secret import Secret

URL_QUERY = "url_query"  # among `Endpoint.extra`: what the URL says behind its question mark


class Provider(StrEnum):
    """How a service was had."""

    DOCKER = "docker"
    EMBEDDED = "embedded"  # a real engine out of a wheel, a child of the test process
    EMULATED = "emulated"  # our own stand-in for the engine
    GIVEN = "given"  # somebody's server, named by the environment


@total_ordering
class Fidelity(Enum):
    """How much a green run proves, least first: our own logic, our client code, the engine, the vendor's service."""

    # not a StrEnum: str already has an order, and by it "vendor" < "contract" would be a silent lie waiting to happen
    CONTRACT = "contract"
    EMULATED = "emulated"
    REAL = "real"
    VENDOR = "vendor"

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Fidelity):
            return NotImplemented
        order = tuple(Fidelity)
        return order.index(self) < order.index(other)


class Endpoint(Struct, frozen=True):
    """A service that answers. Safe to print and to log: the password is a `Secret`."""

    connector: str  # the registered name: "postgres", "kafka"
    host: str
    ports: Mapping[str, int]  # by purpose; the first one is the main port
    provider: Provider
    fidelity: Fidelity
    user: str | None = None
    password: Secret | None = None
    database: str | None = None
    scheme: str | None = None  # of the URL, where it is not the connector's name
    extra: Mapping[str, str] = field(default_factory=dict)  # what only this connector understands; never a secret

    def __post_init__(self) -> None:
        force_setattr(self, "ports", MappingProxyType(dict(self.ports)))
        force_setattr(self, "extra", MappingProxyType(dict(self.extra)))

    @property
    def port(self) -> int:
        return next(iter(self.ports.values()))

    def url(self, *, scheme: str | None = None, port: str | None = None) -> str:
        """The connection URL with the password in clear: made on demand, for handing to a client and nothing else."""
        login = ""
        if self.user is not None:
            login = quote(self.user, safe="")
            if self.password is not None:
                login += ":" + quote(self.password.reveal(), safe="")
            login += "@"
        host = f"[{self.host}]" if ":" in self.host else self.host
        number = f":{self.ports[port] if port else self.port}" if self.ports else ""
        path = "/" + quote(self.database, safe="") if self.database else ""
        asked = f"?{self.extra[URL_QUERY]}" if URL_QUERY in self.extra else ""
        return f"{scheme or self.scheme or self.connector}://{login}{host}{number}{path}{asked}"
