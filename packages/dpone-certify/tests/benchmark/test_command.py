"""`dpone ops benchmark-run`: what it writes, prints and answers; what it measured is golden."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from benchmark.benchmark_golden import benchmark
from dpone.errors import UsageError
from dpone.testing.memory.testkit import testkit as memory
from dpone_certify.benchmark import bench, control
from dpone_certify.cli import ops, strategy


def invoke(monkeypatch: pytest.MonkeyPatch, folder: Path, million_wall: float, *arguments: str) -> Result:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(control, "benchmarkable", lambda warn: [warn("kafka is left out")])
    monkeypatch.setattr(bench, "carry_out", lambda *_: benchmark(million_wall=million_wall))
    return CliRunner().invoke(ops, ["benchmark-run", *arguments])


def test_everything_is_written_and_green(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = invoke(monkeypatch, tmp_path, 3.6, "--profile", "full")
    assert result.exit_code == 0, result.output
    folder = tmp_path / "test_artifacts/benchmarks"
    names = {p.name for p in (folder / "current").iterdir()}
    assert names == {"benchmark_metrics.json", "benchmark_metrics.md", "benchmark_metrics.svg"}
    found = json.loads((folder / "current/benchmark_metrics.json").read_text())
    assert found["ratio_to_control"] == 0.9
    (artifact,) = folder.glob("*_benchmark-full-*.md")
    assert "warnings: kafka is left out" in artifact.read_text()
    assert (
        "dpone ops benchmark-run --output-dir test_artifacts/benchmarks/current --profile full" in artifact.read_text()
    )
    assert "met     wall_1m" in result.stdout


def test_a_missed_target_is_told_and_not_red(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = invoke(monkeypatch, tmp_path, 5.0)
    assert result.exit_code == 0, result.output
    assert "MISSED  wall_1m" in result.stdout


def test_a_missed_target_that_is_required_is_red_and_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = invoke(monkeypatch, tmp_path, 5.0, "--require-targets", "--output-dir", "here", "--format", "json")
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert answer == json.loads((tmp_path / "here/benchmark_metrics.json").read_text())
    assert [b["code"] for b in answer["blockers"]] == ["benchmark.target_missed:wall_1m"]
    assert "written" in result.stderr


def test_a_wrong_option_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert invoke(monkeypatch, tmp_path, 3.6, "--rounds", "0").exit_code == 2
    assert invoke(monkeypatch, tmp_path, 3.6, "--profile", "huge").exit_code == 2


def test_a_testkit_without_control_is_no_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not control.is_benchmarkable(memory)
    said: list[str] = []
    monkeypatch.setattr(control, "entry_points", lambda **_: ())
    with pytest.raises(UsageError) as refused:
        control.benchmarkable(said.append)
    assert refused.value.code == "benchmark.no_control"


def test_both_groups_are_found_and_list_real_commands_alone() -> None:
    found = {point.name: point.load() for point in entry_points(group="dpone.commands")}
    assert found["ops"] is ops
    assert found["strategy"] is strategy
    context = click.Context(ops)
    for name in ops.list_commands(context):
        command = ops.get_command(context, name)
        assert command is not None
        assert command.name == name
    assert ops.get_command(context, "no-such-thing") is None


def test_the_help_of_a_group_imports_no_command() -> None:
    code = (
        "import sys\n"
        "from dpone_certify.cli import ops\n"
        "ops.main(['--help'], standalone_mode=False)\n"
        "heavy = {'pydantic', 'pyarrow', 'psycopg', 'dpone_certify.benchmark.bench'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "benchmark-run" in done.stdout
