"""Targets that change their shape: columns added, widened, relaxed and left behind, and nothing changed that was not
asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from dpone.connector import AddColumn, CreateTarget, RelaxColumn, WidenColumn
from dpone.errors import PlanError
from dpone.ops import Append, Flag, ReplaceAll, Upsert
from dpone.schema import FLOAT32, FLOAT64, INT16, INT32, INT64, STRING, Field, Schema, Type, decimal, string
from dpone.testing.suite.jobs import deliver, next_instant
from dpone.testing.suite.places import at
from dpone.testing.suite.rig import SinkRig
from dpone.testing.suite.scenarios import SCENARIOS
from dpone.testing.suite.shapes import FREE, MIXED, row, rows
from dpone.testing.suite.streams import Stream, stream, stream_of

NARROW = Schema((Field("id", INT64, nullable=False), Field("region", STRING)), key=("id",))


def _with(s: Stream, schema: Schema) -> Stream:
    s.job = replace(s.job, schema=schema)
    return s


def _merge(sink: SinkRig, schema: Schema) -> Stream:
    return stream_of(sink, (Upsert(("id",)),), schema, key=("id",))


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_target_is_found_as_it_was_made(sink: SinkRig, name: str) -> None:
    """`inspect` says what was ensured, so a second load of the same shape changes nothing."""
    scenario = SCENARIOS[name]
    s = Stream(sink, scenario.job(sink, sink.target()))
    first = s.load(scenario.first())
    assert CreateTarget() in first.changes
    with sink.sink() as connected:
        layout = connected.inspect(s.job.target)
    assert layout is not None
    system = {c.field.name for c in first.layout.system}
    assert system <= {*layout.schema.names, *(c.field.name for c in layout.system)}
    found = [f for f in layout.schema if f.name not in system]  # an engine cannot know what a column is for
    made = first.layout.schema
    assert [(f.name, f.native, f.nullable) for f in found] == [(f.name, f.native, f.nullable) for f in made]
    assert list(s.load(scenario.second()).changes) == []


def test_columns_are_added(sink: SinkRig) -> None:
    s = _merge(sink, NARROW)
    s.load([{"id": 1, "region": "a"}, {"id": 2, "region": "b"}, {"id": 3, "region": "c"}])
    done = _with(s, MIXED).load([row(2), row(4)])
    assert [type(c) for c in done.changes] == [AddColumn] * 4
    assert list(s.load([row(3, score=None)]).changes) == []


def test_a_column_that_the_source_requires_is_added_as_one_that_may_be_null(sink: SinkRig) -> None:
    s = _merge(sink, NARROW)
    s.load([{"id": 1, "region": "a"}])
    _with(s, Schema((*NARROW.fields, Field("required", INT64, nullable=False)), NARROW.key))
    s.load([{"id": 2, "region": "b", "required": 5}])


def test_columns_that_the_source_lost_stay(sink: SinkRig) -> None:
    s = _merge(sink, Schema((*MIXED.fields, Field("gone", INT64, nullable=False)), MIXED.key))
    s.load([row(1, gone=1), row(2, gone=2)])
    done = _with(s, MIXED).load([row(2, region="x"), row(3)])
    assert list(done.changes) == [RelaxColumn("gone")]


def test_a_required_column_is_relaxed(sink: SinkRig) -> None:
    s = _merge(sink, Schema((NARROW["id"], Field("region", STRING, nullable=False)), NARROW.key))
    s.load([{"id": 1, "region": "a"}])
    done = _with(s, NARROW).load([{"id": 2, "region": None}])
    assert list(done.changes) == [RelaxColumn("region")]


WIDENINGS: list[Any] = [
    pytest.param(INT16, INT64, [1, -32768, None], [2**62], id="int16_to_int64"),
    pytest.param(INT16, INT32, [1, -32768, None], [2**30], id="int16_to_int32"),
    pytest.param(INT32, INT64, [1, -(2**31), None], [2**62], id="int32_to_int64"),
    pytest.param(FLOAT32, FLOAT64, [0.5, None, -1.25], [0.1], id="float32_to_float64"),
    pytest.param(
        decimal(9, 2), decimal(18, 4), [Decimal("1.25"), None], [Decimal("12345678901234.0001")], id="decimal"
    ),
    pytest.param(string(5), STRING, ["abcde", "", None], ["größer" * 20], id="string_without_limit"),
    pytest.param(string(5), string(50), ["abcde", "", None], ["größer" * 5], id="string_longer"),
]


@pytest.mark.parametrize("old, new, before, after", WIDENINGS)
def test_a_column_is_widened_and_keeps_its_values(
    sink: SinkRig, old: Type, new: Type, before: Sequence[object], after: Sequence[object]
) -> None:
    types = sink.connector.types
    was, becomes = (types.land(Field("value", t)).native for t in (old, new))
    if was == becomes:
        pytest.skip(f"{sink.connector.name} keeps both as {was}")
    if not types.widens(was, becomes):
        pytest.skip(f"{sink.connector.name} does not widen {was} to {becomes}")
    sink.require(Append)
    shape = (Field("id", INT64, nullable=False), Field("value", old))
    s = stream_of(sink, (Append("first"),), Schema(shape))
    s.load([{"id": i, "value": v} for i, v in enumerate(before)])
    s.job = stream_of(sink, (Append("second"),), Schema((shape[0], Field("value", new))), target=s.job.target).job
    done = s.load([{"id": 10 + i, "value": v} for i, v in enumerate(after)])
    assert [type(c) for c in done.changes] == [WidenColumn]
    s.job = stream_of(sink, (Append("third"),), Schema(shape), target=s.job.target).job
    s.fields = (shape[0], Field("value", new))
    assert list(s.load([{"id": 20, "value": before[0]}]).changes) == [], "a wider column takes the values as it is"


def test_a_column_of_another_kind_is_refused(sink: SinkRig) -> None:
    sink.require(ReplaceAll)
    s = stream_of(sink, (ReplaceAll((), FREE),), MIXED)
    s.load(rows(1, 2))
    other = Schema((*(f for f in MIXED if f.name != "score"), Field("score", STRING)))
    s.job = replace(s.job, schema=other)
    before, counted = s.fields, s.loads
    with pytest.raises(PlanError):
        s.load([row(1, score="text")])
    s.fields, s.loads = before, counted - 1
    s.check("target after a refused change")


def test_a_flag_is_added_when_deletes_come_to_be_flagged(sink: SinkRig) -> None:
    s = stream(sink, "snapshot_diff", MIXED, guard=FREE)
    s.load(rows(1, 2, 3))
    s.load(rows(1), deletes=Flag("deleted_at", next_instant()))
    s.load(rows(1, 2), deletes=Flag("deleted_at", next_instant()))


def test_a_failed_load_leaves_a_target_that_still_takes_loads(sink: SinkRig) -> None:
    class CutError(Exception):
        pass

    def cut() -> None:
        raise CutError

    s = _merge(sink, NARROW)
    s.load([{"id": 1, "region": "a"}])
    wider = replace(s.job, schema=MIXED)
    for place in ("after_ensure", "after_each_op", "after_save_position"):
        with pytest.raises(CutError), at(place, cut):
            deliver(sink, wider, [row(2)])
    _with(s, MIXED).load([row(2), row(3)])
