"""An authority of our own, and certificates that it signs, as PEM files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True)
class Authority:
    """It is trusted where its file is."""

    folder: Path
    name: str

    def __post_init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _built(self._subject(self.name), self._subject(self.name), key.public_key(), authority=True)
        object.__setattr__(self, "_key", key)
        self.file.write_bytes(certificate.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    @property
    def file(self) -> Path:
        return self.folder / f"{self.name}.pem"

    def sign(self, name: str, host: str = "localhost") -> tuple[Path, Path]:
        """A certificate of this host, which is loopback, and its key; the certificate's file holds the key as well."""
        key = ec.generate_private_key(ec.SECP256R1())
        built = _built(self._subject(name), self._subject(self.name), key.public_key(), authority=False, host=host)
        signing: ec.EllipticCurvePrivateKey = self._key  # type: ignore[attr-defined]  # set above, in a frozen class
        public = built.sign(signing, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        encoded = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        private = key.private_bytes(*encoded)
        found = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        for path, content in zip(found, (private + public, private), strict=True):
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
                opened.write(content)
        return found

    @staticmethod
    def _subject(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _built(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, authority: bool, host: str = "localhost"
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    names: list[x509.GeneralName] = [x509.DNSName(host)]
    if host == "localhost":
        names.append(x509.IPAddress(ip_address("127.0.0.1")))
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
