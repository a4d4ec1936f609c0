"""`ops run-registry` believes what a record shows, and not what it says of itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dpone.testing.shop import Dpone, Shop
from dpone_certify.documents.canonical import sha256_of
from dpone_certify.registry.document import RunRegistryEntry

RUN = ".dpone/runs/one.json"
ENTRY = Path(".dpone/run-registry/one__run_registry.json")


def codes(answer: str) -> list[str]:
    return [b["code"] for b in json.loads(answer)["blockers"]]


def test_a_run_that_succeeded_is_registered(shop: Shop, call: Dpone, record: Callable[..., Path]) -> None:
    path = record()
    (shop.folder / "note.txt").write_text("beside it")
    answer = call("ops", "run-registry", "--run-result", RUN, "--artifact", "note=note.txt", "--format", "json")
    assert answer.code == 0, answer.out
    assert answer.out == ENTRY.read_text(encoding="utf-8")
    entry = RunRegistryEntry.model_validate_json(answer.out)
    assert (entry.passed, entry.run_id, entry.pipeline, entry.status) == (True, "one", "orders", "succeeded")
    assert (ENTRY.parent / entry.run_result.path).resolve() == path.resolve()
    assert entry.run_result.sha256 == sha256_of(path)
    assert [(a.name, a.path, a.sha256) for a in entry.artifacts] == [
        ("note", "../../note.txt", sha256_of(shop.folder / "note.txt"))
    ]
    (stream,) = entry.streams
    assert (stream.rows_staged, stream.inserted, stream.rows_after) == (10, 10, 10)
    assert stream.writes is not None
    assert stream.writes.name == "raw.orders"
    assert ENTRY.with_suffix(".md").read_text(encoding="utf-8").startswith("# Run one: passed")
    index = json.loads((ENTRY.parent / "run_registry_index.json").read_text(encoding="utf-8"))
    assert [(e["id"], e["path"], e["sha256"]) for e in index["entries"]] == [("one", ENTRY.name, sha256_of(ENTRY))]


@pytest.mark.parametrize(
    "stream, changes, expected",
    [
        (None, {"status": "failed"}, "run_result.not_succeeded:failed"),
        (None, {"status": "interrupted"}, "run_result.not_succeeded:interrupted"),
        (None, {"status": "running", "process": ""}, "run_result.not_succeeded:lost"),
        (None, {"finished_at": None}, "run_result.not_finished"),
        (None, {"streams": []}, "run_result.empty"),
        ({"status": "failed", "error_code": "a.b", "error": "c"}, {}, "run_result.stream_not_succeeded:orders"),
        ({"status": "running"}, {}, "run_result.stream_not_succeeded:orders"),
        ({"rows_after": 11}, {}, "run_result.counts_differ:orders"),
        ({"operations": []}, {}, "run_result.counts_differ:orders"),
        ({"rows_after": -1}, {}, "run_result.invalid"),
        ({"columns": [{"nonsense": 1}]}, {}, "run_result.invalid"),
        (None, {"schema_version": "dpone.run_report.v9"}, "run_result.invalid"),
        (None, {"run_id": "../escape"}, "run_result.invalid"),
    ],
)
def test_a_run_that_shows_no_success_is_red_by_name(
    call: Dpone,
    record: Callable[..., Path],
    stream: dict[str, object] | None,
    changes: dict[str, object],
    expected: str,
) -> None:
    record(stream, **changes)
    answer = call("ops", "run-registry", "--run-result", RUN, "--format", "json")
    assert answer.code == 1
    assert codes(answer.out) == [expected]
    assert json.loads(ENTRY.read_text(encoding="utf-8"))["passed"] is False


def test_what_is_missing_is_a_blocker_and_never_a_traceback(shop: Shop, call: Dpone) -> None:
    for arguments in ((), ("--run-result", "absent.json")):
        answer = call("ops", "run-registry", *arguments, "--format", "json")
        assert (answer.code, codes(answer.out)) == (1, ["run_result.missing"])
        assert "Traceback" not in answer.err


def test_an_absent_artifact_is_red(call: Dpone, record: Callable[..., Path]) -> None:
    record()
    answer = call("ops", "run-registry", "--run-result", RUN, "--artifact", "log=absent.log", "--format", "json")
    assert (answer.code, codes(answer.out)) == (1, ["artifact.missing:log"])


@pytest.mark.parametrize("value", ["plain", "=a", "a=", "--"])
def test_an_artifact_without_name_or_path_is_refused(call: Dpone, record: Callable[..., Path], value: str) -> None:
    record()
    answer = call("ops", "run-registry", "--run-result", RUN, f"--artifact={value}")
    assert answer.code == 2
    assert "usage.invalid_artifact" in answer.err


def test_an_id_is_registered_once_with_one_content(call: Dpone, record: Callable[..., Path]) -> None:
    record()
    assert call("ops", "run-registry", "--run-result", RUN).code == 0
    assert call("ops", "run-registry", "--run-result", RUN).code == 0
    kept = ENTRY.read_bytes()
    record(manifest="other.yaml")
    answer = call("ops", "run-registry", "--run-result", RUN)
    assert answer.code == 1
    assert "evidence.id_used" in answer.err
    assert ENTRY.read_bytes() == kept


def test_text_names_what_is_wrong_and_what_to_do(call: Dpone, record: Callable[..., Path]) -> None:
    record(status="failed")
    answer = call("ops", "run-registry", "--run-result", RUN)
    assert answer.out.startswith("not passed\n  [run_result.not_succeeded:failed] run one is failed; ")
