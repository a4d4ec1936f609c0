from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from pydantic import SecretStr

from dpone.errors import UsageError
from dpone.testing.certificates import Authority
from dpone.tls import certificates_in, check_certificate, check_files, client_context

PASSWORD = "cAnArY-83"


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


@pytest.fixture
def locked(ours: Authority) -> tuple[Path, Path]:
    """A certificate, and its key behind a password."""
    certificate, key = ours.sign("locked")
    found = serialization.load_pem_private_key(key.read_bytes(), None)
    how = serialization.BestAvailableEncryption(PASSWORD.encode())
    encoded = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
    key.write_bytes(found.private_bytes(*encoded))
    return certificate, key


def refusal(
    authorities: Path | None, certificate: Path | None = None, key: Path | None = None, *, password: str | None = None
) -> str:
    secret = None if password is None else SecretStr(password)
    with pytest.raises(UsageError) as refused:
        check_files("shop", authorities, certificate, key, secret)
    assert refused.value.code == "connection.file_unusable"
    assert refused.value.__suppress_context__
    return refused.value.message


def test_right_files_are_taken(ours: Authority) -> None:
    certificate, key = ours.sign("client")
    check_files("shop")
    check_files("shop", ours.file, certificate, key)
    check_files("shop", None, certificate)  # whose file holds the key as well
    context = client_context("shop", ours.file, certificate, key)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.cert_store_stats()["x509_ca"] == 1


def test_a_locked_key_needs_the_password_and_asks_nobody_for_it(locked: tuple[Path, Path]) -> None:
    check_files("shop", None, locked[0], locked[1], SecretStr(PASSWORD))
    assert f"{locked[1]} cannot be used for TLS: expected a key" in refusal(None, *locked)
    assert "opens without a password" in refusal(None, *locked)
    said = refusal(None, *locked, password=f"not {PASSWORD}")
    assert "opens with the password of the connection" in said
    assert PASSWORD not in said


def test_files_that_are_none_are_named(ours: Authority, tmp_path: Path) -> None:
    _, key = ours.sign("client")
    assert refusal(tmp_path / "gone").endswith("it cannot be read (FileNotFoundError)")
    assert refusal(tmp_path).startswith(f"shop: {tmp_path} cannot be used")
    assert refusal(key).endswith("expected a certificate as PEM (-----BEGIN CERTIFICATE-----), and it holds none such")
    assert refusal(None, ours.file, key).endswith("it holds the key of another one")
    assert refusal(None, key, key).startswith(f"shop: {key} cannot be used for TLS: expected a certificate")


def test_a_certificate_may_be_der(ours: Authority, tmp_path: Path) -> None:
    other = tmp_path / "ours.der"
    other.write_bytes(ssl.PEM_cert_to_DER_cert(ours.file.read_text()))
    for right in (ours.file, other):
        check_certificate("shop", right)
        assert certificates_in(right) == (ssl.PEM_cert_to_DER_cert(ours.file.read_text()),)
    for content in (b"", b"0", b"hello"):
        other.write_bytes(content)
        with pytest.raises(UsageError, match="or as DER, and it holds none such"):
            check_certificate("shop", other)
