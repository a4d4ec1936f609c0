from __future__ import annotations

import pytest

from dpone.connector import INSTANT, AddColumn, CreateTarget, Layout, RelaxColumn, Role, SystemColumn, WidenColumn
from dpone.errors import PlanError
from dpone.evolution import Dropped, NewColumns, Policy, Widened, evolve
from dpone.schema import Field, Schema, parse_type

SIZES = ["int16", "int32", "int64"]


def widens(old: str, new: str) -> bool:
    return old in SIZES and new in SIZES and SIZES.index(old) < SIZES.index(new)


def layout(*columns: str, system: tuple[SystemColumn, ...] = ()) -> Layout:
    """`name type` for a nullable column, `name type!` for one that is not."""
    fields = []
    for column in columns:
        name, kind = column.split()
        fields.append(
            Field(name, parse_type(kind.rstrip("!")), nullable="!" not in kind, native=f"fake:{kind.rstrip('!')}")
        )
    return Layout(Schema(tuple(fields)), system)


FLAG = SystemColumn(Role.DELETED_AT, Field("_dpone_deleted_at", INSTANT, native="fake:timestamptz(6)"))


def test_an_absent_target_is_created_as_wanted() -> None:
    wanted = layout("id int64!")
    found = evolve(None, wanted, Policy(), widens)
    assert found.changes == (CreateTarget(),)
    assert found.layout == wanted


def test_natives_are_compared_as_the_engine_spells_them() -> None:
    asked = []

    def record(old: str, new: str) -> bool:
        asked.append((old, new))
        return True

    nested = Layout(Schema((Field("v", parse_type("struct<a:int64>")),)))  # as a target that names no natives has it
    evolve(layout("v struct<a:int32>"), layout("v struct<a:int64>"), Policy(), record)
    evolve(nested, layout("v struct<a:int64>"), Policy(), record)
    evolve(nested, layout("v struct<b:int64>"), Policy(), record)
    assert asked == [("struct<a:int64>", "struct<a:int32>"), ("struct<b:int64>", "struct<a:int64>")]


def test_an_equal_target_needs_nothing() -> None:
    assert evolve(layout("id int64!", "v string"), layout("id int64!", "v string"), Policy(), widens).changes == ()


def test_a_new_column_is_added_as_nullable_ignored_or_refused() -> None:
    current, wanted = layout("id int64!"), layout("id int64!", "v string!")
    added = evolve(current, wanted, Policy(), widens)
    assert [type(c) for c in added.changes] == [AddColumn]
    assert added.layout.schema["v"].nullable
    ignored = evolve(current, wanted, Policy(new_columns=NewColumns.IGNORE), widens)
    assert (ignored.changes, ignored.columns) == ((), ("id",))
    with pytest.raises(PlanError) as caught:
        evolve(current, wanted, Policy(new_columns=NewColumns.REFUSE), widens)
    assert caught.value.code == "plan.schema_evolution"


def test_a_wider_type_widens_a_narrower_one_is_taken_as_it_is_another_is_refused() -> None:
    widened = evolve(layout("n int32!"), layout("n int64!"), Policy(), widens)
    assert [type(c) for c in widened.changes] == [WidenColumn]
    assert widened.layout.schema["n"].native == "fake:int64"
    kept = evolve(layout("n int64!"), layout("n int32!"), Policy(), widens)
    assert kept.changes == ()
    assert kept.layout.schema["n"].native == "fake:int64"
    with pytest.raises(PlanError) as caught:
        evolve(layout("n int64"), layout("n string"), Policy(), widens)
    assert caught.value.code == "plan.incompatible_column"
    with pytest.raises(PlanError) as refused:
        evolve(layout("n int32"), layout("n int64"), Policy(widened=Widened.REFUSE), widens)
    assert refused.value.code == "plan.schema_evolution"


def test_a_column_that_may_now_be_null_relaxes_the_target() -> None:
    found = evolve(layout("v string!"), layout("v string"), Policy(), widens)
    assert found.changes == (RelaxColumn("v"),)
    assert found.layout.schema["v"].nullable


def test_a_dropped_column_asks_and_then_stays() -> None:
    current, wanted = layout("id int64!", "v string!"), layout("id int64!")
    with pytest.raises(PlanError) as caught:
        evolve(current, wanted, Policy(), widens)
    assert "dropped: keep" in (caught.value.hint or "")
    kept = evolve(current, wanted, Policy(dropped=Dropped.KEEP), widens)
    assert kept.changes == (RelaxColumn("v"),)  # new rows have no value for it
    assert kept.columns == ("id",)


def test_a_system_column_is_added_once_and_never_counts_as_content() -> None:
    wanted = layout("id int64!", system=(FLAG,))
    first = evolve(layout("id int64!"), wanted, Policy(), widens)
    assert first.changes == (AddColumn(FLAG.field),)
    again = evolve(layout("id int64!", "_dpone_deleted_at timestamptz(6)"), wanted, Policy(), widens)
    assert again.changes == ()
    assert again.columns == ("id",)
    assert again.layout.schema.names == ("id",)


def test_a_program_that_recreates_takes_the_wanted_layout_whatever_was_there() -> None:
    found = evolve(layout("n int64", "old string"), layout("n string"), Policy(), widens, recreates=True)
    assert (found.changes, found.layout) == ((), layout("n string"))
