"""Ten times the keys cost no more memory: a topic read as a table, and written to another one whose index is known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from dpone.testing.testkit import SeedTable
from dpone_certify.benchmark.costs import measure
from dpone_certify.benchmark.pipelines import FULL_REFRESH, End, Workplace
from dpone_certify.benchmark.shape import NARROW
from dpone_kafka.testkit import testkit

pytestmark = pytest.mark.integration_kafka

FEW, MANY = 100_000, 1_000_000
MOST = 60_000_000  # bytes that may come on top; a dictionary of the keys alone would take more than twice that
TABLE: Mapping[str, object] = {"view": "table", "key_format": "json", "key_columns": ["id"]}


def test_memory_does_not_grow_with_the_number_of_keys(tmp_path: Path) -> None:
    work = Workplace(tmp_path)
    held: dict[int, list[int]] = {}
    with testkit.service(testkit.providers()[0]) as endpoint:
        work.know(testkit, endpoint)
        for rows in (FEW, MANY):
            dataset = testkit.loops.fill(endpoint, SeedTable(f"memory_{rows}", NARROW), rows)
            source = End("kafka", "topic", ".".join(dataset.name), {**dataset.options, **TABLE})
            sink = End("kafka", "topic", f"written_{rows}", testkit.loops.sink_options())
            manifest = work.write(f"memory_{rows}", source, sink, FULL_REFRESH)
            first, again = (measure([[work.run(manifest)]], tmp_path) for _ in range(2))
            for outcome in (first, again):
                assert json.loads(outcome.out)["streams"][0]["rows_after"] == rows
            held[rows] = [first.cost.memory, again.cost.memory]
    for few, many in zip(held[FEW], held[MANY], strict=True):
        assert many < few + MOST, held
