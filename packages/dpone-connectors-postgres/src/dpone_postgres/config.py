"""What a PostgreSQL connection holds."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from dpone.connector import Config, File
from dpone.loopback import before_port, is_loopback

SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]


class PostgresConfig(Config):
    """Where the server is and who we are there. TLS is verified in full unless the server is this machine itself."""

    host: str = Field(default="localhost", description="the server, or the folder of its socket")
    port: int = Field(default=5432, ge=1, le=65535, description="the port")
    user: str | None = Field(default=None, description="the user; by default the account that dpone runs under")
    password: SecretStr | None = Field(default=None, description="the password; none where `sslcert` says who we are")
    database: str = Field(default="postgres", description="the database")
    sslmode: SslMode | None = Field(default=None, description="as libpq has it; verify-full, on loopback prefer")
    sslrootcert: File | Literal["system"] | None = Field(
        default=None, description="a file of authorities to trust; by default the system's"
    )
    sslcert: File | None = Field(default=None, description="our own certificate, where the server asks for one")
    sslkey: File | None = Field(default=None, description="the key of `sslcert`, which nobody else may read")
    application_name: str = Field(default="dpone", description="what the server shows of us to who watches it")
    connect_timeout: int = Field(default=10, ge=1, description="seconds to wait for a connection")
    options: dict[str, str] = Field(
        default_factory=dict, description="settings of the server for each session: {work_mem: 64MB}"
    )

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if (self.sslcert is None) is not (self.sslkey is None):
            raise ValueError("`sslcert` and `sslkey` belong together")
        return self

    @property
    def tls(self) -> SslMode:
        """The mode in force."""
        return self.sslmode or ("prefer" if is_loopback(self.host) or self.host.startswith("/") else "verify-full")

    @property
    def label(self) -> str:
        """The connection for people: no secret, no user."""
        return f"{before_port(self.host)}:{self.port}/{self.database}"
