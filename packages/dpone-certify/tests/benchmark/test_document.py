"""The document, its verdict and what is rendered from it, from a golden measurement."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from benchmark.benchmark_golden import ENVIRONMENT, SUBJECT, benchmark
from dpone_certify.benchmark.artifact import write_artifact
from dpone_certify.benchmark.document import BenchmarkMetrics, document_of
from dpone_certify.benchmark.markdown import markdown_of
from dpone_certify.benchmark.plot import svg_of
from dpone_certify.benchmark.targets import IN_PROCESS

SVG = "{http://www.w3.org/2000/svg}"


def metrics(*, million_wall: float = 3.6, memory: int = 66, targets_required: bool = False) -> BenchmarkMetrics:
    measured = benchmark(million_wall=million_wall, memory=memory)
    return document_of(measured, ENVIRONMENT, SUBJECT, targets_required=targets_required)


def test_the_numbers_at_the_top_are_those_of_the_largest_copy() -> None:
    found = metrics()
    assert found.ratio_to_control == pytest.approx(0.9)
    assert found.throughput_rows_per_second == round(1_000_000 / 3.6)
    assert found.cpu_ratio_to_control == pytest.approx(2.4)
    assert found.peak_memory_mb == 66
    assert found.start_up_ratio == pytest.approx(2.0)
    assert found.empty_run_ratio == pytest.approx(2.4)
    assert found.passed
    assert not found.blockers


@pytest.mark.parametrize(
    "million_wall, memory, missed",
    [
        pytest.param(3.6, 66, [], id="all met"),
        pytest.param(4.0, 66, [], id="exactly met"),
        pytest.param(4.1, 66, ["wall_1m"], id="too slow"),
        pytest.param(3.6, 121, ["memory_1m"], id="too large"),
        pytest.param(8.0, 500, ["wall_1m", "memory_1m"], id="both"),
    ],
)
def test_a_missed_target_is_named_and_a_blocker_where_targets_are_required(
    million_wall: float, memory: int, missed: list[str]
) -> None:
    told = metrics(million_wall=million_wall, memory=memory)
    assert (told.passed, told.blockers, list(told.missed)) == (True, (), missed)
    found = metrics(million_wall=million_wall, memory=memory, targets_required=True)
    assert [b.code for b in found.blockers] == [f"benchmark.target_missed:{name}" for name in missed]
    assert found.passed is not bool(missed)
    assert all(b.action for b in found.blockers)


def test_a_target_with_less_than_the_controls_is_a_blocker() -> None:
    whole = benchmark()
    *others, copy = whole.measured
    found = document_of(
        replace(whole, measured=(*others, replace(copy, missing=("PRIMARY KEY (id)",)))), ENVIRONMENT, SUBJECT
    )
    assert not found.passed
    assert [b.code for b in found.blockers] == ["benchmark.unequal_target:full_refresh_1000000"]
    assert "lacks PRIMARY KEY (id)" in markdown_of(found, "plot.svg")


def test_a_load_in_a_warm_process_has_targets_of_its_own() -> None:
    whole = benchmark()
    small = next(m for m in whole.measured if m.rows == 100_000)
    slow = replace(
        small, costs={**small.costs, IN_PROCESS: [replace(c, wall=c.wall * 4) for c in small.costs[IN_PROCESS]]}
    )
    measured = tuple(slow if m is small else m for m in whole.measured)
    found = document_of(replace(whole, measured=measured), ENVIRONMENT, SUBJECT)
    assert found.missed == ("wall_100k_in_process",)
    assert "| full_refresh_100000, dpone in a warm process: wall ratio | 1.4 | 1.60 |" in markdown_of(found, "plot.svg")


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    whole = benchmark()
    quick = replace(whole, profile="quick", measured=whole.measured[:3])
    found = document_of(quick, ENVIRONMENT, SUBJECT)
    assert {t.name: t.met for t in found.targets}["wall_1m"] is None
    assert found.passed
    assert found.throughput_rows_per_second == round(100_000 / 0.6)


def test_the_json_is_canonical_and_reads_back() -> None:
    found = metrics()
    text = found.to_json()
    assert text.endswith("}\n")
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert BenchmarkMetrics.model_validate_json(text) == found
    assert json.loads(text)["schema_version"] == "dpone.benchmark_metrics.v1"


def test_no_number_is_infinite() -> None:
    plain = json.loads(metrics().to_json())
    with pytest.raises(ValidationError):
        BenchmarkMetrics.model_validate({**plain, "ratio_to_control": float("inf")})


def test_the_markdown_says_what_was_missed() -> None:
    assert markdown_of(metrics(), "plot.svg").splitlines()[0].endswith(": passed, every measured target met")
    required = markdown_of(metrics(million_wall=4.4, targets_required=True), "plot.svg")
    assert required.splitlines()[0].endswith(": not passed, targets missed: wall_1m")
    text = markdown_of(metrics(million_wall=4.4), "plot.svg")
    assert text.splitlines()[0].endswith(": passed, targets missed: wall_1m")
    assert "| full_refresh_1000000: wall ratio | 1 | 1.10 | 1.10 – 1.10 | **missed** |" in text
    assert "| full_refresh_100000: wall ratio | 1.4 | 1.20 | 1.20 – 1.20 | met |" in text
    assert "| dpone, the whole process | 4.400 | 1.10 (1.10 – 1.10) | 1.200 | 2.40 (2.40 – 2.40) | 66 |" in text
    assert "![ratios to the control](plot.svg)" in text


def test_the_plot_is_well_formed_and_shows_every_round() -> None:
    root = ET.fromstring(svg_of(metrics()))  # noqa: S314 - our own text
    labels = [t.text for t in root.iter(f"{SVG}text")]
    assert "full_refresh_1000000 wall" in labels
    assert "full_refresh_1000000 warm cpu" in labels
    turns = [c for c in root.iter(f"{SVG}circle") if c.get("class") == "turn"]
    assert len(turns) == 3 * 2 * 7  # rounds, wall and CPU, contestants beside the controls
    limits = [line for line in root.iter(f"{SVG}line") if line.get("class") == "limit"]
    assert len(limits) == 5  # the ratios among the targets
    width = float(root.get("width", 0))
    assert all(0 < float(c.get("cx", 0)) < width for c in turns)


def test_the_run_artifact_has_every_part_and_its_links_lead_somewhere(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    reports.mkdir()
    (reports / "benchmark_metrics.json").write_text("{}")
    folder = tmp_path / "test_artifacts/benchmarks"
    found = metrics(million_wall=4.4)
    path = write_artifact(found, "dpone ops benchmark-run", ["x"], [reports / "benchmark_metrics.json"], folder)
    text = path.read_text()
    assert path.name.startswith(f"{found.created_at:%Y-%m-%d}_benchmark-full-")
    parts = [line for line in text.splitlines() if line.startswith("#")]
    assert parts[0] == f"# benchmark-full, {found.created_at.isoformat()}"
    assert parts[1:] == [
        *("## Runner and environment", "## Command", "## Coverage", "## Result", "## Reports and logs"),
    ]
    assert "throughput: 227,273 rows/s" in text
    assert "failures: none" in text
    assert "targets: full_refresh_1000000: wall_ratio is 1.1, at most 1.0 is promised" in text
    link = text.partition("(../")[2].partition(")")[0]
    assert (folder / ".." / link).exists()
