"""A whole benchmark at a tiny size: every command runs, every target holds its rows, every number follows."""

from __future__ import annotations

import pytest

from dpone_certify.benchmark.bench import CONTROL, DPONE, FIRST_LOAD, IN_PROCESS, Profile, carry_out
from dpone_certify.benchmark.document import document_of
from dpone_certify.benchmark.surroundings import environment, subject
from dpone_postgres.testkit import testkit

pytestmark = pytest.mark.integration_postgres


def test_a_tiny_benchmark_measures_everything() -> None:
    said: list[str] = []
    found = carry_out(testkit, Profile("tiny", (300,), 1, 1), None, said.append)
    metrics = document_of(found, environment(), subject())
    assert [c.name for c in metrics.comparisons] == ["start_up", "empty_run", "full_refresh_300"]
    copy = metrics.comparisons[-1]
    assert set(copy.contestants) == {DPONE, FIRST_LOAD, IN_PROCESS, CONTROL}
    assert all(c.wall_seconds > 0 and c.cpu_seconds > 0 and c.memory_mb > 1 for c in copy.contestants.values())
    assert copy.contestants[CONTROL].wall_seconds < copy.contestants[DPONE].wall_seconds
    assert metrics.throughput_rows_per_second > 0
    assert metrics.engine["product"] == "PostgreSQL"
