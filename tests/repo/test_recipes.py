"""The code in the guides for orchestrators compiles, is short, and does what its page says, on stand-ins for them.

Airflow and Dagster are no dependencies: what is used of them stands here in a few lines, named as in their documents.
"""

from __future__ import annotations

import ast
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import click
import pytest
import yaml

from dpone.cli.root import cli
from dpone.testing.shop import MANIFEST, Shop, open_shop
from dpone.testing.testkit import Update

GUIDES = Path(__file__).parents[2] / "docs/how-to"
MOST_LINES = 80


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (GUIDES / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DPONE_TESTING", "1")
    found = open_shop(tmp_path)
    found.write(MANIFEST[: MANIFEST.index("strategy:")] + "strategy: {mode: snapshot_diff, key: [id]}\n")
    return found


@pytest.mark.parametrize("page", ["airflow.md", "dagster.md"])
def test_recipes_are_short_and_compile(page: str) -> None:
    for code in blocks(page, "python"):
        ast.parse(code)
        assert len(code.splitlines()) < MOST_LINES


def module(name: str, monkeypatch: pytest.MonkeyPatch, **names: object) -> None:
    made = ModuleType(name)
    made.__dict__.update(names)
    monkeypatch.setitem(sys.modules, name, made)


def executed(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "recipe"}
    exec(compile(code, "recipe", "exec"), names)  # noqa: S102 -- the page's own code
    return names


# -------------------------------------------------------------------------- Airflow


class BaseOperator:
    def __init__(self, *, task_id: str, retries: int = 0) -> None:
        self.task_id = task_id
        self.log = logging.getLogger("airflow.task")


class FailError(Exception):
    """Stands for AirflowFailException."""


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    module("airflow", monkeypatch)
    module("airflow.sdk", monkeypatch, BaseOperator=BaseOperator)
    module("airflow.sdk.exceptions", monkeypatch, AirflowFailException=FailError)
    made: Callable[..., Any] = executed(blocks("airflow.md", "python")[0])["DponeOperator"]
    return made


def test_the_airflow_operator_runs_a_manifest(shop: Shop, operator: Callable[..., Any]) -> None:
    before = dict(os.environ)
    task = operator(task_id="orders", manifest="orders.yaml", env={"CANARY": "1"})
    found = task.execute({})
    assert found["streams"] == {"orders": {"inserted": 10, "updated": 0, "deleted": 0}}
    assert task.execute({})["run_id"] != found["run_id"]
    assert dict(os.environ) == before
    assert set(operator.template_fields) == {"manifest", "select", "env"}  # type: ignore[attr-defined]  # it is a class


def test_the_airflow_operator_knows_what_no_retry_can_mend(shop: Shop, operator: Callable[..., Any]) -> None:
    shop.write("version: 1\nname: orders\n")
    with pytest.raises(FailError, match=r"\[manifest\."):
        operator(task_id="orders", manifest="orders.yaml").execute({})
    shop.write(
        MANIFEST.replace("incremental_merge", "snapshot_diff").partition("  cursor")[0] + "checks: [{min_rows: 99}]\n"
    )
    with pytest.raises(RuntimeError, match=r"\[check\.row_count\]"):
        operator(task_id="orders", manifest="orders.yaml").execute({})


# -------------------------------------------------------------------------- Dagster


class Failure(Exception):
    def __init__(self, description: str, *, allow_retries: bool) -> None:
        super().__init__(description)
        self.allow_retries = allow_retries


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    def same(**how: Any) -> Callable[[Any], Any]:
        def keep(function: Any) -> Any:
            function.how = how
            return function

        return keep

    names = ("AssetsDefinition", "AssetExecutionContext", "AssetChecksDefinition")
    module(
        "dagster",
        monkeypatch,
        multi_asset=same,
        asset_check=same,
        AssetSpec=lambda name, kinds: SimpleNamespace(name=name, kinds=kinds),
        MaterializeResult=SimpleNamespace,
        AssetCheckResult=SimpleNamespace,
        Failure=Failure,
        **dict.fromkeys(names, object),
    )
    return executed(blocks("dagster.md", "python")[0])


def context(*names: str) -> Any:
    keys = [SimpleNamespace(path=[name]) for name in names]
    return SimpleNamespace(selected_asset_keys=keys, log=logging.getLogger("dagster"))


def test_the_dagster_asset_runs_a_manifest_and_its_check_compares(shop: Shop, recipe: dict[str, Any]) -> None:
    run = recipe["dpone_assets"]("orders.yaml")
    assert [spec.name for spec in run.how["specs"]] == ["orders"]
    (result,) = run(context("orders"))
    assert (result.asset_key, result.metadata["dagster/row_count"], result.metadata["inserted"]) == ("orders", 10, 10)
    check = recipe["equals_its_source"]("orders.yaml", "orders")
    assert check().passed
    shop.change(Update({"id": 1}, {"v": "changed"}))
    assert (check().passed, check().metadata["different"]) == (False, 1)


def test_the_dagster_asset_says_what_no_retry_can_mend(shop: Shop, recipe: dict[str, Any]) -> None:
    def outcome() -> Iterator[Any]:
        return iter(recipe["dpone_assets"]("orders.yaml")(context("orders")))

    shop.write(shop.manifest.read_text() + "checks: [{min_rows: 99}]\n")
    with pytest.raises(Failure) as failed:
        list(outcome())
    assert failed.value.allow_retries
    shop.write(shop.manifest.read_text().replace("key: [id]", "key: [nothing]"))
    with pytest.raises(Failure) as failed:
        list(outcome())
    assert not failed.value.allow_retries


# ----------------------------------------------------------------------- Kubernetes


def test_the_cron_job_holds_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (text,) = blocks("kubernetes.md", "yaml")
    config, job = yaml.safe_load_all(text)
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert {m["name"] for m in container["volumeMounts"]} == {v["name"] for v in pod["volumes"]}
    (exits, _) = job["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    assert (exits["onExitCodes"]["values"], exits["onExitCodes"]["containerName"]) == ([2], container["name"])
    command = cli.get_command(click.Context(cli), container["args"][0])
    assert command is not None
    command.make_context("dpone", [*container["args"][1:]])
    for name, content in config["data"].items():
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli(["check", "orders.yaml"])
    assert ended.value.code == 0
