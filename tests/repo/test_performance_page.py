"""docs/performance.md and README's tables are what the committed results say."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from dpone.integration_matrix import DEFAULT_INTEGRATION_MATRIX

ROOT = Path(__file__).parents[2]
PAIRS = {f"{case.source}:{case.sink}" for case in DEFAULT_INTEGRATION_MATRIX.cases}


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / ".ci/performance_page.py"))


@pytest.fixture(scope="module")
def tables() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / ".ci/readme_tables.py"))


@pytest.fixture(scope="module")
def figures() -> Any:
    return json.loads((ROOT / "docs/performance.json").read_text("utf-8"))


def test_the_page_is_what_the_figures_say(made: dict[str, Any], figures: Any) -> None:
    page = (ROOT / "docs/performance.md").read_text("utf-8")
    assert page == made["page_of"](figures), "run `python .ci/performance_page.py`"


def test_every_pair_of_the_matrix_has_figures(figures: Any) -> None:
    assert figures["pairs"].keys() == PAIRS


def test_the_readme_is_what_the_results_say(tables: dict[str, Any]) -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert text == tables["with_tables"](text), "run `python .ci/readme_tables.py`"


def test_the_readme_tells_of_every_case() -> None:
    found = json.loads((ROOT / "docs/certified.json").read_text("utf-8"))
    assert found["pairs"].keys() == PAIRS
    assert sum(pair["cases"] for pair in found["pairs"].values()) == len(DEFAULT_INTEGRATION_MATRIX.cases)


def test_the_figures_are_those_of_the_document(made: dict[str, Any]) -> None:
    ratio = {"median": 2.0, "low": 1.5, "high": 2.5}
    ours = {"wall_seconds": 2.0, "cpu_seconds": 1.0, "memory_mb": 60.0, "wall_ratio": ratio, "cpu_ratio": ratio}
    control = {"wall_seconds": 1.0, "cpu_seconds": 0.5, "memory_mb": 20.0, "wall_ratio": None, "cpu_ratio": None}
    loads = {"dpone": ours, "control": control}
    document: dict[str, Any] = {
        "rounds": 5,
        "created_at": "2026-11-21T15:00:00Z",
        "engine": {
            "product": "PostgreSQL",
            "version": "18",
            "provider": "embedded",
            "beside": "B cluster x1 (emulated)",
        },
        "environment": {
            "python": "CPython 3.11",
            "machine": "x86_64",
            "processor": "P",
            "cores": 2,
            "memory_gb": 8.0,
            "system": "Linux 6 of-my-host",
            "load_average": [0.5, 0.4, 0.3],
        },
        "comparisons": [
            {"name": "start_up", "control": "click", "emulated": [], "contestants": loads},
            {
                "name": "postgres_into_kafka_100000",
                "control": "psql | loop",
                "emulated": ["kafka"],
                "contestants": loads,
            },
            {"name": "postgres_into_kafka_300", "control": "psql | loop", "emulated": ["kafka"], "contestants": loads},
        ],
    }
    figures = made["taken"]({}, [document])
    assert list(figures["pairs"]) == ["postgres:kafka"]
    page = made["page_of"](figures)
    assert "| **PostgreSQL → Kafka** | 2.00 | 2.00 (1.50 – 2.50) | 1.00 | 2.00 (1.50 – 2.50) | 60 | 5 | Kafka |" in page
    assert "| `psql \\| loop` | 1.00 | | 0.50 | | 20 | | |" in page
    assert "| PostgreSQL | not measured | not measured | not measured | *2.00* | not measured |" in page
    assert "B (emulated), PostgreSQL 18 (embedded)." in page
    assert "busy" not in page
    assert "of-my-host" not in json.dumps(figures)
    document["environment"]["load_average"] = [9.0, 0.4, 0.3]
    assert "The machine was busy" in made["page_of"](made["taken"]({}, [document]))
