"""A real dbt project over tables that dpone loads, on a real PostgreSQL: red with one failing test, green once mended.

`nox -s dbt` installs dbt in a venv of its own and names its program in DPONE_DBT. With DPONE_DBT_RECORD=<folder> what
dbt wrote is kept there, cut down to what a reader needs, as fixtures of dpone-certify's own tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dpone
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.services.postgres import EmbeddedPostgres
from tests.integration.dbt.shop import MANIFEST, TABLES, carry_out, execute

pytestmark = pytest.mark.timeout(300)  # dbt starts slowly, and twice
FAILING = "test.shop.no_negative_amounts"
BEHIND = "model.shop.customer_totals"
DPONE = (sys.executable, "-c", "from dpone.cli import main; main()")
Record = dict[str, Any]
# what a reader of these files needs; macros and SQL are most of the rest
NODE = (
    *("unique_id", "resource_type", "name", "database", "schema", "alias", "identifier", "source_name", "columns"),
    *("depends_on", "attached_node", "column_name", "test_metadata", "package_name", "fqn", "original_file_path"),
)
COLUMN = ("name", "data_type", "description")
RESULT = ("unique_id", "status", "execution_time", "failures", "message", "timing", "adapter_response")


@pytest.fixture(scope="session")
def dbt() -> str:
    program = os.environ.get("DPONE_DBT")
    if not program:
        pytest.skip("needs DPONE_DBT, the program of dbt; `nox -s dbt` installs it")
    return program


@pytest.fixture(scope="module")
def server() -> Iterator[Endpoint]:
    with EmbeddedPostgres() as endpoint:
        yield endpoint


def judged(target: Path, *arguments: str) -> tuple[int, Record]:
    command = [
        *(*DPONE, "ops", "dbt-lineage", "--format", "json"),
        *("--manifest", str(target / "manifest.json"), "--run-results", str(target / "run_results.json")),
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout)


def load(run_id: str) -> list[str]:
    """Both tables are loaded and the run is registered; the option that names its entry."""
    assert dpone.run("shop.yaml", run_id=run_id).succeeded
    register = [*DPONE, "ops", "run-registry", "--run-result", f".dpone/runs/{run_id}.json"]
    subprocess.run(register, check=True, capture_output=True)
    return ["--run-registry-entry", f".dpone/run-registry/{run_id}__run_registry.json"]


def slim(target: Path, name: str) -> None:
    """The artifacts are kept under this name when DPONE_DBT_RECORD says where."""
    if not (record := os.environ.get("DPONE_DBT_RECORD")):
        return
    manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    version = manifest["metadata"]["dbt_schema_version"].rpartition("/")[2].removesuffix(".json")
    kept: Record = {"metadata": {**manifest["metadata"], "env": {}, "user_id": None}}
    for part in ("nodes", "sources", "exposures", "unit_tests"):
        kept[part] = {key: cut(node) for key, node in manifest.get(part, {}).items()}
    results = json.loads((target / "run_results.json").read_text(encoding="utf-8"))
    results["metadata"]["env"] = {}
    results["args"] = {"which": results["args"]["which"]}
    results["results"] = [{k: r[k] for k in RESULT if k in r} for r in results["results"]]
    folder = Path(record) / f"{version}_{name}"
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in (("manifest.json", kept), ("run_results.json", results)):
        (folder / file).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def cut(node: Record) -> Record:
    found = {key: node[key] for key in NODE if key in node}
    found["columns"] = {name: {k: c[k] for k in COLUMN if k in c} for name, c in node.get("columns", {}).items()}
    config = node.get("config", {})
    found["config"] = {key: config[key] for key in ("materialized", "severity", "enabled") if key in config}
    return found


def test_a_project_is_red_with_a_failing_test_and_green_once_mended(
    dbt: str, server: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DPONE_CONN_SHOP", server.url())
    (tmp_path / "shop.yaml").write_text(MANIFEST, encoding="utf-8")
    execute(server, TABLES)

    entry = load("first")
    target = carry_out(dbt, "build", server, tmp_path)
    slim(target, "red")
    code, red = judged(target, *entry)
    assert code == 1
    failed = [b for b in red["blockers"] if not b["code"].startswith("dbt.skipped:")]
    assert [b["code"] for b in failed] == [f"dbt.failed:{FAILING}"]
    assert "1 rows" in failed[0]["message"]
    assert f"dbt.skipped:{BEHIND}" in [b["code"] for b in red["blockers"]]  # dbt builds nothing behind a failed test
    models = [n for n in red["nodes"] if n["kind"] == "model"]
    assert len(models) == 11
    place = f"postgres://{server.host}:{server.port}"
    assert [(s["source"], s["dataset"], s["run_id"]) for s in red["stitched"]] == [
        (f"source.shop.raw.{name}", {"namespace": place, "name": f"postgres.raw.{name}"}, "first")
        for name in ("customers", "orders")
    ]
    assert {n["dataset"]["namespace"] for n in red["nodes"] if n["dataset"]} == {place}

    execute(server, "update public.orders set amount = 1 where id = 42")
    entry = load("second")
    target = carry_out(dbt, "build", server, tmp_path)
    slim(target, "green")
    code, green = judged(target, *entry)
    assert (code, green["blockers"], green["passed"]) == (0, [], True)
    assert green["statuses"] == {"pass": 8, "success": 11}


def test_results_that_executed_nothing_are_red(
    dbt: str, server: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    target = carry_out(dbt, "compile", server, tmp_path)
    slim(target, "compiled")
    code, red = judged(target)
    assert code == 1
    assert red["blockers"][0]["code"] == "dbt.not_executed:compile"
