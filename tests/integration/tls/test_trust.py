"""Servers behind TLS: certificates are checked against authority and name, ours is shown, and refusals say why."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct, field

from dpone.errors import DponeError
from dpone.manifest import from_url
from dpone.testing.certificates import Authority
from dpone.testing.doors import tls_door
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.testkit import Testkit
from dpone_clickhouse import session as clickhouse
from dpone_clickhouse.bulk import read_bulk
from dpone_clickhouse.testkit import testkit as clickhouse_testkit
from dpone_postgres import session as postgres
from dpone_postgres.testkit import testkit as postgres_testkit

Door = Callable[..., AbstractContextManager[int]]


def says_yes(guest: socket.socket) -> None:
    """PostgreSQL's answer to who asks for TLS."""
    guest.recv(8)
    guest.sendall(b"S")


def says_no(guest: socket.socket) -> None:
    guest.recv(8)
    guest.sendall(b"N")


class System(Struct):
    """An engine behind doors, and what a connection to it answers when it is trusted."""

    testkit: Testkit
    endpoint: Endpoint
    ask: Callable[[Any], object]
    words: dict[str, str]  # what a connection's keys are called here
    doors: dict[str, Door] = field(default_factory=dict)  # by the key of their port

    @contextmanager
    def behind(self, identity: tuple[Path, Path], clients: Path | None = None) -> Iterator[dict[str, int]]:
        """Doors before every port."""
        ports: dict[str, int] = {}
        doors = []
        for name, door in self.doors.items():
            doors.append(door((self.endpoint.host, self._port(name)), identity, clients=clients))
            ports[name] = doors[-1].__enter__()
        try:
            yield ports
        finally:
            for opened in doors:
                opened.__exit__(None, None, None)

    def _port(self, name: str) -> int:
        return self.endpoint.ports["http"] if name == "http_port" else self.endpoint.port

    def answer(self, **given: Any) -> object:
        """What it says over a connection of these settings; raises what dpone raises."""
        known = from_url(self.endpoint.url(), self.testkit.connector).resolve().model_dump()
        settings = {self.words.get(key, key): value for key, value in given.items()}
        return self.ask(type(from_url(self.endpoint.url(), self.testkit.connector).resolve())(**{**known, **settings}))

    def refusal(self, **given: Any) -> DponeError:
        with pytest.raises(DponeError) as refused:
            self.answer(**given)
        return refused.value


def ask_postgres(config: Any) -> object:
    with postgres.session(config, "source") as connection:
        assert connection.pgconn.ssl_in_use
        return connection.execute("SELECT 1").fetchone()


def ask_clickhouse(config: Any) -> object:
    with clickhouse.session(config, "source") as session:
        assert b"".join(read_bulk(config, "SELECT 1 FORMAT TabSeparated", {}, 1 << 16)) == b"1\n"
        return session.row("SELECT 1")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("postgres", marks=pytest.mark.integration_postgres),
        pytest.param("clickhouse", marks=pytest.mark.integration_clickhouse),
    ],
)
def system(request: pytest.FixtureRequest) -> Iterator[System]:
    if request.param == "postgres":
        words = {"ca": "sslrootcert", "certificate": "sslcert", "key": "sslkey", "tls": "sslmode"}
        with postgres_testkit.service(postgres_testkit.providers()[0]) as endpoint:
            doors: dict[str, Door] = {"port": partial(tls_door, greet=says_yes)}
            yield System(postgres_testkit, endpoint, ask_postgres, words, doors)
    else:
        words = {"ca": "ca_file", "certificate": "cert_file", "key": "key_file"}
        with clickhouse_testkit.service(clickhouse_testkit.providers()[0]) as endpoint:
            yield System(clickhouse_testkit, endpoint, ask_clickhouse, words, {"port": tls_door, "http_port": tls_door})


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


VERIFIED = {"postgres": "verify-full", "clickhouse": "verify"}


@pytest.fixture
def verified(system: System) -> str:
    return VERIFIED[system.testkit.connector.name]


def test_an_authority_that_is_named_is_trusted(system: System, ours: Authority, verified: str) -> None:
    with system.behind(ours.sign("server")) as ports:
        assert system.answer(tls=verified, ca=str(ours.file), **ports) == (1,)


def test_the_authorities_of_this_system_are_trusted(
    system: System, ours: Authority, verified: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ours.file))
    with system.behind(ours.sign("server")) as ports:
        assert system.answer(tls=verified, **ports) == (1,)


def test_encryption_alone_trusts_anybody(system: System, ours: Authority) -> None:
    with system.behind(ours.sign("server")) as ports:
        assert system.answer(tls="require", **ports) == (1,)


def test_an_unknown_authority_is_refused_and_the_reason_said(
    system: System, ours: Authority, verified: str, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "other")
    with system.behind(ours.sign("server")) as ports:
        for given in ({}, {"ca": str(other.file)}):
            refusal = system.refusal(tls=verified, **given, **ports)
            assert refusal.code == "source.not_trusted"
            assert "over TLS: unable to get local issuer certificate" in refusal.message


def test_another_name_is_refused_and_said(system: System, ours: Authority, verified: str) -> None:
    with system.behind(ours.sign("server", host="elsewhere")) as ports:
        refusal = system.refusal(tls=verified, ca=str(ours.file), **ports)
    assert refusal.code == "source.not_trusted"
    assert f"not valid for '{system.endpoint.host}'" in refusal.message


def test_a_server_without_tls_is_told_from_one_that_is_away(system: System, ours: Authority, verified: str) -> None:
    refusal = system.refusal(tls=verified, ca=str(ours.file))
    assert refusal.code == "source.not_trusted", refusal.message
    away = system.refusal(tls=verified, ca=str(ours.file), port=1)
    assert away.code == "source.unreachable"


def test_a_server_that_asks_who_we_are_is_shown_our_certificate(system: System, ours: Authority, verified: str) -> None:
    certificate, key = ours.sign("client")
    with system.behind(ours.sign("server"), clients=ours.file) as ports:
        shown = {"certificate": str(certificate), "key": str(key)}
        assert system.answer(tls=verified, ca=str(ours.file), **shown, **ports) == (1,)
        assert system.refusal(tls=verified, ca=str(ours.file), **ports).code in {
            "source.not_trusted",
            "source.unreachable",  # with TLS 1.3 a client learns only afterwards that it was turned away
        }


WRONG = {
    "empty": b"",
    "garbage": b"hello\x00\xff",
    "cut": b"-----BEGIN CERTIFICATE-----\nMIIB!!\n-----END CERTIFICATE-----\n",
}


@pytest.mark.parametrize("content", WRONG.values(), ids=WRONG)
def test_a_file_that_is_none_of_its_kind_is_named(
    system: System, ours: Authority, verified: str, tmp_path: Path, content: bytes
) -> None:
    wrong = tmp_path / "wrong file.pem"
    wrong.write_bytes(content)
    wrong.chmod(0o600)
    certificate, key = map(str, ours.sign("client"))
    with system.behind(ours.sign("server")) as ports:
        for given in (
            {"ca": str(wrong)},
            {"ca": str(ours.file), "certificate": str(wrong), "key": key},
            {"ca": str(ours.file), "certificate": certificate, "key": str(wrong)},
        ):
            refusal = system.refusal(tls=verified, **given, **ports)
            assert (refusal.code, refusal.exit_code) == ("connection.file_unusable", 2), refusal.message
            assert f"{wrong} cannot be used for TLS: expected a " in refusal.message


def test_a_key_that_belongs_to_another_certificate_is_said(system: System, ours: Authority, verified: str) -> None:
    certificate, _ = ours.sign("client")
    _, key = ours.sign("another")
    with system.behind(ours.sign("server")) as ports:
        shown = {"certificate": str(certificate), "key": str(key)}
        refusal = system.refusal(tls=verified, ca=str(ours.file), **shown, **ports)
    assert refusal.code == "connection.file_unusable", refusal.message
    assert f"belongs to the certificate in {certificate}, and it holds the key of another one" in refusal.message


@pytest.mark.integration_postgres
def test_what_libpq_does_not_say_of_our_files_is_said(ours: Authority, tmp_path: Path) -> None:
    certificate, key = ours.sign("client")
    key.chmod(0o644)
    (tmp_path / "wrong").write_text("wrong")
    with postgres_testkit.service(postgres_testkit.providers()[0]) as endpoint:
        doors: dict[str, Door] = {"port": partial(tls_door, greet=says_yes)}
        words = {"tls": "sslmode"}
        system = System(postgres_testkit, endpoint, ask_postgres, words, doors)
        shown = {"sslcert": str(certificate), "sslkey": str(key)}
        with system.behind(ours.sign("server")) as ports:
            loose = system.refusal(tls="require", **shown, **ports)
            preferred = system.refusal(tls="prefer", sslrootcert=str(tmp_path / "wrong"), **ports)
    assert loose.code == preferred.code == "connection.file_unusable"
    assert (
        f"{key} cannot be used for TLS: expected a key that nobody else may read, and its mode is 644" in loose.message
    )
