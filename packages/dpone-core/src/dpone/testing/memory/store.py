"""A store: the world that is committed now, the one way to replace it, and the locks of those who write its targets."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import RLock
from typing import Any
from uuid import uuid4

from dpone.errors import RemoteError, StateError
from dpone.names import print_name
from dpone.testing.memory.config import MemoryConfig
from dpone.testing.memory.disk import Disk, name_key
from dpone.testing.memory.world import Name, World

_stores: dict[str, Store] = {}
_opening = RLock()


def open_store(config: MemoryConfig) -> Store:
    """The one store of this name or folder in this process."""
    key = f"name:{config.name}" if config.path is None else f"path:{config.path.resolve()}"
    with _opening:
        if config.path is not None and not config.path.is_dir():
            raise RemoteError(
                f"no store at {config.path}: there is no such folder",
                code="memory.unreachable",
                hint="make the folder, or leave `path` out for a store of this process",
            )
        if key not in _stores:
            _stores[key] = Store(config.path)
        return _stores[key]


def forget_store(config: MemoryConfig) -> None:
    """The next to open it finds an empty store, or what its folder holds."""
    key = f"name:{config.name}" if config.path is None else f"path:{config.path.resolve()}"
    with _opening:
        _stores.pop(key, None)


class Store:
    """The committed world. Readers take it as it is; writers replace it whole, one at a time."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.parts: dict[str, dict[str, list[tuple[Any, ...]]]] = {}  # stages that are not on disk, by split
        self._mutex = RLock()
        self._leased: set[Name] = set()
        self._snapshots: dict[str, World] = {}
        self._disk = None if folder is None else Disk(folder)
        self._stamp: tuple[int, int] | None = None
        self._world = World(uuid4().hex)
        if self._disk is not None:
            with self._exclusive():
                if self._disk.stamp() is None:
                    self._disk.save(self._world)
                self._refresh()

    def current(self) -> World:
        """The world as the last commit left it, in this process or another."""
        with self._mutex:
            self._refresh()
            return self._world

    def transact(self, change: Callable[[World], World]) -> World:
        """The world that `change` makes of the current one is committed, or nothing is when it raises."""
        with self._mutex, self._exclusive():
            self._refresh()
            changed = change(self._world)
            if self._disk is not None:
                self._disk.save(changed)
                self._stamp = self._disk.stamp()
            self._world = changed
            return changed

    def _refresh(self) -> None:
        if self._disk is not None and (stamp := self._disk.stamp()) != self._stamp:
            self._world = self._disk.load()
            self._stamp = stamp

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        if self.folder is None:
            yield
            return
        with _locked(self.folder / "root.lock", wait=True):
            yield

    # ------------------------------------------------------------------ leases

    @contextmanager
    def lease(self, target: Name) -> Iterator[None]:
        """Within the context nobody else, here or in another process, holds this target."""
        with self._mutex:
            if target in self._leased:
                raise leased(target)
            self._leased.add(target)
        try:
            with ExitStack() as stack:
                if self.folder is not None:
                    digest = hashlib.sha256(name_key(target).encode()).hexdigest()[:32]
                    try:
                        stack.enter_context(_locked(self.folder / f"lease-{digest}.lock", wait=False))
                    except BlockingIOError:
                        raise leased(target) from None
                yield
        finally:
            with self._mutex:
                self._leased.discard(target)

    # --------------------------------------------------------------- snapshots

    @contextmanager
    def snapshot(self) -> Iterator[tuple[str, World]]:
        """The current world, kept under a name that also another process can read it by."""
        name = uuid4().hex
        with self._mutex:
            world = self.current()
            self._snapshots[name] = world
            if self._disk is not None:
                os.link(self._disk.root, self._kept(name))  # replacing the root leaves what this name points to
        try:
            yield name, world
        finally:
            with self._mutex:
                del self._snapshots[name]
                if self._disk is not None:
                    self._kept(name).unlink()

    def seen(self, snapshot: str) -> World:
        """The world of an open snapshot."""
        with self._mutex:
            if snapshot in self._snapshots:
                return self._snapshots[snapshot]
            if self._disk is None or not self._kept(snapshot).exists():
                raise StateError(
                    "the reading of this split is closed",
                    code="memory.snapshot_closed",
                    hint="read splits within the context of their reading",
                )
            return self._disk.load(self._kept(snapshot))

    def _kept(self, snapshot: str) -> Path:
        assert self.folder is not None  # only asked of a store on disk
        return self.folder / f"snapshot-{snapshot}.json"


def leased(target: Name) -> StateError:
    return StateError(
        f"another run holds {print_name(target)}",
        code="state.leased",
        hint="wait for it to end; a run that was killed holds nothing",
    )


@contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[None]:
    """A lock of the operating system: it ends with the process that holds it."""
    import fcntl  # a store on disk is for POSIX systems; one in memory works everywhere

    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
