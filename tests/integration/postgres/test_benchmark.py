"""A whole benchmark at a tiny size: every command runs, every target holds its rows, every number follows."""

from __future__ import annotations

import pytest

from dpone_certify.benchmark.bench import (
    PROFILES,
    Benchmark,
    Profile,
    carry_out,
)
from dpone_certify.benchmark.document import document_of
from dpone_certify.benchmark.surroundings import environment
from dpone_certify.benchmark.targets import CONTROL, DPONE, FIRST_LOAD, IN_PROCESS
from dpone_certify.documents.subject import subject
from dpone_clickhouse.testkit import testkit as clickhouse
from dpone_postgres.testkit import testkit

pytestmark = [pytest.mark.integration_postgres, pytest.mark.integration_clickhouse]


@pytest.fixture(scope="module")
def tiny() -> Benchmark:
    said: list[str] = []
    return carry_out(
        [testkit, clickhouse], Profile("tiny", (300,), 1, 1, largest=PROFILES["full"].largest), None, said.append
    )


def test_everything_is_measured(tiny: Benchmark) -> None:
    metrics = document_of(tiny, environment(), subject())
    single = ["start_up", "empty_run"]
    copies = {
        "full_refresh_300": "psql COPY BINARY | psql COPY BINARY, then NOT NULL and PRIMARY KEY",
        "postgres_to_clickhouse_300": "psql COPY TO | curl INSERT FORMAT TabSeparated",
        "clickhouse_to_postgres_300": (
            "curl SELECT FORMAT TabSeparated | psql COPY FROM, then NOT NULL and PRIMARY KEY"
        ),
        "clickhouse_to_clickhouse_300": "curl SELECT FORMAT Native | curl INSERT FORMAT Native",
    }
    assert [c.name for c in metrics.comparisons] == [*single, *copies]
    assert {c.name: c.control for c in metrics.comparisons[2:]} == copies
    for copy in metrics.comparisons[2:]:
        assert set(copy.contestants) == {DPONE, FIRST_LOAD, IN_PROCESS, CONTROL}
        assert all(c.wall_seconds > 0 and c.cpu_seconds > 0 and c.memory_mb > 1 for c in copy.contestants.values())
        assert copy.contestants[CONTROL].wall_seconds < copy.contestants[DPONE].wall_seconds
    assert metrics.throughput_rows_per_second > 0
    assert metrics.engine["product"] == "PostgreSQL"
    assert metrics.engine["beside"].startswith("ClickHouse ")


def test_the_target_of_dpone_has_what_the_control_built(tiny: Benchmark) -> None:
    assert [m.missing for m in tiny.measured] == [()] * 6
