"""How a document is read: it is there, it is what it says it is, it follows its model; or the blocker that says not."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any, Generic, TypeVar

from msgspec import Struct
from pydantic import BaseModel, ValidationError

from dpone_certify.documents.canonical import parse, sha256
from dpone_certify.documents.document import Blocker

M = TypeVar("M", bound=BaseModel)
MOST_BYTES = 50_000_000  # a report of 200 cases has less than one million


class Read(Struct, Generic[M], frozen=True):
    """What a file held, and its hash; or what is wrong with it."""

    found: M | None
    sha256: str | None = None
    blockers: tuple[Blocker, ...] = ()


def missing(name: str, path: Path | None, which: str = "") -> Blocker:
    """`which` tells it from others of its name."""
    where = f"{path} is not there" if path is not None else "it was not given"
    code = f"{name}.missing:{which}" if which else f"{name}.missing"
    return Blocker(code=code, message=where, action=f"produce it, and name its file for `{which or name}`")


def invalid(name: str, path: Path, reason: str) -> Blocker:
    return Blocker(
        code=f"{name}.invalid", message=f"{path}: {reason}", action="produce it again; do not change it by hand"
    )


def read_json(
    name: str, path: Path | None, most_bytes: int = MOST_BYTES
) -> tuple[Any, str | None, tuple[Blocker, ...]]:
    """The JSON object in a file and the file's hash, or the blocker `<name>.missing` or `<name>.invalid`."""
    content, blockers = read_bytes(name, path, most_bytes)
    if content is None or path is None:
        return None, None, blockers
    try:
        value = parse(content)
    except (ValueError, RecursionError) as error:
        return None, sha256(content), (invalid(name, path, f"not JSON that is read in one way: {error}"),)
    if not isinstance(value, dict):
        return None, sha256(content), (invalid(name, path, "expected an object"),)
    return value, sha256(content), ()


def read_bytes(name: str, path: Path | None, most_bytes: int = MOST_BYTES) -> tuple[bytes | None, tuple[Blocker, ...]]:
    """A plain file's bytes; a link, a device or a file beyond any honest size is not read at all."""
    if path is None:
        return None, (missing(name, path),)
    try:
        found = path.lstat()
        if stat.S_ISDIR(found.st_mode):
            return None, (missing(name, path),)
        if not stat.S_ISREG(found.st_mode):
            kind = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "no plain file"
            return None, (invalid(name, path, f"it is {kind}"),)
        if found.st_size > most_bytes:
            size = f"it has {found.st_size:,} bytes, at most {most_bytes:,} are read"
            return None, (invalid(name, path, size),)
        return path.read_bytes(), ()
    except OSError:
        return None, (missing(name, path),)


def read_document(name: str, path: Path | None, model: type[M]) -> Read[M]:
    """The document in a file, held against its model."""
    value, digest, blockers = read_json(name, path)
    if blockers or path is None:
        return Read(None, digest, blockers)
    try:
        return Read(model.model_validate(value), digest)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'document'}: {e['msg']}" for e in error.errors(include_input=False)[:3]
        )
        return Read(None, digest, (invalid(name, path, wrong),))
