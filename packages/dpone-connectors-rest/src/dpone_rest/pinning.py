"""One host, looked up once: every request of a run goes to the address that its name had when the run began.

A name that answers differently a minute later (DNS rebinding) leads nowhere else. The certificate is checked against
the name, not the address.
"""

from __future__ import annotations

import logging
import socket
from typing import Any
from urllib.parse import urlsplit

import requests
from msgspec import Struct
from requests.adapters import HTTPAdapter

from dpone.errors import RemoteError
from dpone_rest.faults import refuse_elsewhere

_PORTS = {"http": 80, "https": 443}


class Origin(Struct, frozen=True):
    """Scheme, host and port: what a request may be sent to."""

    scheme: str
    host: str
    port: int

    @property
    def header(self) -> str:
        """What the header Host says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.header}"


def origin_of(url: str) -> Origin | None:
    """Where a URL leads; None when it is none of HTTP."""
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError:
        return None
    if scheme not in _PORTS or not host:
        return None
    return Origin(scheme, host.lower(), port or _PORTS[scheme])


def resolve(origin: Origin) -> str:
    """The address of a host, as it is now."""
    try:
        found = socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise RemoteError(
            f"the host {origin.host} has no address",
            code="source.unreachable",
            hint="check the connection's `url` and the name service of this machine",
            retryable=True,
        ) from None
    return str(found[0][4][0])


class PinnedAdapter(HTTPAdapter):
    """Sends requests to one origin at one address, and nothing anywhere else."""

    def __init__(self, origin: Origin, address: str) -> None:
        self._origin = origin
        self._address = address
        super().__init__(max_retries=0)

    def build_connection_pool_key_attributes(
        self,
        request: requests.PreparedRequest,
        verify: bool | str,  # noqa: FBT001 -- as its base has it
        cert: Any = None,
    ) -> Any:
        if origin_of(request.url or "") != self._origin:
            raise refuse_elsewhere(str(self._origin))
        found: tuple[Any, Any] = super().build_connection_pool_key_attributes(request, verify, cert)
        where, how = dict(found[0]), dict(found[1])
        where["host"] = f"[{self._address}]" if ":" in self._address else self._address
        if self._origin.scheme == "https":
            how |= {"server_hostname": self._origin.host, "assert_hostname": self._origin.host}
        return where, how

    def add_headers(self, request: requests.PreparedRequest, **kwargs: Any) -> None:
        request.headers["Host"] = self._origin.header


class _WithoutQueries(logging.Filter):
    """Takes the query out of what urllib3 logs of a request: an API key may be in it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(a.partition("?")[0] if isinstance(a, str) else a for a in record.args)
        return True


for _name in ("urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_WithoutQueries(_name))


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """None, so that redirections are left to us: requests would prepare the next one even where it follows none."""


def pinned_session(
    origin: Origin, address: str, *, verify: bool | str, cert: tuple[str, str] | None
) -> requests.Session:
    """A session that can reach this origin alone, whatever the environment says of proxies, netrc or certificates."""
    session = _Session()
    session.trust_env = False
    session.verify = verify
    session.cert = cert
    session.adapters.clear()
    session.mount(f"{origin.scheme}://", PinnedAdapter(origin, address))
    return session
