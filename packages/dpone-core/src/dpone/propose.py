"""A strategy for a table, proposed from its key, its columns and its size, with the reason."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from dpone.connector import Connector, Size
from dpone.errors import PlanError
from dpone.integration_matrix import derive
from dpone.schema import Kind, Schema

# Names under which tables keep the time of a row's last change, the most telling first.
_CHANGED = ("updated_at", "modified_at", "changed_at", "last_modified", "last_updated", "updated", "modified")
_LARGE = 10_000_000  # rows that one would rather not read whole each time
_UNITS = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"), (1, "bytes"))


class Proposal(Struct, frozen=True):
    mode: str
    reason: str
    key: tuple[str, ...] = ()
    cursor: str | None = None


def propose(found: Schema, source: Connector[Any], sink: Connector[Any], size: Size | None = None) -> Proposal:
    """The cheapest strategy that stays right without knowing more than the schema."""
    cases = derive([source, sink]).cases
    possible = {case.strategy for case in cases if (case.source, case.sink) == (source.name, sink.name)}
    changed, why_not = _changed_at(found)
    key = ", ".join(found.key)
    all_rows = f"all {size.rows:,} rows are read" if size and size.rows else "all rows are read"
    if found.key and changed and "incremental_merge" in possible:
        reason = f"it has the key {key}, and {changed} tells what changed; deletes are seen by snapshot_diff alone"
        return Proposal("incremental_merge", reason, found.key, changed)
    if found.key and "snapshot_diff" in possible:
        reason = f"it has the key {key}, but {why_not}: {all_rows}, differences are written{_warning(size)}"
        return Proposal("snapshot_diff", reason, found.key)
    if source.source is not None and not source.source.by_cursor and "incremental_append" in possible:
        return Proposal("incremental_append", "it is a log, and each load goes on where the one before it ended")
    if "full_refresh" in possible:
        reason = f"it has no key, so the target is rebuilt: {all_rows}{_warning(size)}"
        return Proposal("full_refresh", reason, found.key)
    raise PlanError(
        f"no strategy works from {source.name} to {sink.name}",
        code="plan.unsupported_strategy",
        hint="`dpone connectors --details` shows what each can do",
    )


def told(size: Size | None) -> str:
    """How many rows and how much of the disk, as far as the engine remembers."""
    if size is None:
        return "size unknown"
    unit, word = next(((u, w) for u, w in _UNITS if size.bytes >= u), _UNITS[-1])
    weight = f"{round(size.bytes / unit):,} {word}"
    return weight if size.rows is None else f"about {size.rows:,} rows, {weight}"


def _warning(size: Size | None) -> str:
    large = size is not None and (size.rows or 0) >= _LARGE
    return "; with so many, a column that tells what changed would pay" if large else ""


def _changed_at(found: Schema) -> tuple[str | None, str]:
    """The column that tells what changed; where there is none, why."""
    kinds = {Kind.TIMESTAMP, Kind.TIMESTAMPTZ}
    times = {f.name.lower(): f for f in found if f.type.kind in kinds}
    telling = [times[name] for name in _CHANGED if name in times]
    sure = next((f.name for f in telling if not f.nullable), None)
    return sure, f"{telling[0].name} may be NULL" if telling else "nothing tells what changed"
