"""How a bug is planted: one seam of the code under test is changed for a while."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from dpone import stage, strategies
from dpone.ops import Op, Program
from dpone.sql.sqlite import SqliteDialect
from dpone.stage import Sealed
from dpone.strategies import Load

Plant = Callable[[pytest.MonkeyPatch], None]


class Bug(Struct, frozen=True):
    """What is wrong, which strategies must show it, and how it is planted."""

    name: str
    shows_in: tuple[str, ...]
    plant: Plant
    without_sql: bool = False
    nan: bool = False


# ---------------------------------------------------------------------------- seams


def program(name: str, change: Callable[[Program, Load], Program]) -> Plant:
    """The strategy emits a changed program."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        honest = strategies.STRATEGIES[name]
        patch.setitem(
            strategies.STRATEGIES, name, replace(honest, program=lambda load: change(honest.program(load), load))
        )

    return plant


def each(kind: type[Op], **changed: Any) -> Callable[[Program, Load], Program]:
    """The operations of one kind take other fields."""
    return lambda ops, _load: tuple(replace(op, **changed) if isinstance(op, kind) else op for op in ops)


def put(owner: object, name: str, value: object) -> Plant:
    return lambda patch: patch.setattr(owner, name, value)


def everywhere(owners: Sequence[object], name: str, value: object) -> Plant:
    """The same name is replaced in every module that looked it up."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        for owner in owners:
            patch.setattr(owner, name, value)

    return plant


def around(owner: Any, name: str, change: Callable[..., object]) -> Plant:
    """The function is replaced by `change`, which gets the honest one before its arguments."""
    honest = getattr(owner, name)
    return put(owner, name, lambda *args, **kwargs: change(honest, *args, **kwargs))


def text(owner: Any, name: str, old: str, new: str) -> Plant:
    """Every piece of SQL that the function answers has `old` replaced; one that does not hold it is left alone."""

    def change(honest: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return _replaced(honest(*args, **kwargs), old, new)

    return around(owner, name, change)


def _replaced(found: Any, old: str, new: str) -> Any:
    if isinstance(found, str):
        return found.replace(old, new)
    if isinstance(found, tuple):
        return tuple(_replaced(part, old, new) for part in found)
    return replace(found, text=found.text.replace(old, new))


def dialect(name: str, method: Callable[..., object]) -> Plant:
    return put(SqliteDialect, name, method)


def of_stage(change: Callable[[Sealed], Sealed]) -> Plant:
    """Sealing in memory answers something else."""
    return around(stage, "seal", lambda honest, entries, how: change(honest(entries, how)))
