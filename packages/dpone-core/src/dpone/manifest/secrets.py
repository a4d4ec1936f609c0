"""References to secrets: `${env:NAME}`, `${file:path}`, `${keyring:service/user}`, resolved at connect time alone."""

from __future__ import annotations

import importlib
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct
from pydantic import SecretStr

from dpone.errors import DponeError, MissingPackage, UsageError

KINDS = ("env", "file", "keyring")
# the second alternative is the escape: `$${` is a plain `${`
REFERENCE = re.compile(r"(?<!\$)\$\{(?P<kind>[A-Za-z]+):(?P<name>[^{}]*)\}|\$\$\{")
REFERENCE_PATTERN = r"\$\{(env|file|keyring):[^{}]+\}"
MAX_SECRET = 64 << 10
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Reference(Struct, frozen=True):
    """Where a secret is kept; printing it shows the place, not the secret."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"${{{self.kind}:{self.name}}}"


def references(text: str) -> tuple[Reference, ...]:
    """The references in a text, in order."""
    return tuple(Reference(m["kind"], m["name"]) for m in REFERENCE.finditer(text) if m["kind"])


def malformed(text: str) -> str | None:
    """What is wrong with the references of a text, or None."""
    rest = REFERENCE.sub("", text)
    if "${" in rest:
        return "`${` begins a reference: ${env:NAME}, ${file:path}, ${keyring:service/user}; `$${` is the sign itself"
    for found in references(text):
        if found.kind not in KINDS:
            return f'"{found.kind}" is not a kind of reference; there are {", ".join(KINDS)}'
        if found.kind == "env" and not _ENV.fullmatch(found.name):
            return "${env:...} names an environment variable: letters, digits, `_`"
        if found.kind == "keyring" and not all(found.name.partition("/")):
            return "${keyring:...} names a service and a user: ${keyring:service/user}"
        if found.kind == "file" and not found.name.strip():
            return "${file:...} names a file"
    return None


def substitute(text: str, base: Path, environ: Mapping[str, str]) -> SecretStr:
    """The text with each reference replaced by what it refers to."""

    def value(match: re.Match[str]) -> str:
        if not match["kind"]:
            return "${"
        return resolve(Reference(match["kind"], match["name"]), base, environ).get_secret_value()

    return SecretStr(REFERENCE.sub(value, text))


def resolve(reference: Reference, base: Path, environ: Mapping[str, str]) -> SecretStr:
    """What the reference refers to; `base` is the folder below which relative files are looked up."""
    match reference.kind:
        case "env":
            if reference.name not in environ:
                raise _missing(f"the environment variable {reference.name} is not set", f"export {reference.name}=...")
            return SecretStr(environ[reference.name])
        case "file":
            return _read(Path(reference.name), base)
        case "keyring":
            return _from_keyring(reference)
        case _:
            raise UsageError(
                f'"{reference.kind}" is not a kind of reference',
                code="secret.refused",
                hint="write ${env:NAME}, ${file:path} or ${keyring:service/user}",
            )


def _missing(message: str, hint: str) -> UsageError:
    return UsageError(message, code="secret.missing", hint=hint)


def _read(path: Path, base: Path) -> SecretStr:
    """The text of a secret file, without its last newline.

    A relative path leads below `base`; an absolute one below it too, or to a file that its owner alone can read.
    """
    hint = "keep it below the folder of the file that refers to it, or absolute with mode 0600"
    try:
        path = path.expanduser()
        real = (base / path).resolve(strict=True)
        handle = os.open(real, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except (OSError, RuntimeError, ValueError):  # absent, a loop of links, an unknown user's home, a NUL in the name
        raise _missing(f"the secret file {path} cannot be read", hint) from None
    try:
        # asked of the open file, so that nobody can exchange it in between
        if objection := _objection(path, real, base, os.fstat(handle)):
            raise UsageError(f"the secret file {path} {objection}", code="secret.refused", hint=hint)
        raw = os.read(handle, MAX_SECRET + 1)
    finally:
        os.close(handle)
    text: str | None = None
    with suppress(UnicodeDecodeError):
        text = raw.decode()
    if text is None or len(raw) > MAX_SECRET:  # raised here, so that the bytes do not become the error's context
        found = f"is larger than {MAX_SECRET >> 10} KiB" if len(raw) > MAX_SECRET else "is not UTF-8 text"
        raise UsageError(f"the secret file {path} {found}", code="secret.refused", hint="a secret is a short text")
    return SecretStr(text.removesuffix("\n").removesuffix("\r"))


def _objection(path: Path, real: Path, base: Path, found: os.stat_result) -> str | None:
    """Why this file must not be read, or None."""
    if not stat.S_ISREG(found.st_mode):
        return "is not a regular file"
    if real.is_relative_to(base.resolve()):
        return None
    if not path.is_absolute():
        return f"leads out of {base}"
    if os.name == "posix" and (found.st_mode & 0o077 or found.st_uid not in {os.geteuid(), 0}):
        return "can be read by others than its owner"
    if not real.is_relative_to(path.parent.resolve()):
        return "is a link that leads out of its folder"
    return None


def _from_keyring(reference: Reference) -> SecretStr:
    service, _, user = reference.name.partition("/")
    try:
        keyring: Any = importlib.import_module("keyring")
    except ImportError:
        raise MissingPackage("${keyring:...} needs the package keyring", install='"dpone-core[keyring]"') from None
    hint = f"keyring set {service} {user}"
    failure: DponeError | None = None
    found: str | None = None
    try:
        found = keyring.get_password(service, user)
    except Exception:  # noqa: BLE001 - backends raise their own errors of every kind, with who knows what in them
        failure = _missing("the keyring of this system cannot be read", "python -m keyring diagnose")
    if failure is not None:
        raise failure
    if found is None:
        raise _missing(f"the keyring has no password for {service}/{user}", hint)
    return SecretStr(found)
