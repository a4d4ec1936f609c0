"""A strategy for a table, proposed from its key and its columns, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dpone.connector import Connector
from dpone.errors import PlanError
from dpone.integration_matrix import derive
from dpone.schema import Kind, Schema

# Names under which tables keep the time of a row's last change, the most telling first.
_CHANGED = ("updated_at", "modified_at", "changed_at", "last_modified", "last_updated", "updated", "modified")


@dataclass(frozen=True, slots=True)
class Proposal:
    mode: str
    reason: str
    key: tuple[str, ...] = ()
    cursor: str | None = None


def propose(found: Schema, source: Connector[Any], sink: Connector[Any]) -> Proposal:
    """The cheapest strategy that stays right without knowing more than the schema."""
    cases = derive([source, sink]).cases
    possible = {case.strategy for case in cases if (case.source, case.sink) == (source.name, sink.name)}
    changed = _changed_at(found)
    key = ", ".join(found.key)
    if found.key and changed and "incremental_merge" in possible:
        reason = f"it has the key {key}, and {changed} tells what changed; deletes are seen by snapshot_diff alone"
        return Proposal("incremental_merge", reason, found.key, changed)
    if found.key and "snapshot_diff" in possible:
        reason = f"it has the key {key}, but nothing tells what changed: all rows are read, differences are written"
        return Proposal("snapshot_diff", reason, found.key)
    if "full_refresh" in possible:
        return Proposal("full_refresh", "it has no key, so the target is rebuilt from all rows", found.key)
    raise PlanError(
        f"no strategy works from {source.name} to {sink.name}",
        code="plan.unsupported_strategy",
        hint="`dpone connectors --details` shows what each can do",
    )


def _changed_at(found: Schema) -> str | None:
    kinds = {Kind.TIMESTAMP, Kind.TIMESTAMPTZ}
    times = {f.name.lower(): f.name for f in found if f.type.kind in kinds and not f.nullable}
    return next((times[name] for name in _CHANGED if name in times), None)
