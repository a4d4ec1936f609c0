"""References to secrets: `${env:NAME}`, `${file:path}`, `${keyring:service/user}`, resolved at connect time alone."""

from __future__ import annotations

import importlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from dpone.errors import DponeError, MissingPackage, UsageError

KINDS = ("env", "file", "keyring")
# the second alternative is the escape: `$${` is a plain `${`
REFERENCE = re.compile(r"(?<!\$)\$\{(?P<kind>[A-Za-z]+):(?P<name>[^{}]*)\}|\$\$\{")
REFERENCE_PATTERN = r"\$\{(env|file|keyring):[^{}]+\}"
MAX_SECRET = 64 << 10
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Reference:
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
            return _read(Path(reference.name).expanduser(), base)
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


def _refused(path: Path, why: str, hint: str) -> UsageError:
    return UsageError(f"the secret file {path} is not read: {why}", code="secret.refused", hint=hint)


def _read(path: Path, base: Path) -> SecretStr:
    """The text of a secret file, without its last newline.

    A relative path leads below `base`; an absolute one below it too, or to a file that its owner alone can read.
    """
    hint = "keep it below the folder of the file that refers to it, or absolute with mode 0600"
    try:
        home = base.resolve()
        real = (base / path).resolve(strict=True)
        handle = os.open(real, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except (OSError, RuntimeError, ValueError):  # absent, a loop of links, a NUL in the name
        raise _missing(f"the secret file {path} cannot be read", hint) from None
    with os.fdopen(handle, "rb") as file:
        # asked of the open file, so that nobody can exchange it in between
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise _refused(path, "it is not a regular file", hint)
        if not real.is_relative_to(home):
            if not path.is_absolute():
                raise _refused(path, f"it leads out of {base}", hint)
            if os.name == "posix" and (found.st_mode & 0o077 or found.st_uid not in {os.geteuid(), 0}):
                raise _refused(path, "others than its owner may read it", f"chmod 600 {path}")
            if real.parent != path.parent.resolve() and not real.is_relative_to(path.parent.resolve()):
                raise _refused(path, "a symbolic link leads out of its folder", hint)
        raw = file.read(MAX_SECRET + 1)
    if len(raw) > MAX_SECRET:
        raise _refused(path, f"it is larger than {MAX_SECRET >> 10} KiB", "a secret is short")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = None
    if text is None:  # raised here, so that the bytes do not travel along as the error's context
        raise _refused(path, "it is not UTF-8 text", "write the secret as text")
    return SecretStr(text.removesuffix("\n").removesuffix("\r"))


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
