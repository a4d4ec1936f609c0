"""What a PostgreSQL connection holds."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from dpone.connector import Config
from dpone.loopback import is_loopback

SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]


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
        return self.sslmode or ("prefer" if is_loopback(self.host) or self.host.startswith("/") else "verify-full")

    @property
    def label(self) -> str:
        """The connection for people: no secret, no user."""
        return f"{self.host}:{self.port}/{self.database}"
