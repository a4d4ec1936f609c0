"""A dbt run counts as evidence when every node that could run did, and none failed."""

from __future__ import annotations

from typing import Any

import pytest

from dpone_certify.dbt.artifacts import Manifest, RunResults
from dpone_certify.dbt.judge import executable, judge

META = {"dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json"}
CORRECT = "correct the model or its data, and run `dbt build` again"


def node(name: str, kind: str = "model", materialized: str | None = "table") -> dict[str, Any]:
    return {"unique_id": name, "resource_type": kind, "name": name, "config": {"materialized": materialized}}


def manifest(*nodes: dict[str, Any], unit_tests: tuple[dict[str, Any], ...] = ()) -> Manifest:
    found = {"nodes": {n["unique_id"]: n for n in nodes}, "unit_tests": {n["unique_id"]: n for n in unit_tests}}
    return Manifest.model_validate({"metadata": META, **found})


def ran(which: str | None = "build", **statuses: str | tuple[str, int]) -> RunResults:
    """Results of nodes by name; of a test beside its status how many rows failed it."""
    found = [
        {"unique_id": name, "status": said}
        if isinstance(said, str)
        else {"unique_id": name, "status": said[0], "failures": said[1]}
        for name, said in statuses.items()
    ]
    return RunResults.model_validate({"metadata": META, "results": found, "args": {"which": which}})


def judged(found: Manifest, results: RunResults) -> list[tuple[str, str, str]]:
    """Code, message and action of each blocker."""
    return [(b.code, b.message, b.action) for b in judge(found, results)]


ONE = manifest(node("a"))


def test_what_can_run_are_nodes_that_leave_something_behind() -> None:
    kinds = ("model", "seed", "snapshot", "test", "analysis", "operation")
    found = manifest(
        *(node(kind, kind) for kind in kinds), node("gone", "model", "ephemeral"), unit_tests=(node("u", "unit_test"),)
    )
    assert list(executable(found)) == ["model", "seed", "snapshot", "test", "u"]


@pytest.mark.parametrize("which", ["build", "run", "test", "seed", "snapshot", "retry"])
@pytest.mark.parametrize("status", ["success", "pass", "warn", "no-op", "reused"])
def test_a_run_that_is_whole(which: str, status: str) -> None:
    assert judged(ONE, ran(which, a=status)) == []


def test_an_analysis_and_a_hook_may_have_results() -> None:
    found = manifest(node("a"), node("analysis.b", "analysis"))
    assert judged(found, ran(a="success", **{"analysis.b": "success", "operation.hook": "success"})) == []


@pytest.mark.parametrize("which", ["compile", None])
def test_a_command_that_executes_nothing(which: str | None) -> None:
    assert judged(ONE, ran(which, a="success")) == [
        (
            f"dbt.not_executed:{which}",
            f"the results are of `dbt {which}`, which executes no model and no test",
            "give the run_results.json of `dbt build`, before another command replaces it",
        )
    ]


def test_a_project_without_anything_to_run() -> None:
    assert judged(manifest(), ran()) == [("dbt.empty", "the project has nothing to run", "give a manifest with models")]


@pytest.mark.parametrize(
    "said, code, message",
    [
        (("fail", 3), "failed", "a is fail, 3 rows"),
        (("fail", 0), "failed", "a is fail"),
        ("error", "error", "a is error"),
        ("runtime error", "error", "a is runtime error"),
        ("skipped", "skipped", "a is skipped"),
        ("partial success", "not_passed", "a is partial success"),
    ],
)
def test_a_node_that_did_not_pass(said: str | tuple[str, int], code: str, message: str) -> None:
    assert judged(ONE, ran(a=said)) == [(f"dbt.{code}:a", message, CORRECT)]


def test_two_results_for_one_node() -> None:
    once = ran(a="success")
    twice = once.model_copy(update={"results": once.results * 2})
    assert judged(ONE, twice) == [
        ("dbt.duplicate_result:a", "two results for one node", "let dbt write its results again")
    ]


def test_a_result_of_a_node_that_nobody_knows() -> None:
    assert judged(ONE, ran(a="success", b="success")) == [
        (
            "dbt.unknown_node:b",
            "the manifest does not have it: the two files are of different projects or times",
            "give manifest and results of one run",
        )
    ]


def test_a_node_without_a_result() -> None:
    found = manifest(node("a"), unit_tests=(node("u", "unit_test"),))
    assert judged(found, ran(a="success")) == [
        ("dbt.missing_result:u", "u was not run", "run the whole project: `dbt build` without selection")
    ]
    assert judged(found, ran(a="success", u="pass")) == []
