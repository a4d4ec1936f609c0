"""Two at once: one holds a target, the other is refused or waits, and readers see whole loads only."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from threading import Event

import pytest

from dpone.errors import StateError
from dpone.oracle import Table
from dpone.testing.suite.jobs import Attempt, Delivered, deliver
from dpone.testing.suite.refusals import refused
from dpone.testing.suite.rig import SinkRig
from dpone.testing.suite.shapes import MIXED, row, rows
from dpone.testing.suite.streams import Stream, stream

_A_WHILE = 0.3


def test_a_target_is_leased_to_one_at_a_time(sink: SinkRig) -> None:
    target = sink.target()
    released = Event()

    def second() -> bool:
        """Whether the lease was had after the first one ended."""
        with sink.sink() as connected, connected.lease(target, "second"):
            return released.is_set()

    with ThreadPoolExecutor(1) as pool:
        with sink.sink() as connected, connected.lease(target, "first"):
            attempt = pool.submit(second)
            wait_for([attempt], _A_WHILE)
            if attempt.done():
                _assert_refused(attempt)
            released.set()
        if not attempt.done():
            assert attempt.result(timeout=20), "two leases of one target at once"
    with sink.sink() as connected, connected.lease(target, "third"):
        pass


def _assert_refused(attempt: Future[bool]) -> None:
    error = attempt.exception()
    assert isinstance(error, StateError), f"two leases of one target at once ({error!r})"
    assert error.code == "state.leased"


def test_a_lease_ends_with_its_context_after_an_error_too(sink: SinkRig) -> None:
    target = sink.target()

    class CutError(Exception):
        pass

    def fail() -> None:
        with sink.sink() as connected, connected.lease(target, "first"):
            raise CutError

    for _ in range(2):
        with pytest.raises(CutError):
            fail()


def test_other_targets_can_be_leased_meanwhile(sink: SinkRig) -> None:
    with sink.sink() as one, sink.sink() as two, one.lease(sink.target(), "a"), two.lease(sink.target(), "a"):
        pass


def test_runs_at_the_same_time_leave_the_rows_of_those_that_succeeded(sink: SinkRig) -> None:
    s = stream(sink, "incremental_merge", MIXED)
    s.load(rows(1, 2))

    def run(number: int) -> tuple[list[dict[str, object]], Delivered] | None:
        entries = [row(1, region=f"run {number}"), row(10 + number)]
        try:
            return entries, deliver(sink, s.job, entries)
        except StateError as error:
            if error.code not in {"state.leased", "state.conflict"}:
                raise
            return None

    with ThreadPoolExecutor(4) as pool:
        done = [result for result in pool.map(run, range(6)) if result]
    assert done, "every run was refused"
    for entries, delivered in sorted(done, key=lambda result: result[1].stored.generation):
        s.expect(s.job, entries, delivered.load)
    assert [d.stored.generation for _, d in sorted(done, key=lambda r: r[1].stored.generation)] == list(
        range(2, 2 + len(done))
    )
    s.check("target after concurrent runs")


def test_loads_of_different_targets_do_not_disturb_each_other(sink: SinkRig) -> None:
    streams = [stream(sink, "incremental_merge", MIXED) for _ in range(4)]

    def run(s: Stream) -> Table:
        for number in range(3):
            s.load([row(number), row(number + 1, region=str(number))])
        return s.table

    with ThreadPoolExecutor(4) as pool:
        assert all(table.rows for table in pool.map(run, streams))


def test_a_writer_that_lost_its_lease_cannot_commit(sink: SinkRig) -> None:
    """A run that was held up (a paused process, a cut network) comes back after another one committed."""
    s = stream(sink, "incremental_merge", MIXED)
    s.load(rows(1, 2))

    with sink.sink() as connected:
        with connected.lease(s.job.target, "suite") as lease:
            held_up = Attempt.begin(sink, s.job, connected, lease)
        s.load([row(2, region="meanwhile")])
        with refused("state.conflict", "state.leased", "sink.concurrent_writer"):
            _finish_late(held_up)
    s.check("target after a late writer")


def _finish_late(attempt: Attempt) -> None:

    with attempt.staged([row(1, region="late")]) as (stage, _):
        attempt.publish(stage, None)
