"""`ops lineage-export` gives the events that were told live, and passes only where all of them end COMPLETE."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dpone.testing.shop import Dpone, Shop
from dpone_certify.documents.canonical import sha256_of
from dpone_certify.lineage.document import judge_events

REGISTRY = ".dpone/run-registry/one__run_registry.json"
EVENTS = Path(".dpone/lineage/orders/one__openlineage.json")
REPORT = Path(".dpone/lineage/orders/one__openlineage_report.json")
Event = dict[str, Any]


def codes(answer: str) -> list[str]:
    return [b["code"] for b in json.loads(answer)["blockers"]]


def test_an_export_says_what_was_told_live(
    shop: Shop,
    call: Dpone,
    record: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    refuse_invalid: Callable[[Event], int],
) -> None:
    pytest.importorskip("openlineage", reason="needs dpone-core[lineage]")
    monkeypatch.setenv("DPONE_LINEAGE", "live")
    record()
    call("ops", "run-registry", "--run-result", ".dpone/runs/one.json")
    answer = call("ops", "lineage-export", "--run-registry-entry", REGISTRY, "--format", "json")
    assert answer.code == 0, answer.out
    report = json.loads(answer.out)
    assert REPORT.read_text(encoding="utf-8") == answer.out
    assert report["events"] == {"name": "openlineage", "path": EVENTS.name, "sha256": sha256_of(EVENTS)}
    assert [(j["job"], j["begin"], j["end"]) for j in report["jobs"]] == [
        ("orders", "START", "COMPLETE"),
        ("orders.orders", "START", "COMPLETE"),
    ]
    exported = json.loads(EVENTS.read_text(encoding="utf-8"))
    assert all(map(refuse_invalid, exported))
    live = [json.loads(line) for line in Path("live/one.openlineage.jsonl").read_text(encoding="utf-8").splitlines()]
    told = {(e["job"]["name"], e["eventType"]): e for e in live}
    for event in exported:
        twin = told[event["job"]["name"], event["eventType"]]
        twin["run"]["facets"].pop("tags")  # of the client
        assert {**event, "eventTime": ""} == {**twin, "eventTime": ""}


def test_a_run_by_its_id_in_another_namespace(call: Dpone, record: Callable[..., Path]) -> None:
    record()
    answer = call("ops", "lineage-export", "--run-id", "one", "--namespace", "dwh", "--output-dir", "out")
    assert answer.code == 0
    events = json.loads(Path("out/one__openlineage.json").read_text(encoding="utf-8"))
    assert {e["job"]["namespace"] for e in events} == {"dwh"}


@pytest.mark.parametrize(
    "stream, status, expected",
    [
        (
            {"status": "failed", "error_code": "a.b", "error": "c"},
            "failed",
            ["run_result.not_succeeded:failed", "run_result.stream_not_succeeded:orders",
             "lineage.not_complete:orders", "lineage.not_complete:orders.orders"],
        ),
        (
            {"status": "failed"},
            "succeeded",  # the record praises itself
            ["run_result.stream_not_succeeded:orders", "lineage.not_complete:orders.orders"],
        ),
        (
            {"status": "running"},
            "succeeded",
            ["run_result.stream_not_succeeded:orders", "lineage.not_complete:orders.orders"],
        ),
    ],
)  # fmt: skip
def test_a_run_that_did_not_succeed_is_red_by_name(
    call: Dpone,
    record: Callable[..., Path],
    stream: Event,
    status: str,
    expected: list[str],
    refuse_invalid: Callable[[Event], int],
) -> None:
    record(stream, status=status)
    answer = call("ops", "lineage-export", "--run-id", "one", "--format", "json")
    assert answer.code == 1
    assert codes(answer.out) == expected
    events = json.loads(EVENTS.read_text(encoding="utf-8"))
    assert all(map(refuse_invalid, events))


def test_a_record_that_changed_after_it_was_registered_is_red(call: Dpone, record: Callable[..., Path]) -> None:
    record()
    call("ops", "run-registry", "--run-result", ".dpone/runs/one.json")
    record({"nbytes": 5})
    answer = call("ops", "lineage-export", "--run-registry-entry", REGISTRY, "--format", "json")
    assert (answer.code, codes(answer.out)) == (1, ["run_result.invalid"])


def test_an_entry_that_did_not_pass_is_red(call: Dpone, record: Callable[..., Path]) -> None:
    record(status="failed")
    call("ops", "run-registry", "--run-result", ".dpone/runs/one.json")
    answer = call("ops", "lineage-export", "--run-registry-entry", REGISTRY, "--format", "json")
    assert answer.code == 1
    assert "run_registry_entry.not_passed" in codes(answer.out)


def test_what_is_missing_is_a_blocker(shop: Shop, call: Dpone) -> None:
    for arguments, expected in (
        ((), "run_registry_entry.missing"),
        (("--run-registry-entry", "absent.json"), "run_registry_entry.missing"),
        (("--run-id", "absent"), "run_result.missing"),
    ):
        answer = call("ops", "lineage-export", *arguments, "--format", "json")
        assert (answer.code, codes(answer.out)) == (1, [expected, "lineage.empty"])


def test_a_manifest_that_changed_since_is_not_shown_as_the_source(
    shop: Shop, call: Dpone, record: Callable[..., Path]
) -> None:
    record()
    shop.write(shop.manifest.read_text(encoding="utf-8") + "# changed\n")
    assert call("ops", "lineage-export", "--run-id", "one").code == 0
    events = json.loads(EVENTS.read_text(encoding="utf-8"))
    assert all("sourceCode" not in e["job"]["facets"] for e in events)


def test_two_ends_of_one_job_are_not_complete() -> None:
    def event(kind: str) -> Event:
        job, run = {"name": "a", "namespace": "n"}, {"runId": "r"}
        return {"eventType": kind, "job": job, "run": run, "inputs": [], "outputs": []}

    for kinds, passes in {
        ("START", "RUNNING", "COMPLETE"): True,
        ("START", "FAIL", "COMPLETE"): False,
        ("START", "COMPLETE", "FAIL"): False,
        ("COMPLETE",): False,
        ("START",): False,
        ("START", "START", "COMPLETE"): False,
    }.items():
        _, blockers = judge_events([event(kind) for kind in kinds])
        assert (not blockers) is passes, kinds
