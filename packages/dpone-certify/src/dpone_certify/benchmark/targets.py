"""What dpone promises to cost at most, as limits on what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Quantity(StrEnum):
    WALL_RATIO = "wall_ratio"
    CPU_RATIO = "cpu_ratio"
    MEMORY_MB = "memory_mb"


@dataclass(frozen=True, slots=True)
class Target:
    """At most `limit` in the median (of memory: in every round), in the comparison of this name or in any."""

    name: str
    comparison: str
    quantity: Quantity
    limit: float


START_UP = "start_up"
EMPTY_RUN = "empty_run"


def copy_of(rows: int) -> str:
    """The name of the comparison that copies a table of so many rows."""
    return f"full_refresh_{rows}"


TARGETS: tuple[Target, ...] = (
    Target("wall_1m", copy_of(1_000_000), Quantity.WALL_RATIO, 1.0),
    Target("cpu_1m", copy_of(1_000_000), Quantity.CPU_RATIO, 2.9),
    Target("wall_100k", copy_of(100_000), Quantity.WALL_RATIO, 1.4),
    Target("memory_1m", copy_of(1_000_000), Quantity.MEMORY_MB, 120),
    Target("memory_100k", copy_of(100_000), Quantity.MEMORY_MB, 120),
    Target("empty_run", EMPTY_RUN, Quantity.WALL_RATIO, 3.0),
    Target("start_up", START_UP, Quantity.WALL_RATIO, 3.0),
)
