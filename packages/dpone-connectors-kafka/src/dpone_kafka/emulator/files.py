"""Open files of many partitions, few at a time, and small journals that are read back after a crash."""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

_OPEN = 256
_OFTEN = 20_000  # entries of a journal after which it is written anew


class Files:
    """Descriptors by path: the least recently used one is closed when there are too many."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, int] = OrderedDict()

    def descriptor(self, path: Path) -> int:
        found = self._open.get(path)
        if found is None:
            found = self._open[path] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            if len(self._open) > _OPEN:
                os.close(self._open.popitem(last=False)[1])
        self._open.move_to_end(path)
        return found

    def forget(self, path: Path) -> None:
        """The file is closed, so that it can be replaced or removed."""
        if (found := self._open.pop(path, None)) is not None:
            os.close(found)


class Journal:
    """A mapping that survives SIGKILL: every change is one line, and the last line of a key is its value."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.entries: dict[str, Any] = {}
        if path.exists():
            self._replay(path.read_text("utf-8").splitlines())
        self._rewrite()

    def put(self, key: str, value: Any) -> None:
        """The value is kept; None forgets the key."""
        self._apply(key, value)
        self._file.write(json.dumps([key, value]) + "\n")
        self._lines += 1
        if self._lines > max(_OFTEN, 4 * len(self.entries)):
            self._file.close()
            self._rewrite()

    def forget(self, matching: Callable[[str], bool]) -> None:
        for key in [k for k in self.entries if matching(k)]:
            self.put(key, None)

    def _apply(self, key: str, value: Any) -> None:
        if value is None:
            self.entries.pop(key, None)
        else:
            self.entries[key] = value

    def _replay(self, lines: Iterable[str]) -> None:
        for line in lines:
            try:
                key, value = json.loads(line)
            except ValueError:
                return  # the end of a line that a crash cut off
            self._apply(key, value)

    def _rewrite(self) -> None:
        beside = self._path.with_suffix(".new")
        beside.write_text("".join(json.dumps(entry) + "\n" for entry in self.entries.items()), "utf-8")
        beside.replace(self._path)
        self._lines = len(self.entries)
        self._file = self._path.open("a", encoding="utf-8", buffering=1)
