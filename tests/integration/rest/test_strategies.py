"""Every strategy from a REST API into memory, PostgreSQL and ClickHouse: first, changed, unchanged and emptied.

Real runs of real manifests. The API pages by offset and is narrowed by the cursor.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dpone.diff.comparing import diff
from dpone.testing.testkit import Truncate
from tests.integration.pipelines import BEFORE, GONE, STRATEGIES, Pipeline, Services, running

SINK = pytest.mark.parametrize(
    "kind",
    [
        "memory",
        pytest.param("postgres", marks=pytest.mark.integration_postgres),
        pytest.param("clickhouse", marks=pytest.mark.integration_clickhouse),
    ],
)
UNSEEN = {"incremental_merge", "partition_replace"}  # deletions that the strategy does not see
ITS_OWN = [name for name in STRATEGIES if name not in {"xmin", "cdc"}]  # an API has no log and no transactions


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    with running() as found:
        yield found


@SINK
@pytest.mark.parametrize("strategy", ITS_OWN)
def test_first_changed_unchanged_and_emptied(
    kind: str, strategy: str, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = Pipeline("rest", kind, strategy, services)
    pipeline.write(tmp_path, monkeypatch)

    def first() -> None:
        compared = diff("orders.yaml").streams[0]
        assert (compared.equal, compared.method, compared.rows.source) == (True, "rows", len(BEFORE)), compared

    def changed() -> None:
        compared = diff("orders.yaml").streams[0]
        kept = set(GONE) if strategy in UNSEEN else set()
        assert {key["id"] for key in compared.extra} | {key["id"] for key in compared.missing} <= kept, compared

    landed = pipeline.first_and_changed(first, changed)
    pipeline.keep_when_emptied(landed, Truncate())
    pipeline.assert_no_secret(tmp_path)
