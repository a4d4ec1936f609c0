"""What a connection to Kafka and its Schema Registry holds. TLS is verified unless all brokers are on this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, SecretStr, StringConstraints, model_validator

from dpone.connector import Config, File
from dpone.loopback import is_loopback

Tls = Literal["verify", "require", "off"]
Sasl = Literal["plain", "scram_sha_256", "scram_sha_512", "oauth", "kerberos"]
Text = Annotated[str, StringConstraints(min_length=1)]

_BROKER = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.%]+)\]|(?P<name>[^:\[\]/@,\s]+))(?::(?P<port>[0-9]{1,5}))?")
_BY_PASSWORD = frozenset({"plain", "scram_sha_256", "scram_sha_512", "oauth"})


class KafkaConfig(Config):
    """Where the brokers and the registry are, who we are there, and how the way to them is kept private."""

    model_config = ConfigDict(hide_input_in_errors=True)
    url_parts: ClassVar[Mapping[str, str]] = {"brokers": "authority"}

    brokers: Text = Field(default="localhost:9092", description="one or more of the brokers: host:9092,other:9092")
    sasl: Sasl | None = Field(
        default=None,
        description="how we say who we are; none for brokers that do not ask, or that look at `cert_file`; "
        "plain when a user is given",
    )
    user: Text | None = Field(default=None, description="the user; with sasl oauth the client id")
    password: SecretStr | None = Field(default=None, description="the password; with sasl oauth the client secret")
    oauth_token_url: Text | None = Field(default=None, description="sasl oauth: where tokens are had, https")
    oauth_scope: Text | None = Field(default=None, description="sasl oauth: the scope to ask for")
    tls: Tls | None = Field(
        default=None,
        description="verify: encrypted, certificate checked; require: encrypted, any certificate; off: in clear. "
        "verify by default, off on loopback",
    )
    ca_file: File | None = Field(default=None, description="certificates to trust; the system's unless given")
    cert_file: File | None = Field(default=None, description="our own certificate, where the brokers ask for one")
    key_file: File | None = Field(default=None, description="the key of `cert_file`")
    key_password: SecretStr | None = Field(default=None, description="the password of `key_file`")
    registry: Text | None = Field(default=None, description="the address of the Schema Registry, https but on loopback")
    registry_user: Text | None = Field(default=None, description="the user at the registry")
    registry_password: SecretStr | None = Field(default=None, description="the password at the registry")
    client_id: Text = Field(default="dpone", description="the name under which brokers list the client")
    request_timeout: int = Field(default=30, ge=1, le=300, description="seconds to wait for an answer")
    transaction_timeout: int = Field(
        default=900,
        ge=1,
        description="seconds after which brokers undo a load that was not written to its end; at most what they allow",
    )
    message_bytes: int = Field(
        default=1_000_000, ge=1_000, le=1_000_000_000, description="the largest message that is written"
    )

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if any(_BROKER.fullmatch(broker) is None for broker in self.brokers.split(",")):
            raise ValueError("`brokers` is a list like host:9092,other:9092")
        named = self.user is not None and self.password is not None
        if self.mechanism in _BY_PASSWORD and not named:
            raise ValueError(f"sasl {self.mechanism} needs `user` and `password`")
        if self.mechanism == "kerberos" and self.password is not None:
            raise ValueError("sasl kerberos takes no password: the ticket says who we are")
        if (self.oauth_token_url is not None) is not (self.mechanism == "oauth"):
            raise ValueError("`oauth_token_url` and sasl oauth belong together")
        if (self.cert_file is None) is not (self.key_file is None):
            raise ValueError("`cert_file` and `key_file` belong together")
        if self.tls_mode == "off" and self.cert_file is not None:
            raise ValueError("a certificate is shown only over TLS: set tls: verify")
        for name in ("registry", "oauth_token_url"):
            if (address := getattr(self, name)) is not None and not is_private(address):
                raise ValueError(f"`{name}` begins with https://, or with http:// on this machine")
        if (self.registry_user is None) is not (self.registry_password is None):
            raise ValueError("`registry_user` and `registry_password` belong together")
        return self

    @property
    def mechanism(self) -> Sasl | None:
        """How we say who we are."""
        return self.sasl or (None if self.user is None and self.password is None else "plain")

    @property
    def tls_mode(self) -> Tls:
        """The mode in force."""
        if self.tls is not None:
            return self.tls
        return "verify" if self.ca_file or self.cert_file or not all(map(is_loopback, self.hosts)) else "off"

    @property
    def hosts(self) -> tuple[str, ...]:
        found = (_BROKER.fullmatch(broker) for broker in self.brokers.split(","))
        return tuple(match["six"] or match["name"] for match in found if match)

    @property
    def label(self) -> str:
        """The connection for people: no secret, no user."""
        return self.brokers


def is_private(address: str) -> bool:
    """True when nobody on the way can read along: https, or plain http that never leaves this machine."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    if parts.username or parts.password:
        return False  # a secret has a field of its own, which is never shown
    host = parts.hostname or ""
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))
