"""Files below a folder: hashed, and refused by name where they are no plain files within it."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from msgspec import Struct

from dpone_certify.chain.documents import IndexedFile, Root
from dpone_certify.documents.canonical import sha256_of
from dpone_certify.documents.document import Blocker

_PRIVATE = b"PRIVATE KEY-----"
_LARGEST_KEY = 1_000_000
_OUT = "keep evidence in plain files below its folder"


class Found(Struct, frozen=True):
    files: tuple[IndexedFile, ...]
    blockers: tuple[Blocker, ...]


def files_below(root: Path, left_out: frozenset[Path]) -> Found:
    """Every plain file below the folder by name order; links, devices and private keys are blockers."""
    files: list[IndexedFile] = []
    blockers: list[Blocker] = []
    for path in sorted(root.rglob("*"), key=lambda p: p.relative_to(root).as_posix()):
        name = path.relative_to(root).as_posix()
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode) or path.resolve() in left_out:
            continue
        if stat.S_ISLNK(mode):
            blockers.append(_index_blocker(f"symlink:{name}", f"{path} is a symbolic link", _OUT))
        elif not stat.S_ISREG(mode):
            blockers.append(_index_blocker(f"no_file:{name}", f"{path} is no plain file", _OUT))
        elif path.stat().st_size <= _LARGEST_KEY and _PRIVATE in path.read_bytes():
            action = "take it away and make another pair: a key among artifacts is published"
            blockers.append(_index_blocker(f"private_key:{name}", f"{path} holds a private key", action))
        else:
            files.append(IndexedFile(path=name, sha256=sha256_of(path), size=path.stat().st_size))
    return Found(tuple(files), tuple(blockers))


def _index_blocker(code: str, message: str, action: str) -> Blocker:
    return Blocker(code=f"artifact_index.{code}", message=message, action=action)


def changed(roots: tuple[Root, ...], folder: Path, name: str) -> Iterator[Blocker]:
    """Every file of the roots, hashed again, that is not what it was; `name` begins the blockers."""
    for root in roots:
        base = folder / root.root
        if PurePosixPath(root.root).is_absolute() or "\\" in root.root:
            said = f"the root {root.root[:100]!r} is not relative"
            yield Blocker(code=f"{name}.path_escapes:{root.root[:100]}", message=said, action=_OUT)
            continue
        for file in root.files:
            code = _wrong(base, file)
            if code is not None:
                shown = f"{root.root}/{file.path}"[:200]
                message = f"{shown}: {_SAID[code]}"
                action = "find out who changed it; restore what was certified, or certify again"
                yield Blocker(code=f"{name}.{code}:{shown}", message=message, action=action)


def _wrong(base: Path, file: IndexedFile) -> str | None:
    said = PurePosixPath(file.path)
    path = base / said
    if said.is_absolute() or ".." in said.parts or "\\" in file.path or "\0" in file.path:
        return "path_escapes"
    try:
        found = path.lstat()
        if path.resolve().relative_to(base.resolve()) != Path(said) or not stat.S_ISREG(found.st_mode):
            return "path_escapes"
        if found.st_size != file.size or sha256_of(path) != file.sha256:
            return "artifact_changed"
    except ValueError:
        return "path_escapes"
    except OSError:
        return "artifact_missing"
    return None


_SAID = {
    "path_escapes": "it does not lie below its root as a plain file",
    "artifact_changed": "it is not what it was when the release was certified",
    "artifact_missing": "it is not there any more",
}
