"""Version against the oracle: closed, opened, kept and expired."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from dpone.ops import (
    Absent,
    Guard,
    Version,
)
from dpone.testing.suite.jobs import deliver
from dpone.testing.suite.refusals import refused
from dpone.testing.suite.rig import SinkRig
from dpone.testing.suite.shapes import (
    FREE,
    MIXED,
    holdable,
    row,
    rows,
)
from dpone.testing.suite.streams import stream


@pytest.mark.parametrize("absent", Absent)
def test_versions_are_closed_and_opened(sink: SinkRig, absent: Absent) -> None:
    s = stream(sink, "scd2", MIXED, absent=absent, guard=FREE)
    s.load(rows(1, 2, 3))
    s.load([row(1), row(2, region="moved"), row(4)])
    s.load(holdable(sink.kit, [row(1, score=float("nan")), row(2, region="moved"), row(3)]))
    s.load(holdable(sink.kit, [row(1, score=float("nan")), row(2, region=None), row(3), row(4)]))
    s.load([])


def test_versions_follow_only_the_compared_columns(sink: SinkRig) -> None:
    s = stream(sink, "scd2", MIXED, compare=("region", "score"))
    s.load(rows(1, 2))
    s.load([row(1, amount=Decimal("9.0000")), row(2, region="moved", amount=Decimal("9.0000"))])


def test_a_version_that_is_not_later_is_refused(sink: SinkRig) -> None:
    sink.require(Version)
    s = stream(sink, "scd2", MIXED)
    s.load(rows(1, 2))
    earlier = datetime(2020, 1, 1, tzinfo=UTC)
    with refused("load.at_not_after"):
        deliver(sink, s.job, [row(1, region="x")], at=earlier)
    s.check("target after a refused load")


def test_versions_expire_no_further_than_the_guard_allows(sink: SinkRig) -> None:
    sink.require(Version)
    s = stream(sink, "scd2", MIXED, guard=Guard(max_removed_share=0.5))
    s.load(rows(1, 2, 3, 4))
    s.load([row(1, region="moved"), row(2), row(3), row(4)])  # the closed version is no row that could be lost
    for entries, code in (([], "guard.empty"), (rows(1), "guard.removed_share")):
        with refused(code):
            deliver(sink, s.job, entries)
        s.check("target after a refused load")
    s.load(rows(1, 2))
