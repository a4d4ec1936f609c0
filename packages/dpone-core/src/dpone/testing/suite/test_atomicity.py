"""Whole loads or nothing: what readers see while a load is under way, at each of its steps and in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest

from dpone.testing.suite.compare import Plain, assert_same, plain_rows, plain_table
from dpone.testing.suite.jobs import Attempt, deliver
from dpone.testing.suite.places import everywhere
from dpone.testing.suite.rig import SinkRig
from dpone.testing.suite.scenarios import SCENARIOS, Scenario
from dpone.testing.suite.streams import Stream
from dpone.testing.testkit import HoldsSnapshots

Seen = Counter[Plain]


def _filled(sink: SinkRig, scenario: Scenario) -> Stream:
    s = Stream(sink, scenario.job(sink, sink.target()))
    s.load(scenario.first())
    return s


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_step_of_a_load_is_visible_before_the_last(sink: SinkRig, name: str) -> None:
    scenario = SCENARIOS[name]
    s = _filled(sink, scenario)
    before = plain_rows(s.seen(), s.fields)
    seen: list[tuple[str, Seen]] = []
    with everywhere(lambda place: seen.append((place, sink.found(s.job.target, s.fields)))):
        done = deliver(sink, s.job, scenario.second())
    s.expect(s.job, scenario.second(), done.load)
    s.check()
    after = plain_rows(s.seen(), s.fields)
    assert before != after
    changed_at = None
    for place, found in seen:
        if changed_at is None and found != before:
            changed_at = place
        assert_same(found, after if changed_at else before, s.fields, f"a reader at {place}")
    order = [place for place, _ in seen]
    assert "after_save_position" in order
    if changed_at is not None:
        shown = order.index(changed_at)
        assert shown > order.index("after_save_position"), f"rows are visible at {changed_at}, before the commit"


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_first_load_appears_whole(sink: SinkRig, name: str) -> None:
    scenario = SCENARIOS[name]
    made = scenario.job(sink, sink.target())
    s = Stream(sink, made)
    seen: list[tuple[str, int]] = []

    def look(place: str) -> None:
        rows = sink.sink_kit.rows(sink.endpoint, made.target).num_rows if sink.exists(made.target) else 0
        seen.append((place, rows))

    with everywhere(look):
        s.load(scenario.first())
    whole = len(s.seen())
    assert {rows for _, rows in seen} <= {0, whole}, seen


@contextmanager
def _polling(sink: SinkRig, s: Stream) -> Iterator[list[Seen]]:
    """A reader beside the loads, as fast as it can; what it saw, without repetitions."""
    seen: list[Seen] = []
    ended = Event()
    failures: list[BaseException] = []

    def poll() -> None:
        try:
            while not ended.is_set():
                found = sink.found(s.job.target, s.fields)
                if not seen or seen[-1] != found:
                    seen.append(found)
        except BaseException as error:  # noqa: BLE001 - it is raised again in the test's own thread
            failures.append(error)

    reader = Thread(target=poll, name="polling-reader")
    reader.start()
    try:
        yield seen
    finally:
        ended.set()
        reader.join()
    if failures:
        raise failures[0]


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_polling_reader_sees_states_between_loads_alone(sink: SinkRig, name: str) -> None:
    scenario = SCENARIOS[name]
    s = _filled(sink, scenario)
    states = [plain_rows(s.seen(), s.fields)]
    with _polling(sink, s) as seen:
        for number in range(6):
            s.load(scenario.second() if number % 2 == 0 else scenario.first())
            states.append(plain_rows(s.seen(), s.fields))
    at = 0
    for found in seen:
        while at < len(states) and states[at] != found:
            at += 1
        if at == len(states):
            assert_same(found, states[-1], s.fields, "a polling reader, which saw a state that is none of the loads'")


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_reader_with_an_old_snapshot_keeps_its_rows(sink: SinkRig, name: str) -> None:
    if not isinstance(sink.kit, HoldsSnapshots):
        pytest.skip(f"readers of {sink.connector.name} cannot hold a snapshot")
    scenario = SCENARIOS[name]
    s = _filled(sink, scenario)
    before, fields = plain_rows(s.seen(), s.fields), s.fields
    with sink.kit.snapshot(sink.endpoint, s.job.target) as read:
        assert_same(plain_table(read(), fields), before, fields, "a snapshot before the load")
        s.load(scenario.second())
        assert_same(plain_table(read(), fields), before, fields, "a snapshot after the load")


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_publication_that_is_left_undoes_everything(sink: SinkRig, name: str) -> None:
    scenario = SCENARIOS[name]
    s = _filled(sink, scenario)
    with sink.sink() as connected, connected.lease(s.job.target, s.job.pipeline) as lease:
        attempt = Attempt.begin(sink, s.job, connected, lease)
        with attempt.staged(scenario.second()) as (stage, _):
            with connected.publication(attempt.spec, attempt.load) as publication:
                publication.ensure(attempt.spec.layout, attempt.evolution.changes)
                publication.apply(attempt.program, stage)
            s.check("target after a publication without a commit")
        assert not lease.committed(attempt.load.id)
    s.loads = 1
    s.load(scenario.second())
