"""Failpoints as a suite needs them: to be seen at each one that a load passes, whatever a sink calls its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dpone import failpoints


class _Everywhere(dict[str, Callable[[], None]]):
    """Answers for every name, so that no list of a sink's steps is needed."""

    def __init__(self, action: Callable[[str], None]) -> None:
        super().__init__()
        self._action = action

    def get(self, name: str, default: object = None) -> Callable[[], None]:
        return lambda: self._action(name)


@contextmanager
def everywhere(action: Callable[[str], None]) -> Iterator[None]:
    """Within the context, `action` is called with the name of each failpoint that is hit."""
    before = failpoints._armed  # noqa: SLF001 - there is no public way to stand at places whose names are not known
    failpoints._armed = _Everywhere(action)  # noqa: SLF001 - likewise
    try:
        yield
    finally:
        failpoints._armed = before  # noqa: SLF001 - likewise


def passed(run: Callable[[], object]) -> list[str]:
    """The failpoints that `run` passes, in order; one that is hit twice is `name:2` the second time."""
    names: list[str] = []

    def note(name: str) -> None:
        times = sum(n.partition(":")[0] == name for n in names)
        names.append(name if times == 0 else f"{name}:{times + 1}")

    with everywhere(note):
        run()
    return names


@contextmanager
def at(place: str, action: Callable[[], None]) -> Iterator[None]:
    """Within the context, `action` runs when `name` or `name:n` is hit, once."""
    name, _, nth = place.partition(":")
    left = [int(nth or 1)]

    def act() -> None:
        left[0] -= 1
        if left[0] == 0:
            action()

    with failpoints.arm(name, act):
        yield
