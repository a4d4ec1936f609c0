"""Makes a pair of Ed25519 keys in a folder, unless one is there: `python .ci/keys.py .dpone/keys`.

For a clone that is given no key. What such a pair signs is vouched for by this clone, and by nobody who is known.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat


def make(folder: Path) -> None:
    """`signing.pem`, which its owner alone may read, and `public.pem` are in the folder."""
    private, public = folder / "signing.pem", folder / "public.pem"
    if private.is_file() and public.is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    key = Ed25519PrivateKey.generate()
    private.unlink(missing_ok=True)
    with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
