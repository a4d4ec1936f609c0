"""A run: a plan, its two connected ends, and who is told what happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dpone import events
from dpone.connector import Connector, Layout, Sink, Source, Stored
from dpone.plan import Plan
from dpone.prepare import Prepared, prepare
from dpone.signals import Stop
from dpone.strategies import Load


@dataclass(frozen=True, slots=True)
class Run:
    """A plan with its two connected ends, and who is told what happens.

    With `keeps`, a validated stage outlives a failure where the sink can keep it, and `dpone resume` publishes it.
    """

    id: str
    plan: Plan
    source: Source
    sink: Sink
    source_connector: Connector[Any]
    sink_connector: Connector[Any]
    notify: Callable[[events.Event], None]
    stop: Stop
    deadline: float | None = None
    keeps: bool = True

    def prepared(self, load: Load, current: Layout | None, stored: Stored | None) -> Prepared:
        """The load against the target as it is now, read from what is stored."""
        return prepare(self.plan, load, self.source_connector, self.sink_connector, current, stored)
