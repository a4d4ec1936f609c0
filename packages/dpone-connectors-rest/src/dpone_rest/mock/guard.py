"""Who may ask the mock service: the logins that an API has, each checked as a server checks it."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from itertools import count
from time import monotonic
from typing import Literal

from msgspec import Struct

Way = Literal["none", "bearer", "basic", "api_key", "api_key_query", "oauth2"]


class Credentials(Struct, frozen=True):
    """What the service knows of its one client."""

    way: Way = "none"
    user: str = "reader"
    secret: str = ""
    key_name: str = "X-API-Key"
    lifetime: float = 3600.0  # of an OAuth2 token, in seconds
    said_lifetime: float | None = None  # what the answer says of it, where it is wrong


class Guard:
    """Lets requests in or not, and gives OAuth2 tokens."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self.issued = 0
        self._tokens: dict[str, float] = {}
        self._numbers = count(1)

    def admits(self, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
        known = self.credentials
        said = headers.get("Authorization", "")
        match known.way:
            case "none":
                return True
            case "bearer":
                return _same(said, f"Bearer {known.secret}")
            case "basic":
                return _same(said, _basic(known))
            case "api_key":
                return _same(headers.get(known.key_name, ""), known.secret)
            case "api_key_query":
                return _same(query.get(known.key_name, ""), known.secret)
            case "oauth2":
                return self._tokens.get(said.removeprefix("Bearer "), 0.0) > monotonic()

    def forget(self) -> None:
        """All tokens are void, as after a restart of the server that gave them."""
        self._tokens.clear()

    def token(self, headers: Mapping[str, str], form: Mapping[str, str]) -> dict[str, object] | None:
        """A new token for a client that says who it is; None for any other."""
        known = self.credentials
        by_header = _same(headers.get("Authorization", ""), _basic(known))
        by_body = _same(form.get("client_id", ""), known.user) and _same(form.get("client_secret", ""), known.secret)
        if form.get("grant_type") != "client_credentials" or not (by_header or by_body):
            return None
        self.issued += 1
        token = f"token-{next(self._numbers)}-{known.secret}"
        self._tokens[token] = monotonic() + known.lifetime
        said = known.lifetime if known.said_lifetime is None else known.said_lifetime
        return {"access_token": token, "token_type": "Bearer", "expires_in": said}


def _basic(known: Credentials) -> str:
    return "Basic " + base64.b64encode(f"{known.user}:{known.secret}".encode()).decode()


def _same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())
