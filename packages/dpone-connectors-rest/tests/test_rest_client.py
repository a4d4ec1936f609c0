from __future__ import annotations

import socket
import subprocess
import time
import traceback
from pathlib import Path
from typing import Any

import pytest

from dpone.errors import DponeError, RemoteError
from dpone_rest import RestConfig
from dpone_rest.client import Client
from dpone_rest.mock.faults import Wrong
from dpone_rest.mock.guard import Credentials
from dpone_rest.pacing import Pace, backoff, retry_after
from dpone_rest.pinning import origin_of

ROWS = [f'{{"id":{n},"name":"n {n}"}}' for n in range(25)]
OPTIONS = {"path": "tables/orders", "columns": {"id": "int64"}}
CANARY = "cAnArY-71"


def failure(call: Any) -> DponeError:
    with pytest.raises(DponeError) as caught:
        call()
    return caught.value


def after_describing(one: Any, wrong: Wrong, **how: Any) -> Any:
    """The reading, whose first request for records meets the fault."""
    request = one.request()
    one.api.fail(wrong, **how)
    one.api.asked.clear()
    return lambda: one.rows(request)


# ----------------------------------------------------------------------------- again


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_passes_is_asked_for_again(serve: Any, reader: Any, status: int) -> None:
    one = reader(serve(*ROWS), OPTIONS)
    read = after_describing(one, Wrong.STATUS, status=status, times=3)
    assert len(read()) == 25
    assert len(one.api.asked) == 4
    assert one.waits == [0.375, 0.75, 1.5]


@pytest.mark.parametrize("wrong", [Wrong.CUT, Wrong.CUT_CHUNK, Wrong.CLOSED])
def test_a_cut_answer_is_asked_for_again_and_never_taken_for_a_whole_one(serve: Any, reader: Any, wrong: Wrong) -> None:
    one = reader(serve(*ROWS), OPTIONS, {"retries": 2})
    assert len(after_describing(one, wrong, times=2)()) == 25
    error = failure(after_describing(one, wrong, times=3))
    assert error.code == ("source.unreachable" if wrong is Wrong.CLOSED else "rest.body_truncated")
    assert isinstance(error, RemoteError)
    assert error.retryable


@pytest.mark.parametrize(
    "status, code",
    [
        (400, "rest.request_refused"),
        (401, "source.not_allowed"),
        (403, "source.not_allowed"),
        (404, "source.table_missing"),
        (410, "source.table_missing"),
        (422, "rest.request_refused"),
        (501, "rest.server_failed"),
    ],
)
def test_what_does_not_pass_is_asked_for_once(serve: Any, reader: Any, status: int, code: str) -> None:
    one = reader(serve(*ROWS), OPTIONS)
    assert failure(after_describing(one, Wrong.STATUS, status=status, times=9)).code == code
    assert len(one.api.asked) == 1
    assert one.waits == []


@pytest.mark.parametrize("status, code", [(429, "rest.rate_limited"), (503, "rest.server_failed")])
def test_patience_ends(serve: Any, reader: Any, status: int, code: str) -> None:
    one = reader(serve(*ROWS), OPTIONS, {"retries": 2})
    assert failure(after_describing(one, Wrong.STATUS, status=status, times=9)).code == code
    assert len(one.api.asked) == 3


def test_retry_after_is_kept(serve: Any, reader: Any) -> None:
    one = reader(serve(*ROWS), OPTIONS)
    read = after_describing(one, Wrong.STATUS, status=429, headers={"Retry-After": "7"})
    assert len(read()) == 25
    assert one.waits == [7.0]


def test_nobody_sleeps_for_an_hour(serve: Any, reader: Any) -> None:
    one = reader(serve(*ROWS), OPTIONS)
    error = failure(after_describing(one, Wrong.STATUS, status=429, headers={"Retry-After": "3600"}))
    assert error.code == "rest.rate_limited"
    assert one.waits == []


def test_waits_grow_and_are_shaken() -> None:
    assert [backoff(n, lambda: 1.0) for n in (1, 2, 3, 7, 20)] == [0.5, 1.0, 2.0, 30.0, 30.0]
    assert backoff(3, lambda: 0.0) == 1.0


@pytest.mark.parametrize(
    "said, seconds",
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        ("soon", None),
        ("-1", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(said: str | None, seconds: float | None) -> None:
    assert retry_after(said) == seconds


def test_a_rate_is_kept() -> None:
    waited: list[float] = []
    pace = Pace(10.0, waited.append)
    for _ in range(3):
        pace.take()
    assert [round(w, 1) for w in waited] == [0.1, 0.2]


# ---------------------------------------------------------------------------- limits


def test_a_slow_answer_is_given_up(serve: Any, reader: Any) -> None:
    one = reader(serve(*ROWS), OPTIONS, {"timeout": 1, "retries": 0})
    assert failure(after_describing(one, Wrong.SLOW, seconds=1.5)).code == "source.timeout"


def test_an_answer_that_trickles_is_given_up_by_the_statement_timeout(serve: Any, reader: Any) -> None:
    from datetime import timedelta

    one = reader(serve(*ROWS), OPTIONS, {"retries": 0})
    request = one.request(timeout=timedelta(seconds=1))
    one.api.fail(Wrong.TRICKLE, seconds=0.05)
    begun = time.monotonic()
    assert failure(lambda: one.rows(request)).code == "source.timeout"
    assert time.monotonic() - begun < 5


def test_an_answer_that_unpacks_to_too_much_is_refused(serve: Any, reader: Any) -> None:
    one = reader(serve(*ROWS), OPTIONS, {"max_response_bytes": 1 << 20})
    assert failure(after_describing(one, Wrong.BOMB, size=200 << 20)).code == "rest.body_too_large"
    assert one.waits == []


@pytest.mark.parametrize(
    "wrong, code",
    [(Wrong.NOT_JSON, "rest.invalid_json"), (Wrong.NAN, "rest.invalid_json"), (Wrong.NO_LIST, "rest.no_records")],
)
def test_what_is_no_answer_is_named(serve: Any, reader: Any, wrong: Wrong, code: str) -> None:
    assert failure(after_describing(reader(serve(*ROWS), OPTIONS), wrong)).code == code


def test_nobody_there_is_named(reader: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    client = Client(RestConfig(url=f"http://127.0.0.1:{port}", retries=1), lambda _: None)
    assert failure(lambda: client.get(client.address("x"), {})).code == "source.unreachable"


def test_a_host_without_an_address_is_named() -> None:
    assert failure(lambda: Client(RestConfig(url="https://nobody.invalid"))).code == "source.unreachable"


# ---------------------------------------------------------------------------- one host


def test_redirects_within_the_host_are_followed(serve: Any, reader: Any) -> None:
    one = reader(serve(*ROWS), OPTIONS)
    read = after_describing(one, Wrong.STATUS, status=307, headers={"Location": "/api/v1/tables/orders"})
    assert len(read()) == 25


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "target", ["https://evil.example.org/", "//evil.example.org/", "http://127.0.0.1:1/", "ftp://x", "http://["]
)
def test_redirects_to_elsewhere_are_refused(serve: Any, reader: Any, status: int, target: str) -> None:
    one = reader(serve(*ROWS), OPTIONS)
    error = failure(after_describing(one, Wrong.STATUS, status=status, headers={"Location": target}, times=9))
    assert error.code == "rest.redirect_refused"
    assert len(one.api.asked) == 1


def test_redirects_in_circles_end(serve: Any, reader: Any) -> None:
    one = reader(serve(*ROWS), OPTIONS)
    again = {"Location": "/api/v1/tables/orders"}
    assert (
        failure(after_describing(one, Wrong.STATUS, status=302, headers=again, times=99)).code == "rest.redirect_loop"
    )


def test_the_address_of_the_host_is_kept_for_the_run(serve: Any, reader: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads elsewhere a moment later (DNS rebinding) leads us nowhere."""
    api = serve(*ROWS)
    lookups: list[str] = []
    genuine = socket.getaddrinfo

    def rebound(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host != "localhost":
            return genuine(host, *args, **kwargs)
        lookups.append(host)
        return genuine("127.0.0.1" if len(lookups) == 1 else "192.0.2.1", *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    port = api.url.rpartition(":")[2]
    client = Client(RestConfig(url=f"http://localhost:{port}", retries=0))
    for _ in range(2):
        client.close()  # so that the next request needs a connection of its own
        assert client.get(client.address("tables/orders"), {}).status == 200
    assert lookups == ["localhost"]
    assert api.asked[-1].headers["Host"] == f"localhost:{port.partition('/')[0]}"


def test_the_environment_leads_nowhere(
    serve: Any, reader: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password other")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    one = reader(serve(*ROWS, credentials=Credentials("bearer", secret=CANARY)), OPTIONS, {"token": CANARY})
    assert len(one.rows()) == 25


def test_origins_are_compared_whole() -> None:
    assert origin_of("HTTPS://Api.Example.org") == origin_of("https://api.example.org:443/x?y")
    assert origin_of("http://api.example.org") != origin_of("https://api.example.org")
    assert origin_of("https://api.example.org:444") != origin_of("https://api.example.org")
    assert origin_of("https://api.example.org.evil.org") != origin_of("https://api.example.org")
    assert origin_of("https://api.example.org@evil.org") == origin_of("https://evil.org")
    assert origin_of("file:///etc/passwd") is None


# ------------------------------------------------------------------------------- TLS


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for localhost that nobody knows."""
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no openssl to make a certificate with")
    return cert, key


def test_certificates_are_checked_against_the_name(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import ssl

    from dpone_rest.mock import server as mock

    cert, key = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    api = mock.MockApi()
    api.tables.put("orders", ROWS)

    class Secured(mock._Server):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.socket = context.wrap_socket(self.socket, server_side=True)

    monkeypatch.setattr(mock, "_Server", Secured)
    with mock.serving(api):
        at = {name: f"https://{name}:{api.url.rpartition(':')[2]}" for name in ("localhost", "127.0.0.1")}

        def ask(name: str, **how: Any) -> int:
            client = Client(RestConfig(url=at[name], retries=0, **how))
            try:
                return client.get(client.address("tables/orders"), {}).status
            finally:
                client.close()

        assert ask("localhost", ca_file=cert) == 200
        assert ask("localhost", tls="require") == 200
        with monkeypatch.context() as system:
            system.setenv("SSL_CERT_FILE", str(cert))  # where this system keeps those whom it trusts
            assert ask("localhost") == 200
        assert failure(lambda: ask("localhost")).code == "source.not_trusted"
        assert failure(lambda: ask("localhost", tls="off")).code == "source.not_trusted"  # which allows http, no more
        assert failure(lambda: ask("127.0.0.1", ca_file=cert)).code == "source.not_trusted"  # another name

        wrong = cert.parent / "wrong.pem"
        wrong.write_text("hello")
        for files in (
            {"ca_file": wrong},
            {"cert_file": wrong, "key_file": key},
            {"cert_file": cert, "key_file": wrong},
        ):
            refused = failure(lambda files=files: ask("localhost", **files))
            assert (refused.code, refused.exit_code) == ("connection.file_unusable", 2)
            assert f"{wrong} cannot be used for TLS: expected a " in refused.message


# --------------------------------------------------------------------------- secrets

LOGINS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "bearer": ({"way": "bearer"}, {"token": CANARY}),
    "basic": ({"way": "basic", "user": "me"}, {"user": "me", "password": CANARY}),
    "api_key": ({"way": "api_key"}, {"api_key": CANARY}),
    "api_key_query": (
        {"way": "api_key_query", "key_name": "key"},
        {"api_key": CANARY, "api_key_in": "query", "api_key_name": "key"},
    ),
    "oauth2": ({"way": "oauth2", "user": "app"}, {"client_id": "app", "client_secret": CANARY}),
    "oauth2_body": (
        {"way": "oauth2", "user": "app"},
        {"client_id": "app", "client_secret": CANARY, "client_secret_in": "body"},
    ),
}


def logged_in(serve: Any, reader: Any, way: str, **wrong: Any) -> Any:
    theirs, ours = LOGINS[way]
    api = serve(*ROWS, credentials=Credentials(**{"secret": CANARY, **theirs}))
    more = {"token_url": f"{api.url}/oauth/token"} if way.startswith("oauth2") else {}
    return reader(api, OPTIONS, {**ours, **more, **wrong})


@pytest.mark.parametrize("way", LOGINS)
def test_every_login_is_let_in(serve: Any, reader: Any, way: str) -> None:
    assert len(logged_in(serve, reader, way).rows()) == 25


@pytest.mark.parametrize("way", LOGINS)
def test_a_wrong_secret_is_named_and_not_shown(serve: Any, reader: Any, way: str, caplog: Any) -> None:
    caplog.set_level("DEBUG")
    one = logged_in(serve, reader, way)
    name = next(n for n in ("token", "password", "api_key", "client_secret") if n in one.config)
    one.config[name] = CANARY + "x"
    with pytest.raises(DponeError) as caught:
        one.rows()
    assert caught.value.code == ("rest.token_refused" if way.startswith("oauth2") else "source.not_allowed")
    error = caught.value
    shown = f"{error!r} {error} {error.hint} {error.context} {''.join(traceback.format_exception(error))}"
    assert CANARY not in shown
    logged = " ".join(record.getMessage() for record in caplog.records)
    assert "HTTP/1.1" in logged  # urllib3 spoke, without the query
    assert CANARY not in logged


@pytest.mark.parametrize("way", LOGINS)
@pytest.mark.parametrize("wrong", [Wrong.CUT, Wrong.CLOSED, Wrong.NOT_JSON, Wrong.SLOW, Wrong.BOMB, Wrong.STATUS])
def test_no_failure_shows_a_secret(serve: Any, reader: Any, way: str, wrong: Wrong) -> None:
    one = logged_in(serve, reader, way, retries=0, timeout=1, max_response_bytes=4096)
    request = one.request()
    one.api.fail(wrong, seconds=1.3, size=1 << 20)
    with pytest.raises(DponeError) as caught:
        one.rows(request)
    error = caught.value
    shown = f"{error!r} {error} {error.hint} {error.context} {''.join(traceback.format_exception(error))}"
    assert CANARY not in shown
    assert CANARY not in repr(one.source()._client._login)


def test_a_token_that_ends_is_had_again(serve: Any, reader: Any) -> None:
    theirs, ours = LOGINS["oauth2"]
    api = serve(*ROWS, credentials=Credentials(**{"secret": CANARY, **theirs, "said_lifetime": 0.0}))
    paged = {**OPTIONS, "records": "data", "pagination": {"type": "offset", "size": 10}}
    one = reader(api, paged, {**ours, "token_url": f"{api.url}/oauth/token"})
    assert len(one.rows()) == 25
    assert api.guard.issued == 5  # one for each request, as each is over at once


def test_a_token_that_is_refused_is_had_again(serve: Any, reader: Any) -> None:
    one = logged_in(serve, reader, "oauth2")
    request = one.request()
    one.api.fail(Wrong.OTHER_TOKEN)
    issued = one.api.guard.issued
    assert len(one.rows(request)) == 25
    assert one.api.guard.issued == issued + 2
    assert one.waits == []


def test_a_secret_that_is_no_header_is_named(serve: Any, reader: Any) -> None:
    one = logged_in(serve, reader, "bearer", token=f"{CANARY}\r\nX: y")
    error = failure(one.rows)
    assert error.code == "rest.invalid_request"
    assert CANARY not in str(error) + "".join(traceback.format_exception(error))
