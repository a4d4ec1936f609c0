"""Stages that nobody will finish are removed, by the sink's own ledger and by nothing that only looks like one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dpone.testing.suite.jobs import Attempt
from dpone.testing.suite.rig import SinkRig, SourceRig
from dpone.testing.suite.scenarios import SCENARIOS
from dpone.testing.suite.shapes import MIXED, rows
from dpone.testing.suite.streams import Stream, stream
from dpone.testing.testkit import PLAIN, ListsLeftovers, SourceTestkit

NOW = timedelta(0)


def _left(sink: SinkRig, s: Stream) -> list[str]:
    if not isinstance(sink.kit, ListsLeftovers):
        pytest.skip(f"the testkit of {sink.connector.name} cannot list leftovers")
    return list(sink.kit.leftovers(sink.endpoint, s.job.target))


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_load_leaves_nothing_behind(sink: SinkRig, name: str) -> None:
    scenario = SCENARIOS[name]
    s = Stream(sink, scenario.job(sink, sink.target()))
    s.load(scenario.first())
    s.load(scenario.second())
    assert _left(sink, s) == []


def test_a_failed_load_leaves_nothing_behind(sink: SinkRig) -> None:
    s = stream(sink, "incremental_merge", MIXED)

    class CutError(Exception):
        pass

    with (
        sink.sink() as connected,
        connected.lease(s.job.target, "suite") as lease,
        pytest.raises(CutError),
        Attempt.begin(sink, s.job, connected, lease).staged(rows(1)),
    ):
        raise CutError
    assert _left(sink, s) == []


def test_a_sweep_leaves_the_stage_of_a_running_load(sink: SinkRig) -> None:
    s = stream(sink, "incremental_merge", MIXED)
    s.load(rows(1))
    with sink.sink() as connected, connected.lease(s.job.target, "suite") as lease:
        attempt = Attempt.begin(sink, s.job, connected, lease)
        with connected.stage(attempt.spec) as stage:
            attempt.write(stage, rows(2))
            _sweep(sink)
            assert stage.seal().live == 1, "rows of a running load were swept"
            _sweep(sink)
            _, stored = attempt.publish(stage, None)
    s.expect(s.job, rows(2), attempt.load)
    s.check("target of a load that was swept around")
    assert stored.generation == s.loads + 1


def _sweep(sink: SinkRig) -> None:
    with sink.sink() as sweeper:
        sweeper.sweep(timedelta(hours=1))


def test_a_sweep_touches_nothing_that_only_looks_like_a_stage(sink: SinkRig) -> None:
    if not isinstance(sink.kit, SourceTestkit):
        pytest.skip(f"tables of {sink.connector.name} cannot be made by other hands")
    other = SourceRig(sink.spec, sink.kit, sink.endpoint)
    labels = [f"_dpone_stage_{sink.fresh('x')}", f"_dpone_shadow_{sink.fresh('x')}", f"stage-{sink.fresh('x')}"]
    kept = [other.seed(PLAIN, [{"id": 1}], label=label) for label in labels if label not in sink.kit.tables.refused]
    with sink.sink() as connected:
        swept = connected.sweep(NOW)
    assert not {seeded.table.label for seeded in kept} & set(swept)
    for seeded in kept:
        with other.source() as source:
            assert source.describe(seeded.dataset).names


def test_a_sweep_of_nothing_removes_nothing(sink: SinkRig) -> None:
    s = stream(sink, "incremental_merge", MIXED)
    s.load(rows(1, 2))
    with sink.sink() as connected:
        connected.sweep(NOW)
        assert list(connected.sweep(NOW)) == []
    s.check("target after a sweep")
