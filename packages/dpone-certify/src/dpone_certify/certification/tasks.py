"""Parts of a certification run that any process of ours can carry out: plain data in, outcomes out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from multiprocessing import parent_process
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from msgspec import Struct

from dpone import registry
from dpone.integration_matrix import Case
from dpone_certify.certification import contract
from dpone_certify.certification.document import Volume
from dpone_certify.certification.outcome import Outcome
from dpone_certify.certification.serving import Served, unpacked

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

Told = Callable[[str, str], None]  # told of each step: the case, and what was done


@dataclass(frozen=True, slots=True)
class Live:
    """The services of a run, as plain data. Without any, cases are computed."""

    services: Mapping[str, Mapping[str, Any]] = field(repr=False)
    runs: str
    faults: bool
    sinks: tuple[str, ...]


class Task(Struct, frozen=True):
    """Cases of one source."""

    source: str
    cases: tuple[Case, ...]
    volume: Volume
    live: Live


def carry_out(task: Task, told: Told, served: Mapping[str, Served]) -> list[Outcome]:
    """The cases of the task, on these services or without any."""
    if not task.live.services:
        world = _world(task.source, task.live.sinks, task.volume)
        outcomes = []
        for case in task.cases:
            outcomes.append(contract.certify(case, world, registry.load(case.sink)))
            told(case.id, "computed")
        return outcomes
    from dpone_certify.certification.executed import Group, certify_group

    group = Group(
        cases=task.cases,
        source=served[task.source],
        sinks={case.sink: served[case.sink] for case in task.cases},
        volume=task.volume,
        token=uuid4().hex[:6],  # of this attempt, whose tables are its own
        runs=Path(task.live.runs),
        kept_by=[registry.load(name) for name in task.live.sinks],
        faults=task.live.faults,
    )
    return certify_group(group, lambda case, step: told(case.id, step))


def carried_out(task: Task, told: Told, served: Mapping[str, Served]) -> list[Outcome]:
    """The same, where a source that cannot be filled or changed is an error of each of its cases."""
    try:
        return carry_out(task, told, served)
    except Exception as error:  # noqa: BLE001 -- what a service's driver raises is of any kind, and may not be pickled
        return given_up(task, error)


def given_up(task: Task, error: Exception) -> list[Outcome]:
    """The cases of a task that came to nothing."""
    outcomes = [Outcome(case) for case in task.cases]
    for outcome in outcomes:
        outcome.broke("second_load" if task.live.services else "three_computations", error)
    return outcomes


@lru_cache(1)
def _world(source: str, sinks: tuple[str, ...], volume: Volume) -> contract.World:
    """The rows of one source at a time: the cases of a task share them."""
    return contract.world_of(registry.load(source), [registry.load(name) for name in sinks], volume)


# ------------------------------------------------------------------- in another process

_messages: list[Any] = []  # where this process says what it has done


def begin(messages: Queue[tuple[str, str] | None]) -> None:
    """What a process does first. It does not outlive the one that it works for, however that one ends."""
    _messages.append(messages)
    Thread(target=_end_with_parent, name="dpone-certification-parent", daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None  # it was started to carry out tasks
    parent.join()
    os._exit(1)


def carry_out_apart(task: Task) -> list[Outcome]:
    """The same in a process of its own."""

    def told(case: str, step: str) -> None:
        for messages in _messages:
            messages.put((case, step))

    return carried_out(task, told, {name: unpacked(data) for name, data in task.live.services.items()})


@contextmanager
def passing_on(messages: Queue[tuple[str, str] | None], told: Told) -> Iterator[None]:
    """Within the context, what other processes say is passed on."""

    def listen() -> None:
        while (message := messages.get()) is not None:
            told(*message)

    thread = Thread(target=listen, name="dpone-certification-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        messages.put(None)
        thread.join()
