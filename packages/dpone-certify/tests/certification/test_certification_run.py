"""`dpone ops certification-run` without services: what it writes, what it refuses, and that a wrong program is seen."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dpone import strategies
from dpone.ops import DeleteAbsent, Program
from dpone.strategies import Load
from dpone.testing.shop import Dpone
from dpone_certify.certification.document import BehaviorArtifact, CertificationReport
from dpone_certify.certification.judge import blockers_of
from dpone_certify.documents.canonical import parse

RUN = ("ops", "certification-run", "--workers", "1", "--row-count", "200")
ONE = "postgres_to_mssql__incremental_merge"

pytestmark = pytest.mark.usefixtures("connectors")


def report(folder: Path = Path("test_artifacts/certification/current")) -> CertificationReport:
    return CertificationReport.model_validate(parse((folder / "certification_report.json").read_bytes()))


def test_one_case_of_each_strategy_passes_and_leaves_its_evidence(call: Dpone) -> None:
    answer = call(*RUN, "--source", "postgres", "--sink", "clickhouse", "--format", "json")
    assert answer.code == 0, answer.err
    found = report()
    assert found.to_json() == answer.out
    assert (found.case_count, found.executed_count, found.contract_count) == (10, 0, 10)
    assert not blockers_of(found)
    folder = Path("test_artifacts/certification/current")
    for result in found.results:
        artifact = BehaviorArtifact.model_validate(parse((folder / str(result.artifact_path)).read_bytes()))
        assert artifact.result == result
        assert artifact.program
        assert artifact.statements
        assert json.loads(artifact.manifest)["strategy"]["mode"] == result.strategy
    cases = re.findall(r'<testcase classname="postgres_to_clickhouse" name="(\w+)"', (folder / "junit.xml").read_text())
    assert cases == [result.strategy for result in found.results]
    assert (
        "**0 cases executed on services, 10 computed (contract)**" in (folder / "certification_report.md").read_text()
    )
    (dated,) = Path("test_artifacts/certification").glob("20*_certification-mock_contract-*.md")
    for part in ("Runner and environment", "Command", "Coverage", "Result", "Reports and logs"):
        assert f"\n## {part}\n" in dated.read_text()


def test_a_log_is_computed_by_its_records(call: Dpone) -> None:
    answer = call(*RUN, "--sink", "kafka", "--source", "mssql,kafka")
    assert answer.code == 0, answer.out
    assert report().case_count == 11


@pytest.mark.parametrize(
    "arguments, hint",
    [
        (("--source", "postgre"), "did you mean 'postgres'"),
        (("--strategy", "cdc", "--source", "rest"), "no case of the matrix"),
        (("--shard", "3/2"), "not a part"),
        (("--row-count", "3"), "too few"),
        (("--delete-ratio", "0.4"), "too few"),
        (("--profile", "vendor_live", "--source", "postgres", "--sink", "mssql"), "DPONE_CONN_MSSQL_LIVE"),
        (("--signing-key", "nowhere.pem"), "cannot be used"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    call: Dpone, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], hint: str
) -> None:
    for name in ("POSTGRES", "MSSQL"):
        monkeypatch.delenv(f"DPONE_CONN_{name}_LIVE", raising=False)
    answer = call(*RUN[:-2], *arguments)
    assert answer.code == 2
    assert hint in answer.err
    assert not Path("test_artifacts/certification/current/certification_report.json").exists()


def test_parts_are_merged_to_nothing_less(call: Dpone) -> None:
    for n in (1, 2):
        assert (
            call(*RUN, "--source", "rest", "--sink", "mssql", "--shard", f"{n}/2", "--artifact-dir", f"p{n}").code == 0
        )
    ids = [result.case_id for n in (1, 2) for result in report(Path(f"p{n}")).results]
    assert len(set(ids)) == len(ids) == 8


def test_what_is_proven_is_not_proven_again_and_what_is_not_is(call: Dpone, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("it is carried out again")

    assert call(*RUN, "--case-id", ONE).code == 0
    path = Path("test_artifacts/certification/current") / f"{ONE}__behavior.json"
    first = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("dpone_certify.certification.contract.certify", never)
        answer = call(*RUN, "--case-id", ONE, "--resume")
    assert answer.code == 0
    assert "1 cases are proven" in answer.err
    assert path.read_bytes() == first
    forged = json.loads(first)
    forged["subject"]["distributions"]["dpone-core"]["digest"] = "0" * 64
    path.write_text(json.dumps(forged))
    assert "proven" not in call(*RUN, "--case-id", ONE, "--resume").err


def plant(monkeypatch: pytest.MonkeyPatch, name: str, wrong: Any) -> None:
    monkeypatch.setitem(strategies.STRATEGIES, name, replace(strategies.STRATEGIES[name], program=wrong))


def test_a_program_that_forgets_deletes_is_red_and_the_rows_are_shown(
    call: Dpone, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = strategies.STRATEGIES["snapshot_diff"].program

    def forgetful(load: Load) -> Program:
        return tuple(op for op in honest(load) if not isinstance(op, DeleteAbsent))

    plant(monkeypatch, "snapshot_diff", forgetful)
    answer = call(*RUN, "--case-id", "postgres_to_clickhouse__snapshot_diff")
    assert answer.code == 1
    assert "certification_report.case_not_passed:postgres_to_clickhouse__snapshot_diff" in answer.out
    (result,) = report().results
    assert result.state == "failed"
    assert not result.passed
    assert "--case-id postgres_to_clickhouse__snapshot_diff" in result.repro


def test_a_rendering_that_a_grammar_does_not_read_is_red(call: Dpone, monkeypatch: pytest.MonkeyPatch) -> None:
    from dpone.sql.dialect import Dialect

    monkeypatch.setattr(Dialect, "delete", lambda _self, table, _alias, condition: f"DELETE FORM {table} {condition}")
    answer = call(*RUN, "--case-id", "postgres_to_postgres__snapshot_diff")
    assert answer.code == 1
    assert "statements" in answer.out


def test_a_guide_that_is_not_there_is_red(call: Dpone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dpone_certify.certification.guided.index", dict)
    answer = call(*RUN, "--case-id", ONE)
    assert answer.code == 1
    assert "guide" in answer.out


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes of another one in /proc")
def test_its_processes_end_with_it(tmp_path: Path) -> None:
    command = ["-c", "from dpone.cli import main; main()", *RUN[:2], "--workers", "2", "--row-count", "20000"]
    with subprocess.Popen([sys.executable, *command], cwd=tmp_path, stderr=subprocess.DEVNULL) as run:
        try:
            workers = _eventually(lambda: [pid for pid in _children(run.pid) if "spawn_main" in _said(pid)])
        finally:
            run.kill()
    assert workers
    assert _eventually(lambda: not any("spawn_main" in _said(pid) for pid in workers))


def _children(pid: int) -> list[int]:
    return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _said(pid: int) -> str:
    """The command line of a process; nothing where it ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _eventually(found: Callable[[], Any]) -> Any:
    until = time.monotonic() + 30
    while not (answer := found()) and time.monotonic() < until:
        time.sleep(0.05)
    return answer
