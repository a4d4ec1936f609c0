"""The envelope beside a document: who vouches for these bytes, and whether that is the key we trust."""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpone_certify.documents.canonical import parse, sha256, write

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, SSlibKey

SUFFIX = ".dsse"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://dpone.dev/evidence/v1"
_MOST_BYTES = 1_000_000


def envelope_of(path: Path) -> Path:
    """Where the signature of a document lies."""
    return path.with_name(path.name + SUFFIX)


def sign(path: Path, content: str, signer: CryptoSigner) -> Path:
    """The envelope lies beside the document, and vouches for this content: what was measured, not what a file holds."""
    from securesystemslib.dsse import Envelope

    envelope = Envelope(statement(path.name, content), PAYLOAD_TYPE, {})
    envelope.sign(signer)
    beside = envelope_of(path)
    write(beside, json.dumps(envelope.to_dict(), sort_keys=True) + "\n")
    return beside


def write_signed(path: Path, content: str, signer: CryptoSigner | None) -> list[Path]:
    """The document is written, and its signature, if there is a signer; without one no older signature stays."""
    write(path, content)
    if signer is None:
        envelope_of(path).unlink(missing_ok=True)
        return [path]
    return [path, sign(path, content, signer)]


def statement(name: str, content: str) -> bytes:
    """The in-toto statement about a document, in its one spelling (RFC 8785)."""
    import rfc8785

    said = json.loads(content)
    return rfc8785.dumps(
        {
            "_type": STATEMENT,
            "subject": [{"name": name, "digest": {"sha256": sha256(content)}}],
            "predicateType": PREDICATE,
            "predicate": {key: said.get(key) for key in ("schema_version", "producer", "created_at", "passed")},
        }
    )


def refusal(path: Path, content: bytes, key: SSlibKey) -> str | None:
    """Why these bytes of the document at `path` are not vouched for by the key; None when they are.

    The name in the statement is not compared: a file may be renamed, its bytes and its kind may not change.
    """
    from securesystemslib.exceptions import Error, VerificationError

    try:
        envelope = read_envelope(envelope_of(path))
    except FileNotFoundError:
        return "there is no signature beside it"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, Error) as error:
        return f"its signature cannot be read: {type(error).__name__}"
    try:
        envelope.verify([key], 1)
    except VerificationError:
        return "its signature was not made by this key"
    try:
        said, document = parse(envelope.payload), parse(content)
        vouched = [subject["digest"]["sha256"] for subject in said["subject"]]
        kinds = (said["_type"], said["predicateType"], envelope.payload_type)
        same_kind = said["predicate"]["schema_version"] == document["schema_version"]
    except (ValueError, KeyError, TypeError):
        return "what was signed is no statement about a document"
    if kinds != (STATEMENT, PREDICATE, PAYLOAD_TYPE) or not same_kind:
        return "what was signed is a statement of another kind"
    return None if vouched == [sha256(content)] else "it was changed after it was signed"


def read_envelope(path: Path) -> Any:
    """The envelope in a file, strictly read; ValueError or KeyError where it is none."""
    from securesystemslib.dsse import Envelope

    if path.is_symlink() or path.stat().st_size > _MOST_BYTES:
        raise ValueError(path.name)
    found = parse(path.read_bytes())
    try:
        base64.b64decode(found["payload"], validate=True)
    except binascii.Error:
        raise ValueError(path.name) from None
    return Envelope.from_dict(found)
