"""Every strategy from PostgreSQL, ClickHouse and REST into BigQuery: first, changed, unchanged, emptied, widened.

Real runs of real manifests; the target is read by the testkit and judged by the strategy's postcondition, which knows
neither operations nor SQL.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import dpone
from dpone.testing.testkit import Insert, Truncate
from dpone_certify.postconditions.judge import violations
from tests.integration.bigquery.pipelines import (
    AFTER,
    BEFORE,
    GUARDED,
    LATER,
    MUTATIONS,
    STRATEGIES,
    Pipeline,
    Row,
    load,
    ordered,
    row,
)

ASKED_FOR = pytest.mark.skipif(
    os.environ.get("DPONE_RUN_INTEGRATION") != "1", reason="whole runs of eight strategies need DPONE_RUN_INTEGRATION=1"
)
POSTGRES_ALONE = {"xmin", "cdc"}
CASES = [
    pytest.param(kind, strategy, marks=marks, id=f"{kind}-{strategy}")
    for kind, marks in {
        "postgres": [pytest.mark.integration_postgres],
        "clickhouse": [pytest.mark.integration_clickhouse],
        "rest": [ASKED_FOR],
    }.items()
    for strategy in STRATEGIES
    if kind == "postgres" or strategy not in POSTGRES_ALONE
]


@pytest.fixture
def pipeline(kind: str, strategy: str, services: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    monkeypatch.chdir(tmp_path)
    made = Pipeline(kind, strategy, services, f"_{uuid4().hex[:6]}")
    made.write(tmp_path)
    for name, value in made.secrets.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.mark.parametrize("kind, strategy", CASES)
def test_first_changed_unchanged_and_emptied(pipeline: Pipeline, strategy: str, tmp_path: Path) -> None:
    def loaded(old: Sequence[Row], new: Sequence[Row], before: Sequence[Row], *, first: bool) -> list[Row]:
        load()
        after = pipeline.rows()
        assert violations(strategy, old, new, before, after, pipeline.asked(after, first=first)) == []
        return after

    one = loaded([], BEFORE, [], first=True)
    pipeline.change(*MUTATIONS)
    two = loaded(BEFORE, AFTER, one, first=False)
    load()
    assert ordered(pipeline.rows()) == ordered(two)
    pipeline.change(Truncate())
    report = dpone.run("orders.yaml")
    assert report.succeeded is (strategy not in GUARDED), "an emptied source emptied the target"
    left = [] if strategy == "cdc" else ordered(two)  # a log says that the rows were deleted
    assert ordered(pipeline.rows()) == left
    written = " ".join(p.read_text() for p in tmp_path.rglob("*") if p.is_file())
    assert all(secret not in written for secret in pipeline.secrets.values())


WIDENED = ["full_refresh", "incremental_merge", "snapshot_diff", "scd2"]


@pytest.mark.integration_postgres
@pytest.mark.parametrize("strategy", WIDENED)
@pytest.mark.parametrize("kind", ["postgres"])
def test_a_new_column_of_the_source_comes_with_the_rows(pipeline: Pipeline, strategy: str) -> None:
    load()
    pipeline.widen()
    pipeline.change(Insert({**row(500, LATER), "extra": "new"}))
    load()
    found = {r["id"]: r["extra"] for r in pipeline.rows()}
    assert found == {**{r["id"]: None for r in BEFORE}, 500: "new"}
    load()
    assert len(pipeline.rows()) == len(BEFORE) + 1, strategy
