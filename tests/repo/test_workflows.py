"""The workflows are short, pinned, triggered as documented, and hide no red gate.

Their syntax and security are the business of `nox -s lint`: schemas, zizmor, actionlint.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = {path.stem: path for path in sorted((ROOT / ".github/workflows").glob("*.yml"))}
FILTERS = {"run_mode", "source_filter", "sink_filter", "strategy_filter", "case_id_filter"}
INPUTS: dict[str, set[str]] = {
    "integration-matrix": FILTERS,
    "replay-integration": set(),
    "connector-certification": set(),
    "certification-release-summary": {"release_id", "replay_run_id", "matrix_run_id", "connector_run_id"},
    "full-certification": {"profile", "row_count"},
}
SCHEDULED = {"connector-certification", "full-certification"}
ARTIFACTS = {
    "integration-matrix": {"strategy-certification-matrix", "certification-suite"},
    "replay-integration": {"strategy-certification-replay"},
    "connector-certification": {"strategy-certification-connectors"},
}

Workflow = dict[Any, Any]


def load(name: str) -> Workflow:
    parsed: Workflow = yaml.safe_load(WORKFLOWS[name].read_text())
    return parsed


def triggers(workflow: Workflow) -> dict[str, Any]:
    found = workflow[True]  # YAML 1.1 reads the key `on` as true
    assert isinstance(found, dict)
    return found


def steps(workflow: Workflow) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_these_are_the_workflows() -> None:
    assert set(WORKFLOWS) == {*INPUTS, "ci", "release"}


@pytest.mark.parametrize("name", INPUTS)
def test_a_certification_is_started_by_hand_or_by_the_clock(name: str) -> None:
    on = triggers(load(name))
    assert set(on) == {"workflow_dispatch"} | ({"schedule"} if name in SCHEDULED else set())
    assert set((on["workflow_dispatch"] or {}).get("inputs", {})) == INPUTS[name]


def test_only_ci_hangs_on_pushes_and_the_release_on_tags() -> None:
    assert set(triggers(load("ci"))) == {"push", "pull_request"}
    assert triggers(load("release")) == {"push": {"tags": ["v*"]}}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_read_and_its_actions_are_pinned(name: str) -> None:
    workflow = load(name)
    assert workflow["permissions"] == {"contents": "read"}
    for used in (step["uses"] for step in steps(workflow) if "uses" in step):
        assert used.startswith("./") or re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", used), used


@pytest.mark.parametrize("name", WORKFLOWS)
def test_no_step_hides_a_red_gate(name: str) -> None:
    workflow = load(name)
    assert "continue-on-error" not in WORKFLOWS[name].read_text()
    for step in steps(workflow):
        command = step.get("run", "")
        assert "|| true" not in command
        assert "set +e" not in command
        if "upload-artifact" in step.get("uses", "") and step["with"]["name"] != "dist":
            assert step["if"] == "always()"


@pytest.mark.parametrize("name", ARTIFACTS)
def test_a_certification_leaves_its_artifacts(name: str) -> None:
    uploads = {step["with"]["name"] for step in steps(load(name)) if "upload-artifact" in step.get("uses", "")}
    assert uploads == ARTIFACTS[name]


def test_every_session_that_a_workflow_names_exists(sessions: set[str]) -> None:
    commands = "\n".join(step.get("run", "") for name in WORKFLOWS for step in steps(load(name)))
    profiles = triggers(load("integration-matrix"))["workflow_dispatch"]["inputs"]["run_mode"]["options"]
    named = {word for line in re.findall(r"nox -s ([^\n]*?)(?: -- |\n|$)", commands) for word in shlex.split(line)}
    named -= {"$SESSION", "certify-matrix($DPONE_MATRIX_RUN_MODE)"}
    assert named | {f"certify-matrix({profile})" for profile in profiles} <= sessions


@pytest.mark.parametrize("name", [*WORKFLOWS, "setup"])
def test_shellcheck_finds_nothing_in_the_commands(name: str) -> None:
    path = WORKFLOWS.get(name, ROOT / ".github/actions/setup/action.yml")
    parsed = yaml.safe_load(path.read_text())
    found = parsed["runs"]["steps"] if name == "setup" else steps(parsed)
    shellcheck = Path(sys.executable).with_name("shellcheck")
    for step in (step for step in found if "run" in step):
        checked = subprocess.run(
            [shellcheck, "--shell=bash", "-"], input=step["run"], check=False, capture_output=True, text=True
        )
        assert checked.returncode == 0, checked.stdout


# .ci/sessions.py: the per-package jobs of ci.yml


@pytest.fixture(scope="module")
def chooser() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sessions", ROOT / ".ci/sessions.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def listing() -> list[dict[str, Any]]:
    """What ci.yml hands to the chooser."""
    (command,) = re.findall(r"nox (-l .*?) \|", WORKFLOWS["ci"].read_text())
    listed = subprocess.run(
        [sys.executable, "-m", "nox", *command.split()], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    found: list[dict[str, Any]] = json.loads(listed)
    return found


@pytest.mark.parametrize("changed", [None, ["packages/dpone-core/src/dpone/ops.py"], ["pyproject.toml"]])
def test_a_change_outside_the_connectors_concerns_every_package(
    chooser: ModuleType, listing: list[dict[str, Any]], sessions: set[str], changed: list[str] | None
) -> None:
    assert set(chooser.chosen(listing, changed)) == {
        name for name in sessions if name.startswith(("unit(", "contract("))
    }


def test_a_change_of_one_connector_concerns_that_one(chooser: ModuleType, listing: list[dict[str, Any]]) -> None:
    changed = ["packages/dpone-connectors-postgres/src/dpone_postgres/config.py"]
    assert set(chooser.chosen(listing, changed)) == {"unit(postgres)", "contract(postgres)"}
    assert chooser.chosen(listing, []) == []
