"""References to secrets: where they lead, where they must not lead, and that nothing of them is said."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from dpone.errors import MissingPackage, UsageError
from dpone.manifest.secrets import Reference, malformed, references, resolve, substitute


def found(text: str, base: Path, **environ: str) -> str:
    return substitute(text, base, environ).get_secret_value()


def refused(text: str, base: Path, **environ: str) -> UsageError:
    with pytest.raises(UsageError) as raised:
        substitute(text, base, environ)
    return raised.value


def test_an_environment_variable(tmp_path: Path, canary: str) -> None:
    assert found("${env:PW}", tmp_path, PW=canary) == canary
    assert found("a ${env:PW} b ${env:Q}", tmp_path, PW=canary, Q="q") == f"a {canary} b q"


def test_what_is_resolved_is_not_resolved_again(tmp_path: Path) -> None:
    assert found("${env:A}", tmp_path, A="${env:B} $${", B="never") == "${env:B} $${"


def test_the_escape_is_a_plain_sign(tmp_path: Path) -> None:
    assert found("$${env:A}", tmp_path, A="never") == "${env:A}"
    assert references("$${env:A}") == ()
    assert malformed("$${env:A}") is None


def test_a_missing_variable_is_named(tmp_path: Path) -> None:
    error = refused("${env:SHOP_PASSWORD}", tmp_path, OTHER="x")
    assert error.code == "secret.missing"
    assert "SHOP_PASSWORD" in error.message
    assert error.exit_code == 2


def test_a_resolved_secret_is_not_printed(tmp_path: Path, canary: str) -> None:
    secret = resolve(Reference("env", "PW"), tmp_path, {"PW": canary})
    assert isinstance(secret, SecretStr)
    assert canary not in f"{secret!r}{secret}"


@pytest.mark.parametrize(
    "text, words",
    [
        ("${evn:A}", "evn"),
        ("${A}", "begins a reference"),
        ("${env:A", "begins a reference"),
        ("${env:A B}", "environment variable"),
        ("${keyring:only}", "service and a user"),
        ("${file:}", "names a file"),
    ],
)
def test_a_malformed_reference_is_explained(text: str, words: str) -> None:
    said = malformed(text)
    assert said is not None
    assert words in said


def test_a_file_below_the_folder_without_its_last_newline(tmp_path: Path, canary: str) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/pw").write_text(f"{canary}\r\n", encoding="utf-8")
    assert found("${file:secrets/pw}", tmp_path) == canary
    assert found(f"${{file:{tmp_path}/secrets/pw}}", tmp_path) == canary


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    error = refused("${file:secrets/pw}", tmp_path)
    assert error.code == "secret.missing"
    assert "secrets/pw" in error.message


@pytest.mark.parametrize("way", ["../outside", "sub/../../outside", "link", "dir/outside"])
def test_a_relative_file_does_not_lead_out_of_the_folder(
    way: str, tmp_path: Path, canary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path / "project"
    (base / "sub").mkdir(parents=True)
    (tmp_path / "outside").write_text(canary, encoding="utf-8")
    (tmp_path / "outside").chmod(0o600)
    (base / "link").symlink_to(tmp_path / "outside")
    (base / "dir").symlink_to(tmp_path)
    monkeypatch.chdir(base)
    error = refused(f"${{file:{way}}}", base)
    assert error.code == "secret.refused"
    assert canary not in str(error)


@pytest.mark.parametrize(
    "mode, is_read", [(0o600, True), (0o400, True), (0o640, False), (0o604, False), (0o644, False)]
)
def test_an_absolute_file_belongs_to_its_owner_alone(mode: int, *, is_read: bool, tmp_path: Path, canary: str) -> None:
    base = tmp_path / "project"
    base.mkdir()
    file = tmp_path / "pw"
    file.write_text(canary, encoding="utf-8")
    file.chmod(mode)
    if is_read:
        assert found(f"${{file:{file}}}", base) == canary
    else:
        error = refused(f"${{file:{file}}}", base)
        assert error.code == "secret.refused"
        assert "0600" in str(error.hint)


def test_an_absolute_link_out_of_its_folder_is_refused(tmp_path: Path, canary: str) -> None:
    base, other = tmp_path / "project", tmp_path / "other"
    base.mkdir()
    other.mkdir()
    (other / "pw").write_text(canary, encoding="utf-8")
    (other / "pw").chmod(0o600)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/pw").symlink_to(other / "pw")
    assert refused(f"${{file:{tmp_path}/folder/pw}}", base).code == "secret.refused"
    (other / "..data").mkdir()  # a mounted secret is a link within its own folder
    (other / "..data/token").write_text("t", encoding="utf-8")
    (other / "..data/token").chmod(0o600)
    (other / "token").symlink_to(other / "..data/token")
    assert found(f"${{file:{other}/token}}", base) == "t"


@pytest.mark.parametrize("name", ["folder", "fifo", "large", "binary"])
def test_only_a_short_text_file_is_a_secret(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "large").write_bytes(b"x" * (1 << 17))
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    error = refused(f"${{file:{name}}}", tmp_path)
    assert error.code == "secret.refused"
    assert error.__context__ is None  # nothing of the bytes travels along


def test_a_nul_in_a_name_is_a_missing_file(tmp_path: Path) -> None:
    assert refused("${file:a\x00b}", tmp_path).code == "secret.missing"


def test_the_keyring(tmp_path: Path, canary: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {("shop", "app"): canary}
    fake = SimpleNamespace(get_password=lambda service, user: known.get((service, user)))
    monkeypatch.setitem(sys.modules, "keyring", fake)
    assert found("${keyring:shop/app}", tmp_path) == canary
    error = refused("${keyring:shop/nobody}", tmp_path)
    assert (error.code, error.hint) == ("secret.missing", "keyring set shop nobody")


def test_a_keyring_that_fails_says_nothing_of_its_own(
    tmp_path: Path, canary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: str) -> str:
        raise RuntimeError(canary)

    monkeypatch.setitem(sys.modules, "keyring", SimpleNamespace(get_password=fail))
    error = refused("${keyring:shop/app}", tmp_path)
    assert error.code == "secret.missing"
    assert error.__context__ is None


def test_an_absent_keyring_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(MissingPackage) as raised:
        substitute("${keyring:shop/app}", tmp_path, {})
    assert raised.value.hint == 'pip install "dpone-core[keyring]"'
