"""Positions, generations, ledgers: saved with the rows, compared before they are replaced, found again afterwards."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from dpone.connector import Chunk, Manages, Position, Stored
from dpone.errors import StateError
from dpone.ops import Append
from dpone.strategies import Read
from dpone.testing.suite.jobs import Attempt, Job, deliver, stored_of
from dpone.testing.suite.refusals import refused
from dpone.testing.suite.rig import SinkRig
from dpone.testing.suite.shapes import FREE, MIXED, row, rows
from dpone.testing.suite.streams import Stream, stream, stream_of
from dpone.testing.testkit import RemovesTargets, TampersWithState

TOKENS: list[Any] = [
    pytest.param({"cursor": "2026-01-01T00:00:00.123456789Z"}, id="text"),
    pytest.param({"lsn": 2**63 - 1, "xmin": "18446744073709551615"}, id="numbers"),
    pytest.param({"partitions": {"0": 12, "1": None}, "list": [1, [2, {"a": True}]]}, id="nested"),
    pytest.param({"größe": 'it\'s "quoted" \\ {0} %s $1 \n 表'}, id="hostile"),
    pytest.param({}, id="empty"),
]


def _merge(sink: SinkRig) -> Stream:
    return stream(sink, "incremental_merge", MIXED)


def test_a_new_target_has_no_state(sink: SinkRig) -> None:
    the_job = _merge(sink).job
    with sink.sink() as connected, connected.lease(the_job.target, "suite") as lease:
        assert lease.stored is None
        assert list(lease.others) == []
        assert not lease.committed("load-1")
        assert lease.chunks("plan") == frozenset()
        assert connected.inspect(the_job.target) is None


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("kind", [Read.SINCE, Read.CHANGES])
def test_a_position_is_found_as_it_was_saved(sink: SinkRig, kind: Read, token: dict[str, Any]) -> None:
    the_job = _merge(sink).job
    position = Position(kind, token)
    deliver(sink, the_job, rows(1), load_id="first", position=position)
    assert stored_of(sink, the_job) == Stored(position, 1, "first")


def test_each_commit_raises_the_generation_by_one(sink: SinkRig) -> None:
    s = _merge(sink)
    for expected in (1, 2, 3):
        s.load(rows(expected))
        stored = stored_of(sink, s.job)
        assert stored is not None
        assert stored.generation == expected


def test_a_load_without_a_position_is_remembered_too(sink: SinkRig) -> None:
    the_job = _merge(sink).job
    deliver(sink, the_job, rows(1), load_id="first")
    assert stored_of(sink, the_job) == Stored(None, 1, "first")


def test_an_empty_load_moves_the_position_and_nothing_else(sink: SinkRig) -> None:
    s = _merge(sink)
    s.load(rows(1, 2))
    s.load([])
    stored = stored_of(sink, s.job)
    assert stored is not None
    assert stored.position == Position(Read.SINCE, {"load": 2})


def test_an_empty_first_load_makes_the_target(sink: SinkRig) -> None:
    s = _merge(sink)
    s.load([])
    assert sink.exists(s.job.target)
    s.load(rows(1))


def test_the_ledger_knows_each_load_of_its_target_alone(sink: SinkRig) -> None:
    first, second = _merge(sink).job, _merge(sink).job
    for load_id in ("one", "two"):
        deliver(sink, first, rows(1), load_id=load_id)
    deliver(sink, second, rows(1), load_id="three")
    with sink.sink() as connected:
        with connected.lease(first.target, "suite") as lease:
            assert [lease.committed(i) for i in ("one", "two", "three", "four")] == [True, True, False, False]
        with connected.lease(second.target, "suite") as lease:
            assert [lease.committed(i) for i in ("one", "two", "three")] == [False, False, True]


# ------------------------------------------------------------------ compare and set


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda _: None, id="none"),
        pytest.param(lambda stored: replace(stored, generation=stored.generation - 1), id="older_generation"),
        pytest.param(lambda stored: replace(stored, generation=stored.generation + 1), id="later_generation"),
    ],
)
def test_a_position_that_was_moved_meanwhile_is_a_conflict(sink: SinkRig, wrong: Any) -> None:
    s = _merge(sink)
    s.load(rows(1, 2))
    s.load(rows(2, 3))
    before = stored_of(sink, s.job)
    with refused("state.conflict"):
        _deliver_expecting(s.rig, s.job, wrong(before), [row(1, region="conflict")])
    s.check("target after a conflict")
    assert stored_of(sink, s.job) == before


def test_a_first_load_that_is_not_the_first_is_a_conflict(sink: SinkRig) -> None:
    s = stream_of(sink, (Append("other"),), MIXED)
    s.load(rows(1))
    with refused("state.conflict"):
        _deliver_expecting(s.rig, stream_of(sink, (Append("x"),), MIXED, target=s.job.target).job, None, rows(2))
    s.check("target after a conflict")


def _deliver_expecting(sink: SinkRig, the_job: Job, expected: Stored | None, entries: list[dict[str, object]]) -> None:
    """A load that believes the state to be `expected`."""
    with sink.sink() as connected, connected.lease(the_job.target, the_job.pipeline) as lease:
        attempt = Attempt.begin(sink, the_job, connected, lease)
        with attempt.staged(entries) as (stage, _):
            attempt.publish(stage, None, believed=(expected,))


def test_the_same_load_again_does_not_double_it(sink: SinkRig) -> None:
    """Its answer was lost, and it is published again: a refusal or nothing, but never twice."""
    s = stream_of(sink, (Append("the-load"),), MIXED)
    s.load(rows(1, 2))
    committed = stored_of(sink, s.job)
    assert committed is not None
    try:
        with sink.sink() as connected, connected.lease(s.job.target, s.job.pipeline) as lease:
            attempt = Attempt.begin(sink, s.job, connected, lease, load_id=committed.load_id)
            with attempt.staged(rows(1, 2)) as (stage, _):
                attempt.publish(stage, committed.position, believed=(None,))
    except StateError:
        pass
    s.check("target after the same load again")
    assert stored_of(sink, s.job) == committed


# ---------------------------------------------------------------------- pipelines


def test_pipelines_of_one_target_have_positions_of_their_own(sink: SinkRig) -> None:
    s = stream(sink, "incremental_append", MIXED)
    s.load(rows(1))
    other = replace(s.job, pipeline='o\'ther "pipe"; --')
    position = Position(Read.SINCE, {"other": 1})
    done = deliver(sink, other, rows(2), position=position)
    s.expect(s.job, rows(2), done.load)
    s.check()
    with sink.sink() as connected:
        with connected.lease(s.job.target, "suite") as lease:
            assert list(lease.others) == [other.pipeline]
            assert lease.stored is not None
            assert lease.stored.position == Position(Read.SINCE, {"load": 1})
        with connected.lease(s.job.target, other.pipeline) as lease:
            assert list(lease.others) == ["suite"]
            assert lease.stored == Stored(position, 1, done.load.id)


def test_chunks_are_remembered_until_the_last(sink: SinkRig) -> None:
    s = stream(sink, "incremental_append", MIXED)
    known = []
    for number, chunk in enumerate([Chunk("p", "a"), Chunk("p", "b'\""), Chunk("q", "a"), Chunk("p", "c", last=True)]):
        deliver(sink, s.job, rows(number), chunk=chunk)
        with sink.sink() as connected, connected.lease(s.job.target, "suite") as lease:
            known.append((lease.chunks("p"), lease.chunks("q")))
    a, q = frozenset({"a"}), frozenset({"a"})
    assert known == [(a, frozenset()), (a | {"b'\""}, frozenset()), (a | {"b'\""}, q), (frozenset(), q)]


def test_chunks_are_published_one_after_another_under_one_lease(sink: SinkRig) -> None:
    s = stream_of(sink, (Append("unused"),), MIXED)
    with sink.sink() as connected, connected.lease(s.job.target, "suite") as lease:
        stored = lease.stored
        for number in (1, 2, 3):
            the_job = stream_of(sink, (Append(f"chunk-{number}"),), MIXED, target=s.job.target).job
            attempt = Attempt.begin(sink, the_job, connected, lease)
            with attempt.staged(rows(number)) as (stage, _):
                chunk = Chunk("p", str(number), last=number == 3)  # noqa: PLR2004 - the third of three
                _, stored = attempt.publish(stage, None, chunk, believed=(stored,))
            s.expect(the_job, rows(number), attempt.load)
    s.check()


# -------------------------------------------------------------------- other hands


def test_an_operator_changes_a_position(sink: SinkRig) -> None:
    s = _merge(sink)
    s.load(rows(1))
    wanted = Position(Read.SINCE, {"set": "by hand"})
    with sink.sink() as connected:
        if not isinstance(connected, Manages):
            pytest.skip(f"{sink.connector.name} does not let its positions be changed")
        connected.set_position(s.job.target, "suite", wanted)
    changed = stored_of(sink, s.job)
    assert changed is not None
    assert changed.position == wanted
    with sink.sink() as connected:
        assert isinstance(connected, Manages)
        connected.set_position(s.job.target, "suite", None)
    forgotten = stored_of(sink, s.job)
    assert forgotten is None or forgotten.position is None
    s.check("target, which an operator's change does not touch")
    deliver(sink, s.job, rows(1))
    s.check()


def test_state_that_was_lost_is_found_in_the_marker(sink: SinkRig) -> None:
    s = _published(sink)
    chunk = Chunk("p", "a")
    s.load(rows(1))
    done = deliver(sink, s.job, rows(2), position=Position(Read.SINCE, {"load": 2}), chunk=chunk)
    s.expect(s.job, rows(2), done.load)
    assert isinstance(sink.kit, TampersWithState)
    sink.kit.forget_state(sink.endpoint, s.job.target)
    with sink.sink() as connected, connected.lease(s.job.target, "suite") as lease:
        assert lease.stored == done.stored
        assert lease.committed(done.load.id)
        assert lease.chunks("p") == frozenset({"a"})
    s.loads += 1
    s.load(rows(3))


def test_state_without_a_marker_is_not_believed(sink: SinkRig) -> None:
    s = _published(sink)
    s.load(rows(1))
    assert isinstance(sink.kit, TampersWithState)
    sink.kit.forget_marker(sink.endpoint, s.job.target)
    try:
        found = stored_of(sink, s.job)
    except StateError:
        return
    assert found is None, f"{found} was believed, and nothing says that the target's rows are those of that load"


def test_a_removed_target_is_whole_after_a_full_refresh(sink: SinkRig) -> None:
    s = stream(sink, "full_refresh", MIXED, guard=FREE)
    deliver(sink, s.job, rows(1, 2, 3))
    _remove(s)
    if sink.spec_of_sink.atomic == "publish":  # the truth about its loads was on the target
        with refused("state.marker_missing"):
            deliver(sink, s.job, rows(1, 2))
        with sink.sink() as connected:
            assert isinstance(connected, Manages)
            connected.set_position(s.job.target, "suite", None)
    deliver(sink, s.job, rows(1, 2))  # which the target held already
    sink.assert_rows(s.job.target, rows(1, 2), MIXED.fields)
    deliver(sink, s.job, rows(2, 3))
    sink.assert_rows(s.job.target, rows(2, 3), MIXED.fields)


def test_a_removed_target_is_not_filled_with_a_window(sink: SinkRig) -> None:
    s = _merge(sink)
    s.load(rows(1, 2))
    _remove(s)
    expected = "state.marker_missing" if sink.spec_of_sink.atomic == "publish" else "state.target_missing"
    with refused(expected):
        s.load(rows(3))


def _remove(s: Stream) -> None:
    kit, target = s.rig.kit, s.job.target
    if not isinstance(kit, RemovesTargets):
        pytest.skip(f"the testkit of {s.rig.connector.name} removes no targets")
    kit.remove(s.rig.endpoint, target)


def _published(sink: SinkRig) -> Stream:
    if sink.spec_of_sink.atomic != "publish":
        pytest.skip(f"{sink.connector.name} does not publish, so it has no marker")
    assert isinstance(sink.kit, TampersWithState), "the testkit of a sink that publishes can lose state and marker"
    return _merge(sink)


def test_a_full_refresh_keeps_the_state_too(sink: SinkRig) -> None:
    s = stream(sink, "full_refresh", MIXED, guard=FREE)
    for number in (1, 2):
        s.load(rows(number))
        stored = stored_of(sink, s.job)
        assert stored is not None
        assert stored.generation == number
