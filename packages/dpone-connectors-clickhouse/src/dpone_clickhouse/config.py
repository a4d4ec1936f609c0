"""What a connection to ClickHouse holds. TLS is verified unless the server is this machine itself."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator

from dpone.connector import Config, File
from dpone.loopback import before_port, is_loopback

Tls = Literal["verify", "require", "off"]
Text = Annotated[str, StringConstraints(min_length=1)]
Port = Annotated[int, Field(ge=1, le=65535)]

_NATIVE_PORT, _NATIVE_TLS_PORT = 9000, 9440
_HTTP_PORT, _HTTP_TLS_PORT = 8123, 8443


class ClickHouseConfig(Config):
    """Where the server is, who we are there, and how the way to it is kept private."""

    host: Text = Field(default="localhost", description="the server's name or address")
    port: Port | None = Field(default=None, description="of the native protocol, for queries; 9440, without TLS 9000")
    http_port: Port | None = Field(default=None, description="of HTTP, for bulk data; 8443, without TLS 8123")
    database: Text = Field(default="default", description="the database")
    user: Text = Field(default="default", description="the user")
    password: SecretStr | None = Field(
        default=None, description="the password; none where `cert_file` says who we are, or the user has none"
    )
    tls: Tls | None = Field(
        default=None,
        description="verify: encrypted, certificate checked; require: encrypted, any certificate; off: in clear. "
        "verify by default, off on loopback",
    )
    ca_file: File | None = Field(default=None, description="certificates to trust; the system's unless given")
    cert_file: File | None = Field(default=None, description="our own certificate, where the server asks for one")
    key_file: File | None = Field(default=None, description="the key of `cert_file`")
    server_name: Text | None = Field(default=None, description="the name in the certificate, where it is not `host`")
    compression: Literal["none", "gzip"] = Field(
        default="none", description="of bulk data on its way; gzip pays where the network is slower than 50 MB/s"
    )
    connect_timeout: int = Field(default=10, ge=1, description="seconds to wait for a connection")
    settings: dict[Text, str | int | float | bool] = Field(
        default_factory=dict, description="settings of the server for each session: {max_threads: 4}"
    )

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if (self.cert_file is None) is not (self.key_file is None):
            raise ValueError("`cert_file` and `key_file` belong together")
        if self.tls_mode == "off" and self.cert_file is not None:
            raise ValueError("a certificate is shown only over TLS: set tls: verify")
        if self.tls_mode != "verify" and (self.ca_file is not None or self.server_name is not None):
            raise ValueError("`ca_file` and `server_name` are for tls: verify, which is what they ask for")
        return self

    @property
    def tls_mode(self) -> Tls:
        """The mode in force."""
        if self.tls is not None:
            return self.tls
        wanted = self.ca_file or self.cert_file or self.server_name
        return "verify" if wanted or not is_loopback(self.host) else "off"

    @property
    def ports(self) -> tuple[int, int]:
        """The ports in force: native, HTTP."""
        native, http = (_NATIVE_PORT, _HTTP_PORT) if self.tls_mode == "off" else (_NATIVE_TLS_PORT, _HTTP_TLS_PORT)
        return self.port or native, self.http_port or http

    @property
    def label(self) -> str:
        """The connection for people: no secret, no user."""
        return f"{before_port(self.host)}:{self.ports[0]}/{self.database}"

    @property
    def bulk_label(self) -> str:
        """The same by the port of bulk data, which may be away while the other answers."""
        return f"{before_port(self.host)}:{self.ports[1]}/{self.database}"
