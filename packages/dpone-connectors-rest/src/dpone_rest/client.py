"""Requests that are repeated, limited and checked: what arrives is a whole answer of the declared host, or an error.

An attempt includes the body, so that one that was cut is asked for again. Tenacity repeats, and not urllib3's Retry,
which has done its work when the headers are there.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from time import monotonic, sleep
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

import requests
from msgspec import Struct
from tenacity import RetryCallState, Retrying, retry_if_exception_type
from urllib3.exceptions import (
    DecodeError,
    HTTPError,
    IncompleteRead,
    InvalidChunkLength,
    ProtocolError,
    ReadTimeoutError,
)

from dpone.errors import DponeError, RemoteError
from dpone.tls import check_files, system_authorities
from dpone_rest import faults
from dpone_rest.config import RestConfig
from dpone_rest.login import Login, login_of
from dpone_rest.pacing import Pace, backoff, retry_after
from dpone_rest.pinning import Origin, origin_of, pinned_session, resolve

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_CHUNK = 1 << 16
_TOKEN_BYTES = 1 << 20
_SUCCESS = range(200, 300)
_UNAUTHORIZED = 401
Dice = Callable[[], float]


class Answer(Struct, frozen=True):
    """A whole answer. `url` is the one that was asked for, without our secrets."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def clock(self) -> datetime | None:
        """The server's time when it answered, in whole seconds and never later."""
        with suppress(ValueError, TypeError):
            found = parsedate_to_datetime(self.headers.get("Date", ""))
            return found if found.tzinfo is not None else None
        return None


class _Refused(Exception):
    """An attempt that failed and may be repeated; `wait` is what the API asks for."""

    def __init__(self, error: DponeError, wait: float | None = None) -> None:
        super().__init__(error.code)
        self.error = error
        self.wait = wait


class Client:
    """One API. Threads may share it."""

    def __init__(self, config: RestConfig, wait: Callable[[float], None] = sleep, dice: Dice = random.random) -> None:
        self._config = config
        self._dice = dice
        self._origin = _origin(config.url)
        self._addresses = {self._origin: resolve(self._origin)}
        self._idle: list[requests.Session] = []  # one thread at a time has a session: requests promises nothing to more
        self._pace = Pace(config.rate_limit, wait)
        self._login: Login = login_of(config, self._ask_token)
        self._retrying = Retrying(
            sleep=wait,
            wait=self._due,
            stop=lambda state: state.attempt_number > config.retries,
            retry=retry_if_exception_type(_Refused),
            reraise=True,
        )

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _session(self) -> Iterator[requests.Session]:
        """A session that nobody else has meanwhile."""
        try:
            session = self._idle.pop()
        except IndexError:
            session = _session(self._config, self._origin, self._addresses[self._origin])
        try:
            yield session
        except BaseException:
            session.close()  # whatever is wrong with it, nobody else meets it
            raise
        self._idle.append(session)

    @property
    def address_now(self) -> str:
        """The address that the host has for this run."""
        return self._addresses[self._origin]

    def address(self, path: str) -> str:
        """The URL of a path below the connection's address."""
        return self._config.url.rstrip("/") + "/" + path.lstrip("/")

    def is_ours(self, url: str) -> bool:
        """True when a URL leads to the declared host."""
        return origin_of(url) == self._origin

    def get(self, url: str, params: Mapping[str, str], *, within: float | None = None) -> Answer:
        """The answer to a GET of this URL with these parameters beside its own."""
        asked = with_params(url, params)
        return self._repeated(asked, lambda: self._attempt(asked, within, self._whole))

    def probe(self, url: str, params: Mapping[str, str]) -> None:
        """Raises when the URL cannot be read; the body is left where it is."""
        asked = with_params(url, params)
        self._repeated(asked, lambda: self._attempt(asked, None, lambda *_: b""))

    # -------------------------------------------------------------------- attempts

    def _due(self, state: RetryCallState) -> float:
        """Seconds until the next attempt: what the API asks for, or what we choose."""
        refused = state.outcome.exception() if state.outcome else None
        asked = refused.wait if isinstance(refused, _Refused) else None
        return asked or backoff(state.attempt_number, self._dice)

    def _repeated(self, url: str, attempt: Callable[[], Answer]) -> Answer:
        try:
            answer: Answer = self._retrying(attempt)
        except _Refused as refused:
            error = refused.error
        else:
            return answer
        raise error  # here, and not within the clause above: a driver's own text may quote the URL with its secrets

    def _attempt(self, url: str, within: float | None, take: _Take) -> Answer:
        answer = self._login_kept(url, within, take)
        if answer.status in _SUCCESS:
            return answer
        error = faults.failed(url, answer.status)
        if not (isinstance(error, RemoteError) and error.retryable):
            raise error
        asked = retry_after(answer.headers.get("Retry-After"))
        if asked is not None and asked > self._config.max_wait:
            raise faults.wait_too_long(url, asked, self._config.max_wait)
        raise _Refused(error, asked)

    def _login_kept(self, url: str, within: float | None, take: _Take) -> Answer:
        """The answer; one that refuses a token that can be renewed is asked for once more."""
        answer = self._followed(url, within, take)
        if answer.status == _UNAUTHORIZED and self._login.renew():
            return self._followed(url, within, take)
        return answer

    def _followed(self, url: str, within: float | None, take: _Take) -> Answer:
        """The answer at the end of redirections, all within the declared host."""
        at = url
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._sent(at, within, take)
            if answer.status not in _REDIRECTS:
                return Answer(url, answer.status, answer.headers, answer.body)
            target = joined(at, answer.headers.get("Location", ""))
            if target is None or not self.is_ours(target):
                raise faults.redirected(url, known=target is not None and origin_of(target) is not None)
            at = target
        raise faults.redirected_in_circles(url, _MOST_REDIRECTS)

    def _sent(self, url: str, within: float | None, take: _Take) -> Answer:
        headers = {"Accept": "application/json", **self._login.headers()}
        self._pace.take()
        config = self._config
        whole = config.answer_timeout if within is None else min(config.answer_timeout, within)
        part = min(config.timeout, whole)
        with _named(url, part), self._session() as session:
            answer = session.get(
                with_params(url, self._login.params()),
                headers=headers,
                timeout=(config.connect_timeout, part),
                allow_redirects=False,
                stream=True,
            )
            with answer:
                body = take(answer, url, whole) if answer.status_code in _SUCCESS else b""
                return Answer(url, answer.status_code, answer.headers, body)

    def _whole(self, answer: requests.Response, url: str, seconds: float) -> bytes:
        return _read(answer, url, self._config.max_response_bytes, seconds)

    def _ask_token(self, form: Mapping[str, str], headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of the token's address, the one other host that is ever contacted."""
        config = self._config
        url = config.token_url or ""
        origin = _origin(url)
        if origin not in self._addresses:
            self._addresses[origin] = resolve(origin)
        with _session(config, origin, self._addresses[origin]) as session, _named(url, config.timeout):
            answer = session.post(
                url,
                data=dict(form),
                headers=dict(headers),
                timeout=(config.connect_timeout, config.timeout),
                allow_redirects=False,
                stream=True,
            )
            with answer:
                status = answer.status_code
                body = _read(answer, url, _TOKEN_BYTES, config.answer_timeout) if status in _SUCCESS else b""
        if status in _REDIRECTS:
            raise faults.redirected(url, known=True)
        error = faults.failed(url, status) if status not in _SUCCESS else None
        if isinstance(error, RemoteError) and error.retryable:
            raise _Refused(error, retry_after(answer.headers.get("Retry-After")))
        return status, body


_Take = Callable[[requests.Response, str, float], bytes]


def _origin(url: str) -> Origin:
    found = origin_of(url)
    assert found is not None  # the config refuses a URL that is none
    return found


def _session(config: RestConfig, origin: Origin, address: str) -> requests.Session:
    cert = (str(config.cert_file), str(config.key_file)) if config.cert_file and config.key_file else None
    verify: bool | str = False
    if config.tls_mode != "require":  # `off` allows http, and changes nothing about https
        verify = str(config.ca_file) if config.ca_file else system_authorities() or True
    else:
        import urllib3

        # it is declared: `tls: require`; urllib3 would say so again with each request
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    if origin.scheme == "https":
        check_files(config.label, verify if isinstance(verify, str) else None, config.cert_file, config.key_file)
    return pinned_session(origin, address, verify=verify, cert=cert)


def joined(base: str, link: str) -> str | None:
    """The address that a link of an answer means; None when it is none."""
    try:
        return urljoin(base, link)
    except ValueError:
        return None


def with_params(url: str, params: Mapping[str, str]) -> str:
    """The URL with these parameters, in place of those of their names that it has."""
    if not params:
        return url
    parts = urlsplit(url)
    kept = [(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if k not in params]
    return urlunsplit(parts._replace(query=urlencode([*kept, *params.items()]), fragment=""))


def _read(answer: requests.Response, url: str, limit: int, seconds: float) -> bytes:
    """The body, decompressed as it comes, never held beyond the limit and never waited for beyond its time."""
    until = monotonic() + seconds
    parts: list[bytes] = []
    size = 0
    while part := answer.raw.read1(_CHUNK, decode_content=True):  # what is there now, so that a trickle is noticed
        size += len(part)
        if size > limit:
            raise faults.too_large(url, limit)
        if monotonic() > until:
            raise _Refused(faults.timed_out(url, seconds))
        parts.append(part)
    return b"".join(parts)


_CUT = (IncompleteRead, InvalidChunkLength, ProtocolError, DecodeError, zlib.error)


@contextmanager
def _named(url: str, seconds: float) -> Iterator[None]:
    """Within the context a failure of the way is one of ours; the driver's text may hold the URL with its secrets."""
    refused: _Refused | DponeError
    try:
        yield
    except requests.exceptions.SSLError:
        refused = faults.untrusted(url)
    except (requests.exceptions.Timeout, ReadTimeoutError):
        refused = _Refused(faults.timed_out(url, seconds))
    except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError, *_CUT):
        refused = _Refused(faults.truncated(url))
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader, UnicodeError):
        refused = faults.unsendable(url)
    except (requests.exceptions.RequestException, HTTPError, OSError) as error:
        refused = _Refused(faults.unreachable(url, type(error).__name__))
    else:
        return
    raise refused from None
