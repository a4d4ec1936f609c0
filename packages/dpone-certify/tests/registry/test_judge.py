"""A run counts as evidence when its record adds up, whatever its status says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from dpone_certify.registry.judge import judge
from dpone_certify.registry.report import RunResult

RUN_AGAIN = "correct what the error names, and run again"
BY_HAND = "the record does not add up: run again, and do not change it by hand"


def stream(**more: Any) -> dict[str, Any]:
    return {
        "name": "orders",
        "source": "a",
        "sink": "b",
        "strategy": "full_refresh",
        "status": "succeeded",
        "plan_digest": "",
        "rows_staged": 4,
        "rows_before": 10,
        "rows_after": 11,
        "operations": ({"op": "delete", "inserted": 0, "updated": 0, "deleted": 3}, *inserting(4)),
        "loads": ("one",),
        **more,
    }


def inserting(*counts: int) -> tuple[dict[str, Any], ...]:
    return tuple({"op": "insert", "inserted": count, "updated": 9, "deleted": 0} for count in counts)


def judged(*streams: dict[str, Any], **more: Any) -> list[tuple[str, str, str]]:
    """Code, message and action of each blocker."""
    values: dict[str, Any] = {
        "schema_version": "dpone.run_report.v1",
        "run_id": "one",
        "manifest": "orders.yaml",
        "status": "succeeded",
        "started_at": datetime(2024, 1, 1, tzinfo=UTC),
        "finished_at": datetime(2024, 1, 2, tzinfo=UTC),
        "streams": streams,
        **more,
    }
    return [(b.code, b.message, b.action) for b in judge(RunResult.model_validate(values))]


@pytest.mark.parametrize(
    "found",
    [
        stream(),
        stream(rows_after=17, operations=inserting(3, 4)),
        stream(loads=(), rows_after=0),
    ],
)
def test_a_run_that_adds_up(found: dict[str, Any]) -> None:
    assert judged(found) == []


@pytest.mark.parametrize("finished", [None, datetime(2024, 1, 2, tzinfo=UTC)])
def test_a_run_that_did_not_succeed(finished: datetime | None) -> None:
    assert judged(stream(), status="lost", finished_at=finished) == [
        ("run_result.not_succeeded:lost", "run one is lost", "`dpone runs show` says where it stopped; run again")
    ]


def test_a_run_without_an_end() -> None:
    assert judged(stream(), finished_at=None) == [
        ("run_result.not_finished", "run one has no end", "register the run after it has ended")
    ]


def test_a_run_without_a_stream() -> None:
    assert judged() == [("run_result.empty", "the run carried out no stream", "run at least one stream")]


@pytest.mark.parametrize(
    "more, message",
    [
        ({"status": "running"}, "orders is running"),
        ({"status": "failed", "error_code": "a.b", "error": "it broke"}, "orders is failed: [a.b] it broke"),
    ],
)
def test_a_stream_that_did_not_succeed(more: dict[str, Any], message: str) -> None:
    assert judged(stream(**more)) == [("run_result.stream_not_succeeded:orders", message, RUN_AGAIN)]


def test_counts_that_do_not_add_up() -> None:
    assert judged(stream(rows_after=12), stream(name="other")) == [
        ("run_result.counts_differ:orders", "12 rows after, where 10 + 4 - 3 is 11", BY_HAND)
    ]
