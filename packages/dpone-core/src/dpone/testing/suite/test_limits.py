"""What must be refused before it is seen: rows outside the domain of a program, and loads that remove too much."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dpone.errors import DataError
from dpone.ops import (
    Append,
    DeleteAbsent,
    Grain,
    Guard,
    Hard,
    Program,
    Recreate,
    ReplaceAll,
    ReplaceSlice,
    Upsert,
    Version,
)
from dpone.schema import Schema
from dpone.stage import Change
from dpone.testing.suite.jobs import deliver, next_instant
from dpone.testing.suite.refusals import refused
from dpone.testing.suite.rig import SinkRig
from dpone.testing.suite.shapes import DAY_ZERO, FREE, MIXED, NORTH, changed, gone, nan_of, row, rows
from dpone.testing.suite.streams import Stream, stream, stream_of, tagged
from dpone.testing.testkit import HoldsFiniteFloats
from dpone.where import ORDERED, Compare, Condition

NULLABLE = Schema(MIXED.fields)


def _filled(sink: SinkRig, numbers: range = range(1, 11)) -> Stream:
    """A target with rows of one load, for the programs of later ones."""
    sink.require(Append)
    s = stream_of(sink, (Append("first"),), NULLABLE)
    s.load([row(n, region="north" if n % 2 else "south") for n in numbers])
    return s


def _refuse(s: Stream, program: Program, entries: list[Any], code: str, **load: Any) -> None:
    """The load is refused by this code; target and position are as before."""
    the_job = stream_of(s.rig, program, NULLABLE, target=s.job.target, **load).job
    with refused(code):
        deliver(s.rig, the_job, entries)
    s.check("target after a refused load")
    with s.rig.sink() as connected, connected.lease(s.job.target, s.job.pipeline) as lease:
        assert lease.stored is not None
        assert lease.stored.generation == s.loads


# ---------------------------------------------------------------------------- domain


@pytest.mark.parametrize(
    "program",
    [
        pytest.param((Upsert(("id",)),), id="upsert"),
        pytest.param((DeleteAbsent(("id",), Hard(), FREE),), id="delete_absent"),
        pytest.param((Append("second", ("id",)),), id="append_unless"),
        pytest.param((ReplaceSlice("id", Grain.VALUE, None, FREE),), id="slice"),
        pytest.param((ReplaceSlice("id", Grain.VALUE, (0, 100), FREE),), id="range"),
    ],
)
def test_a_null_where_the_program_needs_a_value_is_refused(sink: SinkRig, program: Program) -> None:
    s = _filled(sink)
    key = () if isinstance(program[0], ReplaceSlice) else ("id",)
    _refuse(s, program, [*rows(1), row(2, id=None)], "stage.null_key", key=key)


def test_a_version_without_a_key_is_refused(sink: SinkRig) -> None:
    sink.require(Version)
    the_job = stream_of(sink, (Version(("id",), next_instant(), ("region",)),), NULLABLE, key=("id",)).job
    with refused("stage.null_key"):
        deliver(sink, the_job, [*rows(1), row(2, id=None)])
    assert not sink.exists(the_job.target)


def test_a_dead_key_that_is_null_is_refused(sink: SinkRig) -> None:
    s = tagged(stream(sink, "incremental_merge", MIXED))
    s.load([changed(1, 1)])
    with refused("stage.null_key"):
        deliver(sink, s.job, [changed(2, 1), Change({**gone(3, 2).row, "id": None}, gone(3, 2).kind, 2)])
    s.check("target after a refused load")


def test_a_row_outside_of_the_filter_is_refused(sink: SinkRig) -> None:
    s = _filled(sink)
    _refuse(s, (ReplaceAll(NORTH, FREE),), [row(20), row(21, region="south")], "stage.outside_where")
    _refuse(s, (ReplaceAll(NORTH, FREE),), [row(20), row(21, region=None)], "stage.outside_where")


def test_a_row_outside_of_the_bounds_is_refused(sink: SinkRig) -> None:
    s = _filled(sink)
    program = (ReplaceSlice("day", Grain.VALUE, (DAY_ZERO, DAY_ZERO + timedelta(days=3)), FREE),)
    for outside in (DAY_ZERO + timedelta(days=3), DAY_ZERO - timedelta(days=1)):
        _refuse(s, program, [row(20, day=DAY_ZERO), row(21, day=outside)], "stage.outside_bounds")


# ----------------------------------------------------------------------------- guard

GUARDED: list[Any] = [
    pytest.param(lambda guard: (Recreate(guard),), id="recreate"),
    pytest.param(lambda guard: (ReplaceAll((), guard),), id="replace_all"),
    pytest.param(lambda guard: (DeleteAbsent(("id",), Hard(), guard),), id="delete_absent"),
    pytest.param(lambda guard: (ReplaceSlice("id", Grain.VALUE, (0, 100), guard),), id="range"),
]


@pytest.mark.parametrize("guarded", GUARDED)
def test_an_empty_stage_does_not_empty_the_target(sink: SinkRig, guarded: Any) -> None:
    s = _filled(sink)
    _refuse(s, guarded(Guard()), [], "guard.empty", key=("id",))
    _refuse(s, guarded(Guard(max_removed_share=1.0)), [], "guard.empty", key=("id",))


@pytest.mark.parametrize("guarded", GUARDED)
def test_a_load_that_removes_more_than_its_share_is_refused(sink: SinkRig, guarded: Any) -> None:
    s = _filled(sink)
    _refuse(s, guarded(Guard(max_removed_share=0.5)), rows(1, 2, 3, 4), "guard.removed_share", key=("id",))


@pytest.mark.parametrize("guarded", GUARDED)
def test_a_load_that_removes_just_its_share_passes(sink: SinkRig, guarded: Any) -> None:
    s = _filled(sink)
    s.job = stream_of(sink, guarded(Guard(max_removed_share=0.5)), NULLABLE, target=s.job.target, key=("id",)).job
    s.load(rows(1, 2, 3, 4, 5))


def test_a_guard_counts_only_rows_in_its_reach(sink: SinkRig) -> None:
    s = _filled(sink)  # five rows are north
    share = Guard(max_removed_share=0.5)
    _refuse(s, (ReplaceAll(NORTH, share),), rows(1, 3), "guard.removed_share")
    _refuse(s, (ReplaceAll(NORTH, Guard()),), [], "guard.empty")
    _refuse(s, (DeleteAbsent(("id",), Hard(), share, NORTH),), rows(1, 3), "guard.removed_share", key=("id",))


def test_a_guard_of_an_empty_target_lets_an_empty_load_pass(sink: SinkRig) -> None:
    s = stream_of(sink, (ReplaceAll(),), NULLABLE)
    s.load([])
    s.load([])


@pytest.mark.parametrize("sign", sorted(ORDERED, key=str))
def test_a_comparison_of_order_is_not_true_of_nan(sink: SinkRig, sign: Compare) -> None:
    sink.require(ReplaceAll)
    nan = nan_of(sink.kit)
    s = stream_of(sink, (ReplaceAll((), FREE),), NULLABLE)
    s.load([row(1, score=nan), row(2, score=1.5), row(3, score=None), row(4, score=-2.5), row(5, score=0.5)])
    where = (Condition("score", sign, 0.5),)
    s.job = stream_of(sink, (ReplaceAll(where, FREE),), NULLABLE, target=s.job.target).job
    s.load([])
    _refuse(s, (ReplaceAll(where, FREE),), [row(6, score=nan)], "stage.outside_where")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")], ids=str)
def test_a_float_that_the_engine_has_no_room_for_is_refused_by_name(sink: SinkRig, value: float) -> None:
    if not (isinstance(sink.kit, HoldsFiniteFloats) and sink.kit.finite_floats):
        pytest.skip(f"{sink.connector.name} holds every float")
    s = _filled(sink, range(1, 3))
    with pytest.raises(DataError) as caught:
        deliver(sink, s.job, [row(3), row(4, score=value)])
    assert caught.value.code.startswith("sink.")
    assert caught.value.hint
    s.check("target after a refused load")
