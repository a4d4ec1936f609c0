"""What a PostgreSQL connection holds, and how a URL spells it."""

from __future__ import annotations

import ipaddress
from typing import Literal, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import Field, SecretStr

from dpone.connector import Config
from dpone.errors import UsageError

SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
_TEXTS = ("sslmode", "sslrootcert", "application_name")
_NUMBERS = ("connect_timeout",)


class PostgresConfig(Config):
    """Where the server is and who we are there. TLS is verified in full unless the server is this machine itself."""

    host: str = "localhost"
    port: int = Field(default=5432, ge=1, le=65535)
    user: str | None = None
    password: SecretStr | None = None
    database: str = "postgres"
    sslmode: SslMode | None = None  # None: verify-full, but prefer on loopback
    sslrootcert: str | None = None  # a file, or "system"; None is the system's store
    application_name: str = "dpone"
    connect_timeout: int = Field(default=10, ge=1)
    options: dict[str, str] = Field(default_factory=dict)  # server settings of the session: {"work_mem": "64MB"}

    @property
    def tls(self) -> SslMode:
        """The mode in force."""
        return self.sslmode or ("prefer" if is_loopback(self.host) else "verify-full")

    @property
    def label(self) -> str:
        """The connection for people: no secret, no user."""
        return f"{self.host}:{self.port}/{self.database}"

    @classmethod
    def from_url(cls, url: str) -> Self:
        """The connection that `postgresql://user:password@host:port/database?sslmode=...` names."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise _not_a_url() from None
        given: dict[str, object] = {}
        if parts.hostname:
            given["host"] = unquote(parts.hostname)
        if port is not None:
            given["port"] = port
        if parts.username:
            given["user"] = unquote(parts.username)
        if parts.password is not None:
            given["password"] = SecretStr(unquote(parts.password))
        if path := parts.path.lstrip("/"):
            given["database"] = unquote(path)
        options: dict[str, str] = {}
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            if name in _TEXTS:
                given[name] = value
            elif name in _NUMBERS and value.isdigit():
                given[name] = int(value)
            elif name == "password":
                given[name] = SecretStr(value)
            elif name.startswith("options."):
                options[name.removeprefix("options.")] = value
            else:
                raise UsageError(
                    f"a postgresql URL has no parameter {name!r}",
                    code="manifest.invalid_url",
                    hint=f"known: {', '.join((*_TEXTS, *_NUMBERS))}, options.<server setting>",
                )
        return cls.model_validate({**given, "options": options} if options else given)


def is_loopback(host: str) -> bool:
    """True when the name can only mean this machine; a path is a local socket."""
    if host == "localhost" or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _not_a_url() -> UsageError:
    # the URL itself may hold the password, so it is not repeated
    return UsageError(
        "this is not a postgresql URL",
        code="manifest.invalid_url",
        hint="write postgresql://user@host:5432/database; percent-encode signs like / and @ in its parts",
    )
