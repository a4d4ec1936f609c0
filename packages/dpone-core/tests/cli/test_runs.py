from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dpone import api, failpoints
from dpone.errors import DataError
from dpone.observe.record import StreamReport
from dpone.testing.shop import Dpone, Shop


@pytest.fixture
def ran(shop: Shop) -> Shop:
    assert api.run("orders.yaml", run_id="one").succeeded
    return shop


def test_a_run_says_how_long_each_phase_took_and_how_much_it_moved(ran: Shop, dpone: Dpone) -> None:
    record = json.loads(dpone("runs", "show", "one", "--format", "json").out)
    (stream,) = record["streams"]
    found: dict[str, dict[str, Any]] = stream["throughput"]
    assert list(found) == ["commit", "finalise", "read", "reconcile", "validate"]
    assert found["read"]["rows"] == 10
    assert found["read"]["rows_per_second"] == pytest.approx(10 / found["read"]["seconds"], rel=0.01)
    assert 0 < sum(phase["seconds"] for phase in found.values()) <= stream["seconds"]
    assert stream["expected"] == {"generation": 0, "load_id": None}
    assert stream["staged"]["one.orders"]["received"] == 10
    assert stream["upto"] == stream["position"]
    shown = dpone("runs", "show", "one").out
    for word in ("run one: succeeded", "read", "finalise", "rows/s", "10 rows", "10 after"):
        assert word in shown


def test_a_listed_run_says_rows_and_time(ran: Shop, dpone: Dpone) -> None:
    (line,) = dpone("runs", "list").out.splitlines()
    assert line.startswith("one  ")
    assert "succeeded" in line
    assert "10 rows" in line
    assert line.endswith(" s")


def test_a_run_that_failed_shows_why_and_what_waits(ran: Shop, dpone: Dpone) -> None:
    def fail() -> None:
        raise DataError("planted", code="test.planted")

    with failpoints.arm("after_ensure", fail):
        assert not api.run("orders.yaml", run_id="two").succeeded
    shown = dpone("runs", "show", "two").out
    assert "test.planted: planted" in shown
    assert "sealed and not published: two.orders" in shown


def test_the_sink_remembers_each_load_whatever_became_of_its_record(ran: Shop, dpone: Dpone) -> None:
    Path(".dpone/runs/one.json").unlink()
    (line,) = dpone("runs", "list", "--ledger", "orders.yaml").out.splitlines()
    assert line.startswith("one.orders")
    assert "10 rows read, 10 inserted, 0 updated, 0 deleted" in line
    (load,) = json.loads(dpone("runs", "show", "one", "--ledger", "orders.yaml", "--format", "json").out)
    assert (load["run_id"], load["strategy"], load["rows_after"]) == ("one", "incremental_merge", 10)
    assert load["seconds_to_publish"] > 0
    answer = dpone("runs", "show", "never", "--ledger", "orders.yaml")
    assert "[run.unknown]" in answer.err
    assert answer.code == 2


def test_throughput_is_what_was_moved_by_the_time_it_took() -> None:
    stream = StreamReport(
        "orders", rows_staged=10, nbytes=1000, rows_live=8, keys_dead=1, spent={"read": 0.5, "finalise": 3}
    )
    assert stream.throughput() == {
        "read": {"seconds": 0.5, "rows": 10, "rows_per_second": 20, "bytes": 1000, "bytes_per_second": 2000},
        "finalise": {"seconds": 3, "rows": 9, "rows_per_second": 3},
    }


@pytest.mark.parametrize("found", ["{", "[]", '"run"'])
def test_a_damaged_record_is_listed_as_such_and_hides_no_other(ran: Shop, dpone: Dpone, found: str) -> None:
    Path(".dpone/runs/broken.json").write_text(found, encoding="utf-8")
    lines = dpone("runs", "list").out.splitlines()
    assert sorted((line.split()[0], "damaged" in line) for line in lines) == [("broken", True), ("one", False)]
    found_again = json.loads(dpone("runs", "list", "--format", "json").out)
    assert sorted((r["run_id"], r["status"]) for r in found_again) == [("broken", "damaged"), ("one", "succeeded")]
    shown = dpone("runs", "show", "broken")
    assert (shown.code, "run.damaged_record" in shown.err) == (1, True)
