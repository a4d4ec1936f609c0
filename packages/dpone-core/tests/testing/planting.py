"""How a bug is planted: it replaces names in the modules of the store in memory, in this process and for good."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def _module(name: str) -> Any:
    """A module of the store; its names are replaced at will."""
    return import_module(f"dpone.testing.memory.{name}")


changes, draft, sink, source = map(_module, ("changes", "draft", "sink", "source"))
publication, publishing, staging = map(_module, ("publication", "publishing", "staging"))
kits, store, windows, wire = map(_module, ("testkit", "store", "windows", "wire"))

Plant = Callable[[], None]
PLANTS: dict[str, tuple[Plant, str, bool]] = {}  # the bug, a test that must catch it, whether the sink publishes


def plant(caught_by: str, *, publishes: bool = False) -> Callable[[Plant], Plant]:
    """Notes a bug by its name."""

    def note(bug: Plant) -> Plant:
        PLANTS[bug.__name__] = (bug, caught_by, publishes)
        return bug

    return note
