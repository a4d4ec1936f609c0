"""`ops dbt-lineage` over recorded artifacts of real runs: green only where every node ran and passed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dpone.testing.shop import Dpone
from dpone_certify.dbt.document import DbtLineage
from dpone_certify.documents.canonical import sha256_of
from dpone_certify.documents.document import Artifact, Subject, now
from dpone_certify.registry.document import DatasetRef, RegisteredStream, RunRegistryEntry

OUT = Path(".dpone/dbt-lineage/shop")  # where no run is given
FAILING = "test.shop.no_negative_amounts"
SOURCE = "source.shop.raw.orders"
Record = dict[str, Any]
Recorded = Callable[..., tuple[str, ...]]
VERSIONS = pytest.mark.parametrize("version", ["v11", "v12"])


def codes(answer: str) -> list[str]:
    return [b["code"] for b in json.loads(answer)["blockers"]]


def entry(folder: Path, namespace: str = "postgres://db:5432", *, passed: bool = True) -> tuple[str, str]:
    """The registry entry of a run that loads raw.orders."""
    stream = RegisteredStream(
        name="orders",
        strategy="full_refresh",
        status="succeeded",
        reads=None,
        writes=DatasetRef(namespace=namespace, name="postgres.raw.orders"),
        plan_digest="",
        rows_staged=1,
        inserted=1,
        updated=0,
        deleted=0,
        rows_before=0,
        rows_after=1,
        error_code=None,
    )
    document = RunRegistryEntry(
        created_at=now(),
        producer="test",
        subject=Subject(distributions={}),
        passed=passed,
        blockers=(),
        run_id="one",
        pipeline="orders",
        manifest_sha256=None,
        status="succeeded",
        started_at=None,
        finished_at=None,
        run_result=Artifact(name="run_result", path="", sha256=None),
        artifacts=(),
        streams=(stream,),
    )
    path = folder / "one__run_registry.json"
    path.write_text(document.to_json(), encoding="utf-8")
    return "--run-registry-entry", str(path)


@VERSIONS
def test_a_project_that_ran_whole_is_green(call: Dpone, recorded: Recorded, version: str, tmp_path: Path) -> None:
    answer = call("ops", "dbt-lineage", *recorded(f"{version}_green"), *entry(tmp_path), "--format", "json")
    assert answer.code == 0, answer.out
    document = DbtLineage.model_validate_json(answer.out)
    out = Path(".dpone/dbt-lineage/orders")  # of the pipeline
    assert (out / "dbt_lineage.json").read_text(encoding="utf-8") == answer.out
    assert (document.project, document.adapter, document.passed) == ("shop", "postgres", True)
    assert document.statuses == {"pass": 8, "success": 11}
    assert len([n for n in document.nodes if n.kind == "model"]) == 11
    assert len(document.tests) == 8
    assert {(e.reads, e.node) for e in document.edges} >= {
        (SOURCE, "model.shop.stg_orders"),
        ("model.shop.stg_orders", "model.shop.recent"),
        ("model.shop.recent", "model.shop.daily_orders"),
    }
    assert [(s.source, s.dataset.name, s.run_id) for s in document.stitched] == [(SOURCE, "postgres.raw.orders", "one")]
    assert {n.dataset.namespace for n in document.nodes if n.dataset} == {"postgres://db:5432"}
    ephemeral = next(n for n in document.nodes if n.id == "model.shop.recent")
    assert (ephemeral.status, ephemeral.dataset) == (None, None)
    assert document.events.sha256 == sha256_of(out / document.events.path)
    assert (out / "dbt_lineage.md").read_text(encoding="utf-8").startswith("# dbt project shop: passed")


@VERSIONS
def test_a_failing_test_and_what_was_skipped_behind_it_are_named(call: Dpone, recorded: Recorded, version: str) -> None:
    answer = call("ops", "dbt-lineage", *recorded(f"{version}_red"), "--format", "json")
    assert answer.code == 1
    failed = [c for c in codes(answer.out) if not c.startswith("dbt.skipped:")]
    assert failed == [f"dbt.failed:{FAILING}"]
    assert "dbt.skipped:model.shop.customer_totals" in codes(answer.out)
    assert next(t for t in json.loads(answer.out)["tests"] if t["id"] == FAILING)["failures"] == 1


@pytest.mark.parametrize("name", ["v11_red", "v11_green", "v12_red", "v12_green"])
def test_events_follow_the_published_schemas_and_read_through_ephemeral_models(
    call: Dpone,
    recorded: Recorded,
    name: str,
    refuse_invalid: Callable[[Record], int],
) -> None:
    call("ops", "dbt-lineage", *recorded(name), "--dataset-namespace", "postgres://db:5432")
    events = json.loads((OUT / "dbt_openlineage.json").read_text(encoding="utf-8"))
    assert all(map(refuse_invalid, events))
    daily = next(e for e in events if e["job"]["name"] == "model.shop.daily_orders")
    assert [(d["namespace"], d["name"]) for d in daily["inputs"]] == [
        ("postgres://db:5432", "postgres.marts.stg_orders")
    ]
    tested = next(
        e for e in events if e["job"]["name"] == "model.shop.orders_enriched.test" and e["eventType"] != "START"
    )
    found = {a["name"]: a["success"] for a in tested["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"]}
    assert found == {
        "no_negative_amounts": "green" in name,
        "not_null_orders_enriched_id": True,
        "unique_orders_enriched_id": True,
    }
    assert tested["eventType"] == ("COMPLETE" if "green" in name else "FAIL")


def drop_result(_: Record, results: Record) -> None:
    results["results"] = [r for r in results["results"] if r["unique_id"] != "model.shop.summary"]


def set_status(status: str) -> Callable[[Record, Record], None]:
    def change(_: Record, results: Record) -> None:
        next(r for r in results["results"] if r["unique_id"] == "model.shop.summary")["status"] = status

    return change


def foreign_result(_: Record, results: Record) -> None:
    results["results"].append({**results["results"][0], "unique_id": "model.other.thing"})


def twice(_: Record, results: Record) -> None:
    results["results"].append(results["results"][0])


def no_nodes(manifest: Record, results: Record) -> None:
    manifest["nodes"], results["results"] = {}, []


def other_version(part: str) -> Callable[[Record, Record], None]:
    def change(manifest: Record, results: Record) -> None:
        (manifest if part == "manifest" else results)["metadata"]["dbt_schema_version"] = f"https://x/{part}/v3.json"

    return change


def unknown_unit_test(manifest: Record, _: Record) -> None:
    name = "unit_test.shop.summary.counts"
    manifest["unit_tests"] = {name: {"unique_id": name, "resource_type": "unit_test", "name": "counts"}}


@VERSIONS
@pytest.mark.parametrize(
    "change, expected",
    [
        (drop_result, "dbt.missing_result:model.shop.summary"),
        pytest.param(set_status("error"), "dbt.error:model.shop.summary", id="error"),
        pytest.param(set_status("skipped"), "dbt.skipped:model.shop.summary", id="skipped"),
        pytest.param(set_status("runtime error"), "dbt.error:model.shop.summary", id="runtime_error"),
        pytest.param(set_status("partial success"), "dbt.not_passed:model.shop.summary", id="partial_success"),
        pytest.param(set_status("splendid"), "dbt.not_passed:model.shop.summary", id="splendid"),
        (foreign_result, "dbt.unknown_node:model.other.thing"),
        (twice, "dbt.duplicate_result:model.shop.stg_customers"),
        (no_nodes, "dbt.empty"),
        (unknown_unit_test, "dbt.missing_result:unit_test.shop.summary.counts"),
        (other_version("manifest"), "dbt_manifest.unsupported_version"),
        (other_version("run-results"), "dbt_run_results.unsupported_version"),
        (lambda m, _: m.pop("metadata"), "dbt_manifest.unsupported_version"),
        (lambda m, _: m.pop("nodes"), "dbt_manifest.invalid"),
        (lambda _, r: r.pop("results"), "dbt_run_results.invalid"),
        (lambda _, r: r.pop("args"), "dbt.not_executed:None"),
    ],
)
def test_whatever_is_wrong_is_red_by_name(
    call: Dpone, recorded: Recorded, version: str, change: Callable[[Record, Record], None], expected: str
) -> None:
    options = recorded(f"{version}_green", change)
    answer = call("ops", "dbt-lineage", *options, "--output-dir", "out", "--format", "json")
    assert answer.code == 1
    found = codes(answer.out)
    if change is twice:
        assert [c.partition(":")[0] for c in found] == ["dbt.duplicate_result"]
    else:
        assert found == [expected]


@VERSIONS
def test_a_compiled_project_was_not_executed(call: Dpone, recorded: Recorded, version: str) -> None:
    answer = call("ops", "dbt-lineage", *recorded(f"{version}_compiled"), "--format", "json")
    assert (answer.code, codes(answer.out)[0]) == (1, "dbt.not_executed:compile")


def test_warnings_pass(call: Dpone, recorded: Recorded) -> None:
    options = recorded("v12_green", lambda _, r: r["results"][-1].update(status="warn"))
    assert call("ops", "dbt-lineage", *options).code == 0


def test_what_is_missing_is_a_blocker(call: Dpone, recorded: Recorded) -> None:
    manifest = recorded("v12_green")[:2]
    for options, expected in (
        ((), ["dbt_manifest.missing", "dbt_run_results.missing"]),
        (manifest, ["dbt_run_results.missing"]),
        ((*manifest, "--run-results", "absent.json"), ["dbt_run_results.missing"]),
    ):
        answer = call("ops", "dbt-lineage", *options, "--format", "json")
        assert (answer.code, codes(answer.out)) == (1, expected)


def test_an_entry_that_is_absent_or_red_blocks(call: Dpone, recorded: Recorded, tmp_path: Path) -> None:
    options = recorded("v12_green")
    absent = call("ops", "dbt-lineage", *options, "--run-registry-entry", "absent.json", "--format", "json")
    assert (absent.code, codes(absent.out)) == (1, ["run_registry_entry.missing"])
    red = call("ops", "dbt-lineage", *options, *entry(tmp_path, passed=False), "--format", "json")
    assert (red.code, codes(red.out)) == (1, ["run_registry_entry.not_passed"])


def test_a_table_of_another_engine_is_not_stitched(call: Dpone, recorded: Recorded, tmp_path: Path) -> None:
    answer = call("ops", "dbt-lineage", *recorded("v12_green"), *entry(tmp_path, "mssql://db:1433"), "--format", "json")
    assert json.loads(answer.out)["stitched"] == []
    assert {n["dataset"]["namespace"] for n in json.loads(answer.out)["nodes"] if n["dataset"]} == {"dbt://shop"}
