"""`ops benchmark-baseline`: a number holds, or the reason why not has a name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dpone.testing.shop import Answer, Dpone
from dpone_certify.baseline.document import BenchmarkBaseline
from dpone_certify.baseline.judge import compare
from evidence import made

RATE = "throughput_rows_per_second"
BASE = {RATE: {"value": 100000, "direction": "higher"}}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def held(call: Dpone, metrics: Any, baseline: Any = BASE, *more: str) -> tuple[Answer, dict[str, Any]]:
    texts = [value if isinstance(value, str) else json.dumps(value) for value in (metrics, baseline)]
    answer = call(
        *("ops", "benchmark-baseline", "--metrics-json", texts[0], "--baseline-json", texts[1]),
        *("--output-dir", "out", "--format", "json", *more),
    )
    assert "Traceback" not in answer.err
    return answer, json.loads(answer.out)


def codes(found: dict[str, Any]) -> list[str]:
    return [b["code"] for b in found["blockers"]]


def test_the_quickstart_holds_and_says_that_its_numbers_were_typed(call: Dpone, tmp_path: Path) -> None:
    answer, found = held(call, {RATE: 95000})
    assert answer.code == 0
    assert found["provenance"] == "typed"
    (item,) = BenchmarkBaseline.model_validate_json(answer.out).items
    assert (item.actual, item.baseline, item.allowed_threshold, item.passed) == (95000, 100000, 90000, True)
    assert "typed by a person" in (tmp_path / "out/benchmark_baseline.md").read_text()


@pytest.mark.parametrize(
    "direction, actual, holds",
    [
        ("higher", 90, True),
        ("higher", 89.999, False),
        ("higher", 1000, True),
        ("lower", 110, True),
        ("lower", 110.001, False),
        ("lower", 0, True),
    ],
)
def test_the_threshold_is_exact(direction: str, actual: float, holds: bool) -> None:  # noqa: FBT001 - a parameter
    found = compare({"m": actual}, {"m": {"value": 100, "direction": direction}}, 0.1)
    assert found.items[0].passed is holds
    assert [b.code for b in found.blockers] == ([] if holds else ["benchmark.regression:m"])


def test_a_tenth_is_a_tenth() -> None:
    found = compare({"m": 1.21}, {"m": {"value": 1.1, "direction": "lower"}}, 0.1)
    assert found.items[0].allowed_threshold == 1.21
    assert found.items[0].passed


@pytest.mark.parametrize(
    "metrics, baseline, expected",
    [
        ({}, BASE, [f"benchmark.missing_metric:{RATE}"]),
        ({RATE: None}, BASE, [f"benchmark.invalid_metric:{RATE}"]),
        ({RATE: "95000"}, BASE, [f"benchmark.invalid_metric:{RATE}"]),
        ({RATE: True}, BASE, [f"benchmark.invalid_metric:{RATE}"]),
        ({RATE: 10**400}, BASE, [f"benchmark.invalid_metric:{RATE}"]),
        ({RATE: 1}, BASE, [f"benchmark.regression:{RATE}"]),
        ({RATE: 95000}, {}, ["benchmark.empty_baseline"]),
        ({RATE: 95000}, {RATE: 100000}, [f"benchmark.invalid_baseline:{RATE}"]),
        ({RATE: 95000}, {RATE: {"value": -1, "direction": "higher"}}, [f"benchmark.invalid_baseline:{RATE}"]),
        ({RATE: 95000}, {RATE: {"value": 1, "direction": "up"}}, [f"benchmark.unknown_direction:{RATE}"]),
        ({RATE: 95000}, {RATE: {"value": 1}}, [f"benchmark.unknown_direction:{RATE}"]),
        (
            {RATE: 95000},
            {RATE: {"value": 1, "direction": "higher", "ratio": 9}},
            [f"benchmark.invalid_baseline:{RATE}"],
        ),
        (f'{{"{RATE}": NaN}}', BASE, ["benchmark_metrics.invalid", f"benchmark.missing_metric:{RATE}"]),
        (f'{{"{RATE}": -Infinity}}', BASE, ["benchmark_metrics.invalid", f"benchmark.missing_metric:{RATE}"]),
        (f'{{"{RATE}": 1e999}}', BASE, ["benchmark_metrics.invalid", f"benchmark.missing_metric:{RATE}"]),
        (f'{{"{RATE}": 9, "{RATE}": 95000}}', BASE, ["benchmark_metrics.invalid", f"benchmark.missing_metric:{RATE}"]),
        ("[]", BASE, ["benchmark_metrics.invalid", f"benchmark.missing_metric:{RATE}"]),
        ("nonsense", BASE, ["benchmark_metrics.invalid", f"benchmark.missing_metric:{RATE}"]),
        ("@absent.json", BASE, ["benchmark_metrics.missing", f"benchmark.missing_metric:{RATE}"]),
        ({RATE: 95000}, "nonsense", ["benchmark_baseline.invalid"]),
        ({RATE: 95000}, "@absent.json", ["benchmark_baseline.missing"]),
    ],
)
def test_what_does_not_hold_is_red_by_name(call: Dpone, metrics: Any, baseline: Any, expected: list[str]) -> None:
    answer, found = held(call, metrics, baseline)
    assert answer.code == 1
    assert codes(found) == expected


def test_what_is_not_given_is_a_blocker(call: Dpone) -> None:
    answer = call("ops", "benchmark-baseline", "--format", "json")
    assert answer.code == 1
    assert codes(json.loads(answer.out)) == ["benchmark_metrics.missing", "benchmark_baseline.missing"]


@pytest.mark.parametrize("ratio", ["nan", "-0.1", "1", "inf", "ten"])
def test_a_ratio_that_is_no_share_is_refused(call: Dpone, ratio: str) -> None:
    answer = call("ops", "benchmark-baseline", "--metrics-json", "{}", "--allowed-regression-ratio", ratio)
    assert answer.code == 2


def measured(folder: Path, *, million_wall: float = 3.6, targets_required: bool = False) -> str:
    path = folder / "benchmark_metrics.json"
    path.write_text(made.metrics(million_wall, targets_required=targets_required).to_json())
    return f"@{path}"


def test_measured_numbers_say_so_and_name_their_document(call: Dpone, tmp_path: Path) -> None:
    answer, found = held(call, measured(tmp_path), {RATE: {"value": 280000, "direction": "higher"}})
    assert answer.code == 0, found
    assert found["provenance"] == "measured"
    assert found["metrics"]["path"] == "../benchmark_metrics.json"


def test_a_missed_target_is_named_beside_a_baseline_that_holds(call: Dpone, tmp_path: Path) -> None:
    answer, found = held(call, measured(tmp_path, million_wall=5.0), {RATE: {"value": 1, "direction": "higher"}})
    assert (answer.code, codes(found), found["targets_missed"]) == (0, [], ["wall_1m"])
    assert "missed: wall_1m" in (tmp_path / "out/benchmark_baseline.md").read_text()


def test_a_measurement_that_had_to_meet_its_targets_and_did_not_is_red(call: Dpone, tmp_path: Path) -> None:
    path = measured(tmp_path, million_wall=5.0, targets_required=True)
    answer, found = held(call, path, {RATE: {"value": 1, "direction": "higher"}})
    assert (answer.code, codes(found)) == (1, ["benchmark_metrics.not_passed"])


def test_a_measurement_changed_by_hand_is_no_measurement(call: Dpone, tmp_path: Path) -> None:
    path = Path(measured(tmp_path).removeprefix("@"))
    plain = json.loads(path.read_text())
    path.write_text(json.dumps({**plain, "passed": "certainly"}))
    answer, found = held(call, f"@{path}", {RATE: {"value": 1, "direction": "higher"}})
    assert (answer.code, codes(found)) == (1, ["benchmark_metrics.invalid"])
