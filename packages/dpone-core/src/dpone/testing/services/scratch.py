"""Directories that belong to a running server, and the removal of those whose server and owner are gone.

A directory is alive while any process holds a shared lock on its `lock` file. The lock is inherited: by the supervisor,
by the server, by the server's children. So it outlives a `kill -9` of the owner exactly as long as the server does, and
no pid can be mistaken for another.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dpone.errors import UsageError
from dpone.testing.services.account import Account

_REMOVED = "removed-"
# Whoever asks: a service that needs no other account must not lock out the running server of one that does. What is in
# it cannot be listed, and each directory has a mode of its own.
_PASSABLE = 0o711
Forget = Callable[[Path], None]  # frees what a server of that kind keeps outside its directory


class Scratch:
    """A new directory, alive as long as this object or a process that inherited `lock` is."""

    def __init__(self, kind: str, account: Account | None, *, forget: Forget) -> None:
        self._forget = forget
        root = scratch_root(account)
        with _exclusive(root):
            dead = _set_aside(root, kind, forget)
            self.path = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=root))
            self.lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self.lock, fcntl.LOCK_SH)
        if account is not None:
            self.path.chmod(0o711)  # passable for the server's account, not listable
        for directory in dead:
            shutil.rmtree(directory, ignore_errors=True)

    def remove(self) -> None:
        self._forget(self.path)
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock)


def scratch_root(account: Account | None) -> Path:
    """Ours alone, and passable for the account that servers run as."""
    for parent in (Path(tempfile.gettempdir()), Path("/var/tmp"), Path("/tmp")):  # noqa: S108 - made ours just below
        if parent.is_dir() and (account is None or account.can_reach(parent)):
            break
    else:
        raise UsageError(
            "no temporary directory that the server's account can reach",
            code="service.no_scratch",
            hint="point TMPDIR at a directory that every account may pass through",
        )
    root = parent / f"dpone-services-{os.geteuid()}"
    root.mkdir(mode=_PASSABLE, exist_ok=True)
    found = root.lstat()
    # in a shared /tmp somebody else may have made it first, to read or to steer what we put there
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise UsageError(
            f"{root} is not a directory of ours alone",
            code="service.unsafe_scratch",
            hint="remove it, or point TMPDIR elsewhere",
        )
    root.chmod(_PASSABLE)
    return root


@contextmanager
def _exclusive(root: Path) -> Iterator[None]:
    """Nobody else makes or sets aside a directory now: a new one is never seen without its lock."""
    handle = os.open(root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _set_aside(root: Path, kind: str, forget: Forget) -> list[Path]:
    """Dead directories are renamed: their slow removal needs no lock, and a crash during it is mended next time."""
    for directory in root.glob(f"{kind}-*"):
        if not _alive(directory):
            forget(directory)
            directory.rename(root / f"{_REMOVED}{directory.name}")
    return list(root.glob(f"{_REMOVED}*"))


def _alive(directory: Path) -> bool:
    try:
        handle = os.open(directory / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
