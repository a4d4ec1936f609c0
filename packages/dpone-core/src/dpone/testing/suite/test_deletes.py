"""DeleteKeys and DeleteAbsent against the oracle, by every policy."""

from __future__ import annotations

from typing import Any

import pytest

from dpone.ops import (
    Append,
    DeleteAbsent,
    Hard,
)
from dpone.stage import Change
from dpone.testing.suite.rig import SinkRig
from dpone.testing.suite.shapes import (
    FREE,
    MIXED,
    NORTH,
    POLICIES,
    changed,
    gone,
    row,
    rows,
    there,
    truncated,
)
from dpone.testing.suite.streams import stream, stream_of, tagged, with_presence


@pytest.mark.parametrize("policy", POLICIES)
def test_dead_keys_go_by_policy(sink: SinkRig, policy: Any) -> None:
    s = stream(sink, "incremental_merge", MIXED, deletes=policy())
    tagged(s)
    s.load([changed(n, n) for n in range(1, 6)])
    s.load(
        [gone(1, 1), changed(2, 2, region="x"), gone(2, 3), gone(3, 4), changed(3, 5), gone(99, 6)], deletes=policy()
    )
    s.load([gone(1, 1), gone(4, 2)], deletes=policy())


@pytest.mark.parametrize("policy", POLICIES)
def test_a_truncate_at_the_source_goes_by_policy(sink: SinkRig, policy: Any) -> None:
    s = stream(sink, "incremental_merge", MIXED, deletes=policy())
    tagged(s)
    s.load([changed(n, n) for n in range(1, 6)])
    truncate = truncated(2)
    s.load([changed(1, 1, region="before"), truncate, changed(2, 3), changed(7, 4)], deletes=policy())


@pytest.mark.parametrize("policy", POLICIES)
def test_absent_keys_go_by_policy(sink: SinkRig, policy: Any) -> None:
    s = stream(sink, "snapshot_diff", MIXED, deletes=policy(), guard=FREE)
    s.load(rows(1, 2, 3, 4))
    s.load([row(2, region="x"), row(5)], deletes=policy())
    s.load([row(1), row(2, region="x")], deletes=policy())
    s.load([], deletes=policy())


def test_absent_keys_outside_of_the_filter_stay(sink: SinkRig) -> None:
    sink.require(Append, DeleteAbsent)
    s = stream_of(sink, (Append("first"),), MIXED)
    s.load([*rows(1, 2, 3), row(4, region="south"), row(5, region=None)])
    program = (DeleteAbsent(("id",), Hard(), FREE, NORTH),)
    s.job = stream_of(sink, program, MIXED, target=s.job.target, key=("id",)).job
    s.load([row(1)])


def test_present_keys_are_not_absent(sink: SinkRig) -> None:
    s = stream(sink, "xmin", MIXED, reconcile=True, guard=FREE)
    with_presence(s)
    s.load([*(Change(row(n)) for n in (1, 2, 3, 4)), *(there(n) for n in (1, 2, 3, 4))])
    s.load([Change(row(2, region="x")), *(there(n) for n in (1, 2, 4))])
