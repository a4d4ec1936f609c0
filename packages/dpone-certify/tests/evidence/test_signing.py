"""A signature vouches for the bytes of one document, by one key, and nothing else gets by."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from dpone.errors import UsageError
from dpone_certify.documents.canonical import canonical
from dpone_certify.signing.envelope import envelope_of, refusal, sign, write_signed
from dpone_certify.signing.keys import public_key_of, signer_of
from evidence.conftest import Pair

CONTENT = canonical({"schema_version": "dpone.thing.v1", "producer": "test", "created_at": "now", "passed": True})
MadePair = Callable[[str], Pair]


@pytest.fixture
def signed(tmp_path: Path, pair: MadePair) -> Path:
    path = tmp_path / "thing.json"
    written = write_signed(path, CONTENT, signer_of(str(pair("ours")[0])))
    assert written == [path, tmp_path / "thing.json.dsse"]
    return path


def refused(path: Path, public: str | Path) -> str | None:
    return refusal(path, path.read_bytes(), public_key_of(str(public)))


def test_what_was_signed_is_believed_wherever_it_lies(signed: Path, tmp_path: Path) -> None:
    assert refused(signed, tmp_path / "ours.pub") is None
    moved = tmp_path / "elsewhere" / "renamed.json"
    moved.parent.mkdir()
    shutil.copy(signed, moved)
    shutil.copy(envelope_of(signed), envelope_of(moved))
    assert refused(moved, tmp_path / "ours.pub") is None


def test_the_statement_is_in_toto_and_in_one_spelling(signed: Path) -> None:
    envelope = json.loads(envelope_of(signed).read_text())
    payload = base64.b64decode(envelope["payload"])
    said = json.loads(payload)
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert [s["name"] for s in said["subject"]] == ["thing.json"]
    assert payload == json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


def change_envelope(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    beside = envelope_of(path)
    found = json.loads(beside.read_text())
    change(found)
    beside.write_text(json.dumps(found))


def another_statement(envelope: dict[str, Any]) -> None:
    payload = json.loads(base64.b64decode(envelope["payload"]))
    payload["subject"][0]["digest"]["sha256"] = "0" * 64
    envelope["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()


@pytest.mark.parametrize(
    "change, reason",
    [
        pytest.param(
            lambda p: p.write_text(p.read_text().replace("true", "false")), "changed after", id="an edited value"
        ),
        pytest.param(lambda p: p.write_text(p.read_text() + " "), "changed after", id="a byte more"),
        pytest.param(lambda p: envelope_of(p).unlink(), "no signature", id="no envelope"),
        pytest.param(lambda p: envelope_of(p).write_text("{}"), "cannot be read", id="an empty envelope"),
        pytest.param(lambda p: envelope_of(p).write_text("not json"), "cannot be read", id="no JSON"),
        pytest.param(lambda p: envelope_of(p).write_text("[]"), "cannot be read", id="a list"),
        pytest.param(
            lambda p: change_envelope(p, lambda e: e["signatures"].clear()), "not made by this key", id="no signature"
        ),
        pytest.param(lambda p: change_envelope(p, another_statement), "not made by this key", id="another statement"),
        pytest.param(
            lambda p: change_envelope(p, lambda e: e.update(payloadType="text/plain")),
            "not made by this key",
            id="another payload type",
        ),
        pytest.param(
            lambda p: change_envelope(p, lambda e: e["signatures"][0].update(sig="AAAA")),
            "not made by this key",
            id="another signature",
        ),
        pytest.param(lambda p: change_envelope(p, lambda e: e.update(payload="%")), "cannot be read", id="no base64"),
        pytest.param(
            lambda p: change_envelope(p, lambda e: e["signatures"].append(e["signatures"][0])),
            "cannot be read",
            id="a signature twice",
        ),
    ],
)
def test_anything_else_is_refused(signed: Path, tmp_path: Path, change: Callable[[Path], object], reason: str) -> None:
    change(signed)
    assert reason in (refused(signed, tmp_path / "ours.pub") or "")


def test_another_key_is_refused(signed: Path, pair: MadePair) -> None:
    assert refused(signed, pair("theirs")[1]) == "its signature was not made by this key"


def test_a_signature_of_one_document_does_not_serve_another(signed: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(CONTENT.replace("thing.v1", "other.v1"))
    shutil.copy(envelope_of(signed), envelope_of(other))
    assert "another kind" in (refused(other, tmp_path / "ours.pub") or "")


def test_a_linked_signature_is_no_signature(signed: Path, tmp_path: Path) -> None:
    beside = envelope_of(signed)
    beside.rename(tmp_path / "kept")
    beside.symlink_to(tmp_path / "kept")
    assert "cannot be read" in (refused(signed, tmp_path / "ours.pub") or "")


def test_what_is_written_without_a_key_keeps_no_older_signature(signed: Path) -> None:
    assert write_signed(signed, CONTENT, None) == [signed]
    assert not envelope_of(signed).exists()


def test_a_key_may_come_from_the_environment(signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", (tmp_path / "ours.pem").read_text())
    monkeypatch.setenv("MINE_PUBLIC", (tmp_path / "ours.pub").read_text())
    sign(signed, CONTENT, signer_of("env:MINE"))
    assert refused(signed, "env:MINE_PUBLIC") is None


def test_the_documented_line_makes_a_usable_pair(tmp_path: Path) -> None:
    from dpone_certify.signing import keys

    if shutil.which("openssl") is None:
        pytest.skip("no openssl on PATH")
    subprocess.run(keys._MAKE, shell=True, check=True, cwd=tmp_path)  # noqa: S602 - our own line, as a person types it
    path = tmp_path / "thing.json"
    write_signed(path, CONTENT, signer_of(str(tmp_path / "signing.pem")))
    assert refused(path, tmp_path / "public.pem") is None


def elliptic(folder: Path) -> tuple[str, str]:
    key = generate_private_key(SECP256R1())
    private, public = folder / "ec.pem", folder / "ec.pub"
    private.touch(mode=0o600)
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return str(private), str(public)


def test_a_key_that_cannot_be_used_is_refused_without_being_shown(tmp_path: Path, pair: MadePair) -> None:
    private, public = elliptic(tmp_path)
    garbage = tmp_path / "garbage.pem"
    garbage.touch(mode=0o600)
    garbage.write_text("-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n")
    for said in (private, str(garbage), str(tmp_path / "absent"), str(tmp_path), "env:NOT_THERE"):
        with pytest.raises(UsageError) as error:
            signer_of(said)
        assert error.value.code in {"usage.invalid_key", "usage.signing_key_open"}
        assert "secret" not in str(error.value)
    for said in (public, str(garbage), str(tmp_path / "absent"), "env:NOT_THERE", str(pair("ours")[0])):
        with pytest.raises(UsageError):
            public_key_of(said)


def test_a_private_key_that_others_can_read_is_refused(pair: MadePair) -> None:
    private, _ = pair("ours")
    private.chmod(0o644)
    with pytest.raises(UsageError) as error:
        signer_of(str(private))
    assert error.value.code == "usage.signing_key_open"
