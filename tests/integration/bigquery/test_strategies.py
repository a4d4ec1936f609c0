"""Every strategy from PostgreSQL, ClickHouse and REST into BigQuery: first, changed, unchanged, emptied, widened.

Real runs of real manifests; the target is read by the testkit and judged by the strategy's postcondition, which knows
neither operations nor SQL.
"""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import pytest
from msgspec.structs import replace

from dpone.connector import AddColumn
from dpone.schema import STRING, Field
from dpone.testing.testkit import Insert, Truncate
from tests.integration.pipelines import BEFORE, LATER, ORDERS, STRATEGIES, Pipeline, Services, load, row

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
def pipeline(kind: str, strategy: str, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    made = Pipeline(kind, "bigquery", strategy, services, f"_{uuid4().hex[:6]}")
    made.write(tmp_path, monkeypatch)
    return made


@pytest.mark.parametrize("kind, strategy", CASES)
def test_first_changed_unchanged_and_emptied(pipeline: Pipeline, tmp_path: Path) -> None:
    landed = pipeline.first_and_changed()
    pipeline.keep_when_emptied(landed, Truncate())
    pipeline.assert_no_secret(tmp_path)


EXTRA = Field("extra", STRING)


def widen(pipeline: Pipeline) -> None:
    """The source has one column more."""
    pipeline.source_kit.alter(pipeline.read, pipeline.table, AddColumn(EXTRA))
    pipeline.table = replace(pipeline.table, schema=replace(ORDERS, fields=(*ORDERS.fields, EXTRA)))


WIDENED = ["full_refresh", "incremental_merge", "snapshot_diff", "scd2"]


@pytest.mark.integration_postgres
@pytest.mark.parametrize("strategy", WIDENED)
@pytest.mark.parametrize("kind", ["postgres"])
def test_a_new_column_of_the_source_comes_with_the_rows(pipeline: Pipeline, strategy: str) -> None:
    load()
    widen(pipeline)
    pipeline.change(Insert({**row(500, LATER), "extra": "new"}))
    load()
    found = {r["id"]: r["extra"] for r in pipeline.rows()}
    assert found == {**{r["id"]: None for r in BEFORE}, 500: "new"}
    load()
    assert len(pipeline.rows()) == len(BEFORE) + 1, strategy
