"""A store: the cells that are committed now, the one way to replace one, and the locks of those who write."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import RLock
from typing import Any
from uuid import uuid4

from dpone.books import held_elsewhere
from dpone.errors import RemoteError, StateError
from dpone.names import print_name
from dpone.testing.memory.cell import Cell, Name
from dpone.testing.memory.config import MemoryConfig
from dpone.testing.memory.disk import Disk, digest, replace_file

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
    """The committed cells. Readers take one as it is; writers replace it whole, one at a time."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.parts: dict[str, dict[str, list[tuple[Any, ...]]]] = {}  # stages that are not on disk, by split
        self._mutex = RLock()
        self._cells: dict[Name, Cell] = {}
        self._stamps: dict[Name, tuple[int, int] | None] = {}
        self._leased: set[Name] = set()
        self._snapshots: dict[str, Cell] = {}
        self._disk = None if folder is None else Disk(folder)
        self.system = uuid4().hex if folder is None else _system_of(folder)

    def names(self) -> list[Name]:
        """Every name under which something is held."""
        return sorted(self._cells if self._disk is None else self._disk.names())

    def current(self, name: Name) -> Cell:
        """The cell as the last commit left it, in this process or another."""
        with self._mutex:
            if self._disk is not None and (stamp := self._disk.stamp(name)) != self._stamps.get(name):
                self._cells[name] = self._disk.load(self._disk.path(name))
                self._stamps[name] = stamp
            return self._cells.get(name) or Cell(name)

    def transact(self, name: Name, change: Callable[[Cell], Cell]) -> Cell:
        """The cell that `change` makes of the current one is committed, or nothing is when it raises."""
        with self._mutex, self._exclusive():
            before = self.current(name)
            after = change(before)
            if after != before:
                if self._disk is not None:
                    self._disk.save(after)
                    self._stamps[name] = self._disk.stamp(name)
                self._cells[name] = after
            return after

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        if self.folder is None:
            yield
            return
        with _locked(self.folder / "commit.lock", wait=True):
            yield

    # ------------------------------------------------------------------ leases

    @contextmanager
    def lease(self, target: Name) -> Iterator[None]:
        """Within the context nobody else, here or in another process, holds this target."""
        with self._mutex:
            if target in self._leased:
                raise held_elsewhere(print_name(target))
            self._leased.add(target)
        try:
            with ExitStack() as stack:
                if self.folder is not None:
                    path = self.folder / f"lease-{digest(json.dumps(list(target)))}.lock"
                    try:
                        stack.enter_context(_locked(path, wait=False))
                    except BlockingIOError:
                        raise held_elsewhere(print_name(target)) from None
                yield
        finally:
            with self._mutex:
                self._leased.discard(target)

    # --------------------------------------------------------------- snapshots

    @contextmanager
    def snapshot(self, name: Name) -> Iterator[tuple[str, Cell]]:
        """The current cell, kept under a name that also another process can read it by."""
        kept = uuid4().hex
        with self._mutex, self._exclusive():
            cell = self.current(name)
            self._snapshots[kept] = cell
            if self._disk is not None and self._stamps.get(name) is not None:
                os.link(self._disk.path(name), self._kept(kept))  # replacing the file leaves what this one points to
        try:
            yield kept, cell
        finally:
            with self._mutex:
                del self._snapshots[kept]
                if self._disk is not None:
                    self._kept(kept).unlink(missing_ok=True)

    def seen(self, snapshot: str) -> Cell:
        """The cell of an open snapshot."""
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


def _system_of(folder: Path) -> str:
    """What tells this store from any other, made when it is first opened."""
    path = folder / "system"
    with _locked(folder / "commit.lock", wait=True):
        if not path.exists():
            replace_file(path, uuid4().hex)
        return path.read_text("utf-8")


@contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[None]:
    """A lock of the operating system: it ends with the process that holds it."""
    import fcntl  # a store on disk is for POSIX systems; one in memory works everywhere

    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
