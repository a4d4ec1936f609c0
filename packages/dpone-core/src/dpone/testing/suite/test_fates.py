"""What becomes of a stage: whichever fate is chosen, the target ends with the same rows."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from dpone.connector import Fate
from dpone.ops import Append, Program, Recreate
from dpone.testing.suite.rig import SinkRig
from dpone.testing.suite.shapes import FREE, MIXED, holdable, row, rows
from dpone.testing.suite.streams import Stream, stream_of

PROGRAMS: dict[Fate, Program] = {
    Fate.ADOPT: (Recreate(FREE),),
    Fate.DIRECT: (Append("one"),),
    Fate.SCRATCH: (Recreate(FREE),),
}


def _stream(sink: SinkRig, fate: Fate) -> Stream:
    if fate not in sink.spec_of_sink.fates:
        pytest.skip(f"{sink.connector.name} has no stage of the fate {fate.value}")
    s = stream_of(sink, PROGRAMS[fate], MIXED)
    s.job = replace(s.job, fate=fate, audit=True)
    return s


@pytest.mark.parametrize("fate", Fate)
def test_a_stage_of_each_fate_lands(sink: SinkRig, fate: Fate) -> None:
    s = _stream(sink, fate)
    s.load(holdable(sink.kit, [row(1, region=None, amount=None, score=float("nan")), row(2)]))
    if fate is Fate.DIRECT:
        s.job = replace(s.job, program=lambda _: (Append("two"),))
    s.load(rows(2, 3, 4))


@pytest.mark.parametrize("fate", Fate)
def test_an_empty_stage_of_each_fate_lands(sink: SinkRig, fate: Fate) -> None:
    s = _stream(sink, fate)
    s.load([])
    if fate is Fate.DIRECT:
        s.job = replace(s.job, program=lambda _: (Append("two"),))
    s.load(rows(1))


@pytest.mark.parametrize("fate", Fate)
def test_a_target_is_written_on_after_each_fate(sink: SinkRig, fate: Fate) -> None:
    sink.require(Append)
    s = _stream(sink, fate)
    s.load(rows(1, 2))
    s.job = replace(s.job, fate=Fate.SCRATCH, program=lambda _: (Append("after"),))
    s.load(rows(3))
