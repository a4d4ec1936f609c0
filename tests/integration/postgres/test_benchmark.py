"""A whole benchmark at a tiny size: every command runs, every target holds its rows, every number follows."""

from __future__ import annotations

import pytest

from dpone_certify.benchmark.bench import CONTROL, DPONE, FIRST_LOAD, IN_PROCESS, Benchmark, Profile, carry_out
from dpone_certify.benchmark.document import document_of
from dpone_certify.benchmark.surroundings import environment
from dpone_certify.documents.subject import subject
from dpone_postgres.testkit import testkit

pytestmark = pytest.mark.integration_postgres


@pytest.fixture(scope="module")
def tiny() -> Benchmark:
    said: list[str] = []
    return carry_out(testkit, Profile("tiny", (300,), 1, 1), None, said.append)


def test_everything_is_measured(tiny: Benchmark) -> None:
    metrics = document_of(tiny, environment(), subject())
    assert [c.name for c in metrics.comparisons] == ["start_up", "empty_run", "full_refresh_300"]
    copy = metrics.comparisons[-1]
    assert set(copy.contestants) == {DPONE, FIRST_LOAD, IN_PROCESS, CONTROL}
    assert all(c.wall_seconds > 0 and c.cpu_seconds > 0 and c.memory_mb > 1 for c in copy.contestants.values())
    assert copy.contestants[CONTROL].wall_seconds < copy.contestants[DPONE].wall_seconds
    assert metrics.throughput_rows_per_second > 0
    assert metrics.engine["product"] == "PostgreSQL"


def test_the_target_of_dpone_has_what_the_control_built(tiny: Benchmark) -> None:
    assert tiny.measured[-1].missing == ()
