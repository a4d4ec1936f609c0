"""Every strategy of the matrix into a topic and out of one: first, changed, unchanged and emptied.

Real runs of real manifests; another client library reads the topics. `--provider embedded` is Apache's broker.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dpone.integration_matrix import DEFAULT_INTEGRATION_MATRIX
from dpone.testing.services.endpoint import Provider
from dpone.testing.testkit import Delete
from tests.integration.pipelines import AFTER, KEYED, STRATEGIES, Pipeline, Services, running

pytestmark = pytest.mark.integration_kafka

PAIRS = [(s, "kafka") for s in ("postgres", "clickhouse", "rest", "kafka")]
PAIRS += [("kafka", s) for s in ("postgres", "clickhouse")]
CASES = [
    pytest.param(case.source, case.sink, case.strategy, id=case.id)
    for case in DEFAULT_INTEGRATION_MATRIX.cases
    if (case.source, case.sink) in PAIRS
]
# As it is unless it is told to look for them: deletions are not seen, and stay.
SETTINGS = {**STRATEGIES, "xmin": KEYED}


@pytest.fixture(scope="module")
def services(request: pytest.FixtureRequest) -> Iterator[Services]:
    asked = request.config.getoption("provider")
    with running({"kafka": Provider(asked)} if asked else None) as found:
        yield found


@pytest.mark.parametrize("source, sink, strategy", CASES)
def test_first_changed_unchanged_and_emptied(
    source: str, sink: str, strategy: str, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = Pipeline(source, sink, strategy, services, settings=SETTINGS)
    pipeline.write(tmp_path, monkeypatch)
    landed = pipeline.first_and_changed()
    pipeline.keep_when_emptied(landed, *(Delete({"id": r["id"]}) for r in AFTER))
    pipeline.assert_no_secret(tmp_path)
