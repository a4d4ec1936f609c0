"""Whole runs by the runner itself, from a seeded table into a target, as a compiled manifest would have them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from msgspec.structs import replace

from dpone.connector import Column, Cursor, Late, Target
from dpone.events import Event
from dpone.ops import Guard
from dpone.plan import End, Plan, PlannedColumn
from dpone.runner import Run, execute
from dpone.signals import Stop
from dpone.strategies import STRATEGIES, Load, Read
from dpone.testing.suite.rig import Seeded, SinkRig

FREE = Guard(max_removed_share=1.0, allow_empty=True)


def plan_of(seeded: Seeded, sink: SinkRig, target: Target, strategy: str, **load: Any) -> Plan:
    """The plan of a strategy over all columns of a seeded table."""
    with seeded.rig.source() as source:
        found = source.describe(seeded.dataset)
    name, land = seeded.rig.connector.name, sink.connector.types.land
    columns = tuple(PlannedColumn(Column(n, n), found[n], found[n], land(found[n])) for n in seeded.schema.names)
    rule = STRATEGIES[strategy]
    key = seeded.schema.key if rule.needs & {"key"} or strategy == "incremental_append" else ()
    template = Load("", datetime(2026, 1, 1, tzinfo=UTC), seeded.schema.names, key, guard=FREE)
    by_cursor = rule.read is Read.SINCE and seeded.rig.source_kit.cursors
    return Plan(
        pipeline=f"suite_{uuid4().hex[:8]}",
        source=End(name, seeded.table.label),
        sink=End(sink.connector.name, target.name[-1]),
        dataset=seeded.dataset,
        target=target,
        strategy=strategy,
        columns=columns,
        load=replace(template, **load),
        cursor=Cursor("updated_at", Late.OVERLAP) if by_cursor else None,
    )


def run(plan: Plan, seeded: Seeded, sink: SinkRig, run_id: str | None = None) -> list[Event]:
    """The plan is carried out; what happened."""
    told: list[Event] = []
    with seeded.rig.source() as source, sink.sink() as connected:
        execute(
            Run(
                id=run_id or f"run-{uuid4().hex[:12]}",
                plan=plan,
                source=source,
                sink=connected,
                source_connector=seeded.rig.connector,
                sink_connector=sink.connector,
                notify=told.append,
                stop=Stop(),
            )
        )
    return told
