"""SQL Server, whose TLS begins within TDS: a certificate that is not trusted is said to be that, and why."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dpone.errors import DponeError
from dpone.testing.certificates import Authority
from dpone.testing.services.endpoint import Endpoint
from dpone_mssql import MssqlConfig
from dpone_mssql.session import Connection
from dpone_mssql.testkit import testkit
from dpone_mssql.trust import refused_trust

pytestmark = pytest.mark.integration_mssql


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with testkit.service(testkit.providers()[0]) as found:
        yield found


def config(endpoint: Endpoint, **given: object) -> MssqlConfig:
    return MssqlConfig.model_validate({**testkit.connection(endpoint), "tls": "verify", "login_timeout": 5, **given})


def refusal(endpoint: Endpoint, **given: object) -> DponeError:
    with pytest.raises(DponeError) as refused:
        Connection(config(endpoint, **given), "source")
    return refused.value


def test_a_certificate_that_nobody_vouches_for_is_refused_and_the_reason_said(endpoint: Endpoint) -> None:
    refused = refusal(endpoint)
    assert refused.code == "source.not_trusted"
    assert "over TLS: self-signed certificate" in refused.message
    assert "certificate_host" in str(refused.hint)
    Connection(config(endpoint, tls="trust"), "source").close()


def test_a_certificate_of_another_name_is_said(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", endpoint.extra["certificate"])
    assert refused_trust(config(endpoint), "source") is None  # now it is trusted
    refused = refused_trust(config(endpoint, certificate_host="sql.example.org"), "source")
    assert refused is not None
    assert "not valid for 'sql.example.org'" in refused.message


def test_one_that_is_away_is_not_taken_for_one_that_is_not_trusted(endpoint: Endpoint) -> None:
    assert refusal(endpoint, port=1).code == "source.unreachable"


@pytest.mark.parametrize("content", [b"", b"hello", b"0\x82"])
def test_a_file_that_holds_no_certificate_is_named(endpoint: Endpoint, tmp_path: Path, content: bytes) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_bytes(content)
    refused = refusal(endpoint, certificate=str(wrong))
    assert (refused.code, refused.exit_code) == ("connection.file_unusable", 2), refused.message
    assert f"{wrong} cannot be used" in refused.message
    theirs = Path(endpoint.extra["certificate"])
    (tmp_path / "theirs.der").write_bytes(ssl.PEM_cert_to_DER_cert(theirs.read_text()))
    for right in (theirs, tmp_path / "theirs.der"):
        Connection(config(endpoint, certificate=str(right)), "source").close()
        assert refused_trust(config(endpoint, certificate=str(right)), "source") is None


def test_a_certificate_that_is_not_the_servers_is_said_to_be_another(endpoint: Endpoint, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    for name in (other.file, other.sign("signed")[0]):
        refused = refusal(endpoint, certificate=str(name))
        assert refused.code == "source.not_trusted"
        assert refused.message.endswith(f"over TLS: its certificate is not that in {name}")
    assert refusal(endpoint, port=1, certificate=str(other.file)).code == "source.unreachable"


def test_a_certificate_is_compared_before_the_first_byte_of_tds_as_well(endpoint: Endpoint, tmp_path: Path) -> None:
    ours = Authority(tmp_path, "ours")
    certificate, key = ours.sign("server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for _ in range(2):
                guest, _ = server.accept()
                context.wrap_socket(guest, server_side=True).close()

        threading.Thread(target=answer, daemon=True).start()
        given = {"port": server.getsockname()[1], "tls": "strict"}
        assert refused_trust(config(endpoint, certificate=str(certificate), **given), "source") is None
        refused = refused_trust(config(endpoint, certificate=str(ours.file), **given), "source")
    assert refused is not None
    assert refused.message.endswith(f"its certificate is not that in {ours.file}")


@pytest.mark.parametrize(
    "says", [b"", b"SSH-2.0-OpenSSH\r\n", bytes(8), b"\x04\x01\x00\x0b\x00\x00\x00\x00\xff\xff\xff"]
)
def test_what_speaks_no_tds_is_not_judged_by_its_certificate(endpoint: Endpoint, says: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            guest, _ = server.accept()
            with guest:
                guest.recv(100)
                guest.sendall(says)

        threading.Thread(target=answer, daemon=True).start()
        assert refused_trust(config(endpoint, port=server.getsockname()[1]), "source") is None
