"""What a connection to SQL Server holds. TLS is verified unless the server is this machine itself."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator

from dpone.connector import Config, File
from dpone.loopback import before_port, is_loopback

Auth = Literal["sql", "windows", "entra_password", "entra_service_principal", "entra_managed_identity", "entra_default"]
Tls = Literal["verify", "strict", "trust", "off"]
Text = Annotated[str, StringConstraints(min_length=1)]

# who says who we are: a name with a password, or whatever runs us
_BY_PASSWORD = frozenset({"sql", "entra_password", "entra_service_principal"})
_BY_ENVIRONMENT = frozenset({"windows", "entra_default"})


class MssqlConfig(Config):
    """Where the server is, who we are there, and how the way to it is kept private."""

    host: Text = Field(default="localhost", description="the server's name or address")
    port: int | None = Field(default=None, ge=1, le=65535, description="the TCP port; 1433 unless `instance` is given")
    instance: Text | None = Field(default=None, description="a named instance, whose port the server's browser tells")
    database: Text = Field(description="the database")
    auth: Auth = Field(
        default="sql",
        description="how we say who we are: by a SQL Server login, by Windows or Kerberos, or by Microsoft Entra",
    )
    user: Text | None = Field(
        default=None, description="the login; of a service principal or a managed identity its client id"
    )
    password: SecretStr | None = Field(default=None, description="the password, or the secret of a service principal")
    tls: Tls | None = Field(
        default=None,
        description="verify: encrypted, certificate checked; strict: likewise, and before the first byte of TDS (8.0); "
        "trust: encrypted, any certificate; off: only the login is encrypted. verify by default, trust on loopback",
    )
    certificate: File | None = Field(default=None, description="a file with the certificate that the server must have")
    certificate_host: Text | None = Field(
        default=None, description="the name that the certificate is for, where it is not `host`"
    )
    intent: Literal["read_write", "read_only"] = Field(
        default="read_write", description="read_only lets an availability group answer from a readable secondary"
    )
    multi_subnet_failover: bool = Field(default=False, description="try all addresses of `host` at once")
    driver: Literal["auto", "odbc", "mssql_python"] = Field(
        default="auto", description="pyodbc with Microsoft's ODBC driver, or mssql-python; auto takes what loads"
    )
    login_timeout: int = Field(default=15, ge=1, description="seconds to wait for the login")
    application_name: Text = Field(default="dpone", description="the name under which the server lists the session")

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.instance is not None and self.port is not None:
            raise ValueError("give `port` or `instance`, not both: the port of an instance is asked from the server")
        if self.auth in _BY_PASSWORD and (self.user is None or self.password is None):
            raise ValueError(f"auth {self.auth} needs `user` and `password`")
        if self.auth in _BY_ENVIRONMENT and (self.user is not None or self.password is not None):
            raise ValueError(f"auth {self.auth} takes neither `user` nor `password`")
        if self.auth == "entra_managed_identity" and self.password is not None:
            raise ValueError("a managed identity has no password; `user` may hold its client id")
        if self.certificate is not None and self.tls_mode not in {"verify", "strict"}:
            raise ValueError("a certificate is compared only with tls: verify or strict")
        return self

    @property
    def tls_mode(self) -> Tls:
        """The mode in force."""
        if self.tls is not None:
            return self.tls
        return "trust" if is_loopback(self.host) and self.certificate is None else "verify"

    @property
    def label(self) -> str:
        """The connection for people: no secret, no user."""
        place = f"\\{self.instance}" if self.instance else f":{self.port or 1433}"
        return f"{before_port(self.host)}{place}/{self.database}"
