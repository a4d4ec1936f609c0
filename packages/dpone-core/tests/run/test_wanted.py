"""The layout that a load asks for."""

from __future__ import annotations

from datetime import UTC, datetime

from dpone.connector import Column, Dataset, Target
from dpone.plan import End, Plan, PlannedColumn
from dpone.schema import DATE, INT64, STRING, Field
from dpone.strategies import Load
from dpone.testing.memory.typemap import TYPES


def test_what_tells_slices_apart_is_required_as_the_key_is() -> None:
    fields = (Field("id", INT64), Field("day", DATE), Field("note", STRING))
    columns = tuple(PlannedColumn(Column(f.name, f.name), f, f, TYPES.land(f)) for f in fields)
    names = tuple(f.name for f in fields)
    load = Load("", datetime(2026, 1, 1, tzinfo=UTC), names, ("id",), slice_column="day")
    plan = Plan(
        pipeline="p",
        source=End("memory", "s"),
        sink=End("memory", "t"),
        dataset=Dataset(("s",)),
        target=Target(("t",)),
        strategy="partition_replace",
        columns=columns,
        load=load,
    )
    layout = plan.wanted(load, TYPES.land)
    assert layout.schema.key == ("id", "day")
    assert [f.nullable for f in layout.schema] == [False, False, True]
