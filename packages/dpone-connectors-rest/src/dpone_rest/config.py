"""What a connection to a REST API holds: one address, and how we say who we are. Nothing but that host is contacted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, SecretStr, StringConstraints, model_validator

from dpone.connector import Config, File
from dpone.loopback import is_loopback

Auth = Literal["none", "basic", "bearer", "api_key", "oauth2"]
Text = Annotated[str, StringConstraints(min_length=1)]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]

# what each way of saying who we are needs, and what belongs to it alone
_NEEDS: Mapping[Auth, tuple[str, ...]] = {
    "none": (),
    "basic": ("user", "password"),
    "bearer": ("token",),
    "api_key": ("api_key",),
    "oauth2": ("token_url", "client_id", "client_secret"),
}
_ALLOWS: Mapping[Auth, tuple[str, ...]] = {**_NEEDS, "oauth2": (*_NEEDS["oauth2"], "scope")}


class RestConfig(Config):
    """Where the API is, who we are there, and how gently it is asked."""

    model_config = ConfigDict(hide_input_in_errors=True)
    url_parts: ClassVar[Mapping[str, str]] = {"url": "url"}

    url: Text = Field(description="the address below which all requests go: https://api.example.com/v1")
    auth: Auth | None = Field(
        default=None, description="how we say who we are; found from the secrets that are given unless said"
    )
    user: Text | None = Field(default=None, description="auth basic: the user")
    password: SecretStr | None = Field(default=None, description="auth basic: the password")
    token: SecretStr | None = Field(default=None, description="auth bearer: the token")
    api_key: SecretStr | None = Field(default=None, description="auth api_key: the key")
    api_key_in: Literal["header", "query"] = Field(default="header", description="auth api_key: where the key goes")
    api_key_name: HeaderName = Field(default="X-API-Key", description="auth api_key: the header or parameter it is in")
    token_url: Text | None = Field(
        default=None,
        description="auth oauth2: where tokens are had (client credentials), the one other host we contact",
    )
    client_id: Text | None = Field(default=None, description="auth oauth2: the client's id")
    client_secret: SecretStr | None = Field(default=None, description="auth oauth2: the client's secret")
    client_secret_in: Literal["header", "body"] = Field(
        default="header", description="auth oauth2: where id and secret go; servers must know `header`, some do not"
    )
    scope: Text | None = Field(default=None, description="auth oauth2: the scope to ask for")
    headers: dict[HeaderName, SecretStr] = Field(
        default_factory=dict, description="further headers of each request; never shown"
    )
    tls: Literal["verify", "require", "off"] | None = Field(
        default=None,
        description="verify: certificate checked; require: any certificate; off: allows http. "
        "verify by default, off for http on loopback",
    )
    ca_file: File | None = Field(default=None, description="certificates to trust; the system's unless given")
    cert_file: File | None = Field(default=None, description="our own certificate, where the API asks for one")
    key_file: File | None = Field(default=None, description="the key of `cert_file`")
    connect_timeout: int = Field(default=10, ge=1, description="seconds to wait for a connection")
    timeout: int = Field(default=30, ge=1, description="seconds to wait for an answer, and for each part of it")
    answer_timeout: int = Field(default=300, ge=1, description="seconds to wait for the whole of an answer")
    retries: int = Field(default=5, ge=0, le=20, description="how often a request is repeated after 429, 5xx or a cut")
    max_wait: int = Field(
        default=120,
        ge=1,
        description="the longest wait before a request is repeated; an API that asks for more is left",
    )
    rate_limit: float | None = Field(default=None, gt=0, description="at most so many requests per second")
    max_response_bytes: int = Field(
        default=64 << 20, ge=1024, description="a longer answer is refused, counted after decompression"
    )

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        self._check_auth()
        parts = _parts(self.url)
        if parts is None:
            raise ValueError("`url` is the address of an API, without user, query or fragment: https://host/path")
        scheme, host = parts
        if scheme == "http" and self.tls != "off" and not is_loopback(host):
            raise ValueError("http is read by everybody on the way: use https, or declare it by tls: off")
        if self.token_url is not None:
            token = _parts(self.token_url)
            if token is None or (token[0] == "http" and not is_loopback(token[1])):
                raise ValueError("`token_url` begins with https://, or with http:// on this machine")
        if (self.cert_file is None) is not (self.key_file is None):
            raise ValueError("`cert_file` and `key_file` belong together")
        return self

    def _check_auth(self) -> None:
        given = {name for names in _ALLOWS.values() for name in names if getattr(self, name) is not None}
        auth = self.scheme
        if missing := [name for name in _NEEDS[auth] if name not in given]:
            raise ValueError(f"auth {auth} needs {' and '.join(f'`{name}`' for name in missing)}")
        if foreign := sorted(given.difference(_ALLOWS[auth])):
            raise ValueError(f"auth {auth} takes no `{foreign[0]}`")

    @property
    def scheme(self) -> Auth:
        """How we say who we are."""
        if self.auth is not None:
            return self.auth
        signs: tuple[tuple[Auth, object], ...] = (
            ("oauth2", self.client_secret),
            ("bearer", self.token),
            ("api_key", self.api_key),
            ("basic", self.password),
        )
        return next((auth for auth, secret in signs if secret is not None), "none")

    @property
    def tls_mode(self) -> Literal["verify", "require", "off"]:
        """The mode in force."""
        if self.tls is not None:
            return self.tls
        return "verify" if self.url.lower().startswith("https:") else "off"

    @property
    def label(self) -> str:
        """The connection for people: no secret, no user."""
        return self.url


def _parts(url: str) -> tuple[str, str] | None:
    """Scheme and host of an address that holds nothing secret, or None."""
    try:
        parts = urlsplit(url)
        host, scheme, _ = parts.hostname, parts.scheme.lower(), parts.port  # which is read to be checked
    except ValueError:
        return None
    if scheme not in {"http", "https"} or not host or parts.username or parts.password or parts.query or parts.fragment:
        return None
    return scheme, host
