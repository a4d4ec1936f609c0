"""What a connection to BigQuery holds: a project, and who we are there. The way is TLS, but to an emulator here."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, SecretStr, StringConstraints, model_validator

from dpone.connector import Config, File

Text = Annotated[str, StringConstraints(min_length=1)]


class BigQueryConfig(Config):
    """The project that pays, the dataset that names are looked up in, and how we say who we are."""

    model_config = ConfigDict(hide_input_in_errors=True)
    url_parts: ClassVar[Mapping[str, str]] = {"project": "host", "dataset": "database"}

    project: Text = Field(description="the project in which jobs run")
    dataset: Text | None = Field(default=None, description="the dataset of tables that are named without one")
    location: Text | None = Field(
        default=None, description="where jobs run, as EU or europe-west3; the dataset's unless given"
    )
    auth: Literal["default", "key", "anonymous"] = Field(
        default="default",
        description="default: application default credentials, workload identity among them; key: `credentials_file` "
        "or `credentials`; anonymous: for an emulator",
    )
    credentials_file: File | None = Field(
        default=None, description="a service account's key, or an external account (workload identity) file"
    )
    credentials: SecretStr | None = Field(
        default=None, description="the same as JSON text, from ${env:...} for instance"
    )
    impersonate: Text | None = Field(default=None, description="the service account that we then act as")
    quota_project: Text | None = Field(default=None, description="the project whose quota is used, where it is another")
    endpoint: Text | None = Field(default=None, description="the API's address, for an emulator or a private endpoint")
    connect_timeout: int = Field(default=10, ge=1, description="seconds to wait until anybody answers at all")
    maximum_bytes_billed: int | None = Field(default=None, ge=1, description="a query that would bill more is refused")
    job_timeout: int = Field(default=3600, ge=1, description="seconds that one job may take")

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        given = [name for name in ("credentials_file", "credentials") if getattr(self, name) is not None]
        if self.auth == "key" and len(given) != 1:
            raise ValueError("auth key needs `credentials_file` or `credentials`, one of the two")
        if self.auth != "key" and given:
            raise ValueError(f"`{given[0]}` is for auth: key")
        if self.endpoint is not None and not is_private(self.endpoint):
            raise ValueError("`endpoint` begins with https://, or with http:// on this machine")
        if self.auth == "anonymous" and self.endpoint is None:
            raise ValueError("auth anonymous is for an emulator: name its `endpoint`")
        return self

    @property
    def label(self) -> str:
        """The connection for people."""
        return self.project if self.dataset is None else f"{self.project}.{self.dataset}"


def is_private(address: str) -> bool:
    """True when nobody on the way can read along: https, or plain http that never leaves this machine."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        if parts.username or parts.password:
            return False  # a secret has a field of its own, which is never shown
        if parts.scheme == "https":
            return bool(host)
        return parts.scheme == "http" and (host == "localhost" or ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False
