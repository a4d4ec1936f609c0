"""The plan of the full chain: every command exists with its options, reads what was written before, and is run."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dpone.testing.shop import Dpone
from dpone_certify.automation.plan import Wish, plan


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def planned(call: Dpone, *more: str) -> list[list[str]]:
    answer = call("ops", "certification-automation-plan", "--release-id", "v1", *more)
    assert answer.code == 0
    return [shlex.split(line) for line in answer.out.splitlines()]


def test_every_command_exists_with_its_options(call: Dpone) -> None:
    for words in planned(call, "--profile", "vendor_live"):
        if words[0] == "dpone":
            said = call(*words[1:3], "--help").out
            assert all(word in said for word in words if word.startswith("--")), words


def test_every_file_that_a_command_reads_was_written_before_it() -> None:
    written: set[str] = set()
    for command in plan(Wish("mock_contract", 10, "v1")):
        for word in command.words:
            path = word.removeprefix("@").rpartition("=")[2]
            if path.endswith(".json"):
                assert path in written, (command.name, path)
        written.add(command.produces)


def test_the_plan_itself_proves_nothing(call: Dpone) -> None:
    answer = call("ops", "certification-automation-plan", "--format", "json")
    found = json.loads(answer.out)
    assert (answer.code, found["mode"], found["passed"]) == (0, "plan", False)
    assert all(step["exit_code"] is None for step in found["steps"])


def test_a_red_command_leaves_the_rest_to_run_and_makes_all_of_it_red(
    call: Dpone, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    really = subprocess.run

    def run(words: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
        if words[0] == "git":  # that is about the checkout, and no step
            return really(words, **more)
        ran.append(words[2])
        return subprocess.CompletedProcess(words, 1 if words[2] == "benchmark-run" else 0)

    monkeypatch.setattr(subprocess, "run", run)
    answer = call("ops", "certification-automation-plan", "--execute", "--format", "json")
    found = json.loads(answer.out)
    assert answer.code == 1
    assert [b["code"] for b in found["blockers"]] == ["certification_automation_plan.step_failed:benchmark"]
    assert len(ran) == len(found["steps"]) == 13


def test_a_key_that_cannot_be_used_is_refused_before_anything_runs(call: Dpone) -> None:
    answer = call("ops", "certification-automation-plan", "--execute", "--signing-key", "absent.pem")
    assert answer.code == 2
    assert "usage.invalid_key" in answer.err
