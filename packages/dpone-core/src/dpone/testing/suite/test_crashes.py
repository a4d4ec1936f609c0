"""Loads that are cut off at each of their steps: by an error, by SIGKILL, by a lost answer, by a server that is gone.

Afterwards rows, position and ledger agree that the load is there or that it is not, and the next run makes all right.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from time import monotonic, sleep

import pytest
from msgspec import Struct

from dpone.connector import Position, Stored, Target
from dpone.errors import DponeError
from dpone.strategies import Read
from dpone.testing.deaths import PATIENCE, patiently
from dpone.testing.suite.jobs import Job, deliver, next_instant
from dpone.testing.suite.killed import Executioner, Order
from dpone.testing.suite.places import at, passed
from dpone.testing.suite.rig import SinkRig
from dpone.testing.suite.scenarios import SCENARIOS, Scenario, timed
from dpone.testing.suite.streams import Stream
from dpone.testing.testkit import Crashes, ListsLeftovers, LosesAnswers

SECOND = Position(Read.SINCE, {"load": 2})
# The driver of the suite passes these, as the runner does; after_each_op and steps of a publish are the sink's own.
DRIVEN = {
    "after_first_batch",
    "before_seal",
    "after_seal",
    "after_ensure",
    "after_each_op",
    "after_reconcile",
    "after_save_position",
    "after_commit",
    "before_settle",
}


class CutError(Exception):
    """The load ends here."""


class CutOff(Struct):
    """A target with one load, and a second one that ends somewhere on its way."""

    stream: Stream
    scenario: Scenario
    load_id: str
    moment: datetime

    @classmethod
    def prepare(cls, sink: SinkRig, scenario: Scenario) -> CutOff:
        s = Stream(sink, scenario.job(sink, sink.target()))
        s.load(scenario.first())
        return cls(s, scenario, f"{sink.fresh('second')}", next_instant())

    @property
    def job(self) -> Job:
        return timed(self.stream.job, self.moment)

    def run(self) -> None:
        entries = self.scenario.second()
        deliver(self.stream.rig, self.job, entries, load_id=self.load_id, at=self.moment, position=SECOND)

    def order(self, scenario: str, place: str) -> Order:
        """The same load for a process that ends at this place."""
        rig, target = self.stream.rig, self.stream.job.target
        return Order(
            testkit=rig.spec,
            connection=dict(rig.kit.connection(rig.endpoint)),
            name=target.name,
            options=dict(target.options),
            scenario=scenario,
            load_id=self.load_id,
            at=self.moment.isoformat(),
            token=dict(SECOND.token),
            place=place,
        )

    def finish(self, cut: str) -> None:
        """The load is run again as a new run would: from what is stored. Afterwards all is as without the cut."""
        s = self.stream
        stored, committed = self._state()
        assert stored is not None, f"{cut}: the state of the first load is gone"
        if committed or stored.generation > 1:
            assert committed, f"{cut}: the position moved, and the ledger does not know the load"
            assert stored == Stored(SECOND, 2, self.load_id), f"{cut}: the ledger knows the load, the state is {stored}"
            load = self.job.with_load(id=self.load_id, at=self.moment, first=False).load
            s.expect(self.job, self.scenario.second(), load)
            s.loads = 2
        s.check(f"{cut}: target of a load that is {'there' if committed else 'not there'} by its ledger")
        s.load([] if committed and self.scenario.goes_by_position else self.scenario.second())

    def _state(self) -> tuple[Stored | None, bool]:
        return patiently(self._asked)

    def _asked(self) -> tuple[Stored | None, bool]:
        s = self.stream
        with s.rig.sink() as connected, connected.lease(s.job.target, s.job.pipeline) as lease:
            return lease.stored, lease.committed(self.load_id)


def places_of(sink: SinkRig, scenario: Scenario) -> list[str]:
    """All failpoints that the second load of the scenario passes."""
    places = passed(CutOff.prepare(sink, scenario).run)
    assert set(places) >= DRIVEN, f"not passed: {sorted(DRIVEN - set(places))}"
    if sink.spec_of_sink.atomic == "publish":
        assert any(p.startswith("publish.") for p in places), "the steps of a publish are failpoints of their own"
    return places


@pytest.mark.timeout(600)  # three loads for each of some fifteen places, on a machine that others use too
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_load_that_fails_at_any_step_is_run_again(sink: SinkRig, name: str) -> None:
    scenario = SCENARIOS[name]

    def cut() -> None:
        raise CutError

    for place in places_of(sink, scenario):
        load = CutOff.prepare(sink, scenario)
        with pytest.raises(CutError), at(place, cut):
            load.run()
        load.finish(f"an error at {place}")


@pytest.fixture(scope="session")
def executioner() -> Iterator[Executioner]:
    if not hasattr(os, "fork"):
        pytest.skip("this platform has no fork")
    with Executioner() as found:
        yield found


@pytest.mark.timeout(600)  # three loads for each of some fifteen places, on a machine that others use too
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_load_whose_process_is_killed_at_any_step_is_run_again(
    sink: SinkRig, name: str, executioner: Executioner
) -> None:
    scenario = SCENARIOS[name]
    for place in places_of(sink, scenario):
        load = CutOff.prepare(sink, scenario)
        code, said = executioner.carry_out(load.order(name, place))
        assert code == -9, f"the load was to be killed at {place}, and ended with {code}: {said}"  # noqa: PLR2004 - SIGKILL
        load.finish(f"SIGKILL at {place}")


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_lost_answer_to_a_commit_loses_and_doubles_nothing(sink: SinkRig, name: str) -> None:
    if not isinstance(sink.kit, LosesAnswers):
        pytest.skip(f"the testkit of {sink.connector.name} cannot lose an answer")
    load = CutOff.prepare(sink, SCENARIOS[name])
    with pytest.raises(DponeError), sink.kit.lose_commit_answer(sink.endpoint):
        load.run()
    load.finish("a lost answer")
    assert load.stream.loads > 2, "the server did commit"  # noqa: PLR2004 - the first, the lost and the next


@pytest.mark.parametrize("place", ["after_first_batch", "after_seal", "after_each_op", "after_save_position"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_server_that_is_killed_during_a_load_loses_and_doubles_nothing(sink: SinkRig, name: str, place: str) -> None:
    if not isinstance(sink.kit, Crashes):
        pytest.skip(f"the server of {sink.connector.name} cannot be killed here")
    load = CutOff.prepare(sink, SCENARIOS[name])
    kit = sink.kit
    with at(place, lambda: kit.crash(sink.endpoint)):
        try:
            load.run()
        except DponeError:
            outcome = "failed"
        else:
            outcome = "succeeded"
    load.finish(f"a load that {outcome} when its server was killed at {place}")


def test_what_a_killed_load_leaves_is_swept(sink: SinkRig, executioner: Executioner) -> None:
    if not isinstance(sink.kit, ListsLeftovers):
        pytest.skip(f"the testkit of {sink.connector.name} cannot list leftovers")
    scenario = SCENARIOS["merge"]
    for place in places_of(sink, scenario):
        load = CutOff.prepare(sink, scenario)
        code, said = executioner.carry_out(load.order("merge", place))
        assert code, said
        left = _left_by_sweeps(sink, sink.kit, load.stream.job.target)
        assert not left, f"after SIGKILL at {place} and a sweep there is still {list(left)}"
        load.finish(f"SIGKILL at {place} and a sweep")


def _left_by_sweeps(sink: SinkRig, kit: ListsLeftovers, target: Target) -> Sequence[str]:
    """What is still there; the server may need a moment to see that the holder of the lease is gone."""
    until = monotonic() + PATIENCE
    while True:
        with sink.sink() as connected:
            connected.sweep(timedelta(0))
        left = kit.leftovers(sink.endpoint, target)
        if not left or monotonic() > until:
            return left
        sleep(0.1)
