"""What dpone promises to cost at most, as limits on what was measured."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Quantity(StrEnum):
    WALL_RATIO = "wall_ratio"
    CPU_RATIO = "cpu_ratio"
    MEMORY_MB = "memory_mb"


# who takes part: dpone as a process of its own, the same without a target yet, in a process that is warm; the control
DPONE, FIRST_LOAD, IN_PROCESS, CONTROL = "dpone", "first_load", "in_process", "control"


class Target(Struct, frozen=True):
    """At most `limit` in the median (of memory: in every round) for one contestant of the comparison of this name."""

    name: str
    comparison: str
    quantity: Quantity
    limit: float
    contestant: str = DPONE


HOME = "postgres"  # the engine that is measured by itself first, and whose driver an empty run is held against
START_UP = "start_up"
EMPTY_RUN = "empty_run"


def copy_of(rows: int) -> str:
    """The name of the comparison that copies a table of so many rows."""
    return f"full_refresh_{rows}"


def pair_of(source: str, sink: str, rows: int) -> str:
    """The name of the comparison that copies so many rows from one engine to another, or to the same."""
    return copy_of(rows) if source == sink == HOME else f"{source}_to_{sink}_{rows}"


def reading_of(engine: str, rows: int) -> str:
    """The name of the comparison that reads so many rows to nowhere."""
    return f"read_{engine}_{rows}"


_MILLION = 1_000_000
_PG_CH, _CH_PG, _CH_CH = (
    pair_of(*ends, _MILLION)
    for ends in (("postgres", "clickhouse"), ("clickhouse", "postgres"), ("clickhouse", "clickhouse"))
)
_PG_MSSQL_SMALL, _PG_MSSQL = (pair_of("postgres", "mssql", rows) for rows in (100_000, _MILLION))
_READ_MSSQL = reading_of("mssql", _MILLION)
_PG_KAFKA, _KAFKA_PG, _PG_KAFKA_SMALL, _KAFKA_PG_SMALL = (
    pair_of(*ends, rows) for rows in (_MILLION, 100_000) for ends in (("postgres", "kafka"), ("kafka", "postgres"))
)

TARGETS: tuple[Target, ...] = (
    Target("wall_1m", copy_of(1_000_000), Quantity.WALL_RATIO, 1.0),
    Target("cpu_1m", copy_of(1_000_000), Quantity.CPU_RATIO, 2.9),
    Target("wall_100k", copy_of(100_000), Quantity.WALL_RATIO, 1.4),
    Target("wall_1m_in_process", copy_of(1_000_000), Quantity.WALL_RATIO, 1.0, IN_PROCESS),
    Target("wall_100k_in_process", copy_of(100_000), Quantity.WALL_RATIO, 1.4, IN_PROCESS),
    Target("memory_1m", copy_of(1_000_000), Quantity.MEMORY_MB, 120),
    Target("memory_100k", copy_of(100_000), Quantity.MEMORY_MB, 120),
    Target("empty_run", EMPTY_RUN, Quantity.WALL_RATIO, 3.0),
    Target("start_up", START_UP, Quantity.WALL_RATIO, 3.0),
    Target("wall_pg_ch", _PG_CH, Quantity.WALL_RATIO, 1.2),
    Target("wall_ch_pg", _CH_PG, Quantity.WALL_RATIO, 1.25),
    Target("wall_ch_ch", _CH_CH, Quantity.WALL_RATIO, 1.2),
    Target("memory_pg_ch", _PG_CH, Quantity.MEMORY_MB, 150),
    Target("memory_ch_pg", _CH_PG, Quantity.MEMORY_MB, 150),
    Target("memory_ch_ch", _CH_CH, Quantity.MEMORY_MB, 150),
    Target("wall_pg_mssql_100k", _PG_MSSQL_SMALL, Quantity.WALL_RATIO, 0.4),  # 2.5 times the control's rows a second
    Target("wall_pg_mssql", _PG_MSSQL, Quantity.WALL_RATIO, 0.4),
    Target("wall_read_mssql", _READ_MSSQL, Quantity.WALL_RATIO, 0.5),
    Target("memory_pg_mssql_100k", _PG_MSSQL_SMALL, Quantity.MEMORY_MB, 250),
    Target("memory_pg_mssql", _PG_MSSQL, Quantity.MEMORY_MB, 250),
    Target("memory_read_mssql", _READ_MSSQL, Quantity.MEMORY_MB, 250),
    Target("wall_pg_kafka", _PG_KAFKA, Quantity.WALL_RATIO, 2.0),
    Target("wall_kafka_pg", _KAFKA_PG, Quantity.WALL_RATIO, 2.0),
    # memory is flat: ten times the rows stay below the same limit
    Target("memory_pg_kafka", _PG_KAFKA, Quantity.MEMORY_MB, 300),
    Target("memory_kafka_pg", _KAFKA_PG, Quantity.MEMORY_MB, 300),
    Target("memory_pg_kafka_100k", _PG_KAFKA_SMALL, Quantity.MEMORY_MB, 300),
    Target("memory_kafka_pg_100k", _KAFKA_PG_SMALL, Quantity.MEMORY_MB, 300),
)
