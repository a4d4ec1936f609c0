"""How each request says who we are. Secrets are read here, and go into requests and nowhere else."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from dpone_rest.config import RestConfig
from dpone_rest.faults import token_refused

if TYPE_CHECKING:
    from pydantic import SecretStr

_EARLY = 30.0  # seconds before its end at which a token is exchanged
_UNKNOWN_LIFE = 300.0  # of a token that does not say how long it lives
_OK = 200


class Login(Protocol):
    """What is added to each request."""

    def headers(self) -> Mapping[str, str]: ...
    def params(self) -> Mapping[str, str]: ...
    def renew(self) -> bool:
        """True when another try may succeed, since what was refused is replaced."""
        ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """Secrets that stay the same for the whole run."""

    _headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    _params: Mapping[str, str] = field(default_factory=dict, repr=False)

    def headers(self) -> Mapping[str, str]:
        return self._headers

    def params(self) -> Mapping[str, str]:
        return self._params

    def renew(self) -> bool:
        return False


# A form posted to the token's address; status and body of the answer.
Post = Callable[[Mapping[str, str], Mapping[str, str]], tuple[int, bytes]]


class ClientCredentials:
    """OAuth2: a token is had with the client's id and secret, and had again before it ends or when it is refused."""

    def __init__(self, config: RestConfig, further: Mapping[str, str], post: Post) -> None:
        self._config = config
        self._further = further
        self._post = post
        self._token: str | None = None
        self._until = 0.0
        self._lock = Lock()

    def __repr__(self) -> str:
        return "ClientCredentials(***)"

    def headers(self) -> Mapping[str, str]:
        with self._lock:
            if self._token is None or monotonic() > self._until:
                self._ask()
            return {**self._further, "Authorization": f"Bearer {self._token}"}

    def params(self) -> Mapping[str, str]:
        return {}

    def renew(self) -> bool:
        with self._lock:
            self._token = None
        return True

    def _ask(self) -> None:
        config = self._config
        form = {"grant_type": "client_credentials"}
        headers = {"Accept": "application/json"}
        client, secret = config.client_id or "", _text(config.client_secret)
        if config.scope is not None:
            form["scope"] = config.scope
        if config.client_secret_in == "body":  # noqa: S105 - a place and no secret
            form |= {"client_id": client, "client_secret": secret}
        else:  # RFC 6749, 2.3.1: form-encoded first, so that a colon in the id is none of the header's
            headers["Authorization"] = _basic(quote(client, safe=""), quote(secret, safe=""))
        status, body = self._post(form, headers)
        if status != _OK:
            raise token_refused(config.token_url or "", f"status {status}")
        self._keep(body)

    def _keep(self, body: bytes) -> None:
        where = self._config.token_url or ""
        try:
            found: Any = json.loads(body)
        except ValueError:
            raise token_refused(where, "its answer is not JSON") from None
        token = found.get("access_token") if isinstance(found, dict) else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            raise token_refused(where, "its answer holds no access_token")
        if str(found.get("token_type", "bearer")).lower() != "bearer":
            raise token_refused(where, "its token is no bearer token")
        life = found.get("expires_in", _UNKNOWN_LIFE)
        try:
            seconds = float(life)
        except (TypeError, ValueError):
            seconds = _UNKNOWN_LIFE
        self._token = token
        self._until = monotonic() + max(seconds - _EARLY, seconds / 2)


def login_of(config: RestConfig, post: Post) -> Login:
    """The login that a connection declares; `post` asks its token's address."""
    further = {name: value.get_secret_value() for name, value in config.headers.items()}
    match config.scheme:
        case "basic":
            return Fixed({**further, "Authorization": _basic(config.user or "", _text(config.password))})
        case "bearer":
            return Fixed({**further, "Authorization": f"Bearer {_text(config.token)}"})
        case "api_key" if config.api_key_in == "query":
            return Fixed(further, {config.api_key_name: _text(config.api_key)})
        case "api_key":
            return Fixed({**further, config.api_key_name: _text(config.api_key)})
        case "oauth2":
            return ClientCredentials(config, further, post)
        case _:
            return Fixed(further)


def _basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")


def _text(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""
