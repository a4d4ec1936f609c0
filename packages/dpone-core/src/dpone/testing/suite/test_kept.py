"""Sealed stages that outlive their process: a later one finds them as they were sealed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

import pytest

from dpone.connector import KeepsRecords, KeepsStages, Position, Sink, Staged
from dpone.strategies import Read
from dpone.testing.suite.jobs import Attempt, Entries, next_instant
from dpone.testing.suite.rig import SinkRig
from dpone.testing.suite.scenarios import SCENARIOS, timed
from dpone.testing.suite.streams import Stream
from dpone.testing.testkit import ListsLeftovers

NOTE = {"run_id": "kept", "text": 'it\'s "noted" \\ Ωß', "number": 7, "nothing": None}
AT_TWO = Position(Read.SINCE, {"load": 2})


class CutError(Exception):
    """The load ends here."""


class Interrupted:
    """A target with one load, and a second one whose stage was sealed and kept when its process ended."""

    def __init__(self, sink: SinkRig, name: str) -> None:
        self.scenario = SCENARIOS[name]
        self.stream = Stream(sink, self.scenario.job(sink, sink.target()))
        self.stream.load(self.scenario.first())
        self.entries: Entries = self.scenario.second()
        self.load_id = sink.fresh("kept")
        self.at: datetime = next_instant()
        self.job = timed(self.stream.job, self.at)
        self.staged = self._cut()

    def _cut(self) -> Staged:
        """What the stage held when it was kept, and its process ended."""
        with (
            suppress(CutError),
            self.attempt() as (connected, attempt),
            attempt.staged(self.entries) as (stage, staged),
        ):
            if not kept_by(connected).keep_stage(stage, NOTE):
                pytest.skip(f"{self.stream.rig.connector.name} cannot keep a stage of this load")
            raise CutError
        return staged

    @contextmanager
    def attempt(self) -> Iterator[tuple[Sink, Attempt]]:
        """The second load by a process of its own, as it were: another connection, another lease."""
        rig = self.stream.rig
        with rig.sink() as connected:
            kept_by(connected)
            with connected.lease(self.job.target, self.job.pipeline) as lease:
                yield connected, Attempt.begin(rig, self.job, connected, lease, load_id=self.load_id, at=self.at)

    def left(self) -> list[str]:
        kit = self.stream.rig.kit
        return list(kit.leftovers(self.stream.rig.endpoint, self.job.target)) if isinstance(kit, ListsLeftovers) else []


def kept_by(sink: Sink) -> KeepsStages:
    if not isinstance(sink, KeepsStages):
        pytest.skip("this sink keeps no stages")
    return sink


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_kept_stage_is_published_by_another_process_as_it_was_sealed(sink: SinkRig, name: str) -> None:
    load = Interrupted(sink, name)
    with load.attempt() as (connected, attempt):
        (kept,) = kept_by(connected).kept_stages(load.job.target)
        assert (kept.load_id, kept.pipeline, kept.note) == (load.load_id, load.job.pipeline, NOTE)
        with kept_by(connected).adopt_stage(attempt.spec) as (stage, staged):
            assert staged == load.staged
            attempt.validate(stage)
            attempt.publish(stage, AT_TWO)
        assert not kept_by(connected).kept_stages(load.job.target)
    load.stream.expect(load.job, load.entries, attempt.load)
    load.stream.check("target of a load that was published from a kept stage")
    assert load.left() == []


def test_a_kept_stage_survives_an_attempt_that_fails(sink: SinkRig) -> None:
    load = Interrupted(sink, "merge")
    for _ in range(2):
        with suppress(CutError), load.attempt() as (connected, attempt):
            adopting = kept_by(connected).adopt_stage(attempt.spec)
            with adopting as (_, staged):
                assert staged == load.staged
                raise CutError
    load.stream.check("target of a load that was taken up and not published")


def test_a_kept_stage_that_is_dropped_leaves_nothing(sink: SinkRig) -> None:
    load = Interrupted(sink, "merge")
    with load.attempt() as (connected, _):
        kept_by(connected).drop_stage(load.job.target, load.load_id)
        assert not kept_by(connected).kept_stages(load.job.target)
    assert load.left() == []
    load.stream.load(load.entries)


def test_a_kept_stage_is_an_orphan_once_it_is_old(sink: SinkRig) -> None:
    load = Interrupted(sink, "merge")
    with sink.sink() as connected:
        connected.sweep(timedelta(hours=1))
    with load.attempt() as (connected, _):
        assert kept_by(connected).kept_stages(load.job.target)
    with sink.sink() as connected:
        connected.sweep(timedelta(0))
    with load.attempt() as (connected, _):
        assert not kept_by(connected).kept_stages(load.job.target)
    assert load.left() == []


def test_the_ledger_keeps_the_record_of_each_committed_load(sink: SinkRig) -> None:
    with sink.sink() as connected:
        if not isinstance(connected, KeepsRecords):
            pytest.skip(f"the ledger of {sink.connector.name} keeps no records")
    scenario = SCENARIOS["merge"]
    stream = Stream(sink, scenario.job(sink, sink.target()))
    for run in ("one", "two"):
        record = {**NOTE, "run_id": run}
        with sink.sink() as connected, connected.lease(stream.job.target, stream.job.pipeline) as lease:
            attempt = Attempt.begin(sink, stream.job, connected, lease)
            with attempt.staged(scenario.first()) as (stage, _):
                attempt.publish(stage, None, run_id=run, record=record)
    with sink.sink() as connected:
        assert isinstance(connected, KeepsRecords)
        assert [r["run_id"] for r in connected.records(stream.job.target)] == ["two", "one"]
        assert list(connected.records(stream.job.target, "one")) == [{**NOTE, "run_id": "one"}]
