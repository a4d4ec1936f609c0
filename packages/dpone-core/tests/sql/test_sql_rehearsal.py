"""Sealing and carrying out on SQLite, where it is more than what the random loads in dpone-certify say."""

from __future__ import annotations

import pytest

from dpone.errors import DataError
from dpone.ops import Append, DeleteAbsent, Guard, Op, Recreate, Upsert
from dpone.oracle import Counts
from dpone.schema import INT64, STRING, Field
from dpone.sql.dialect import Dialect
from dpone.sql.perform import carry_out, validate
from dpone.sql.rehearsal import Rehearsal
from dpone.sql.seal import RawStage, Survey, is_sealed_as_it_came, live_query
from dpone.stage import Change, ChangeKind, Duplicates, Sealing
from dpone.where import Row

COLUMNS = (Field("id", INT64), Field("v", STRING))
NAMES = ("id", "v")
KEYED = Sealing(NAMES, ("id",))
CHANGES = Sealing(NAMES, ("id",), changes=True)
LAX = Guard(1.0, allow_empty=True)


def row(id_: int | None, v: str | None = None) -> Row:
    return {"id": id_, "v": v}


def test_a_stage_without_a_key_is_appended_as_it_came() -> None:
    with Rehearsal(COLUMNS, rows=[row(1, "a")]) as rehearsal:
        staged = rehearsal.seal([Change(row(1, "a")), Change(row(None))], Sealing(NAMES))
        assert rehearsal.apply((Append("x"),), staged, {}) == (Counts(inserted=2),)
        assert rehearsal.rows() == [row(1, "a"), row(1, "a"), row(None)]
        assert rehearsal.apply((Append("x"),), staged, {}) == (Counts(),)


def test_what_each_operation_did_is_told_apart() -> None:
    program = (DeleteAbsent(("id",), guard=LAX), Upsert(("id",)))
    seen: list[Op] = []
    with Rehearsal(COLUMNS, rows=[row(1), row(2), row(3)]) as rehearsal:
        load = rehearsal.seal([Change(row(1, "x")), Change(row(4)), Change(row(3))], KEYED).load
        done = carry_out(program, load, rehearsal.dialect, rehearsal.run, rehearsal.ask, seen.append)
    assert done == (Counts(deleted=1), Counts(inserted=1, updated=1))
    assert seen == list(program)


def test_a_program_that_is_refused_half_way_leaves_the_target_as_it_was() -> None:
    program = (Upsert(("id",)), DeleteAbsent(("id",), guard=Guard(0.1)))
    with Rehearsal(COLUMNS, rows=[row(1), row(2)]) as rehearsal:
        staged = rehearsal.seal([Change(row(1, "x"))], KEYED)
        with pytest.raises(DataError) as caught:
            rehearsal.apply(program, staged, {})
        assert (caught.value.code, rehearsal.rows()) == ("guard.removed_share", [row(1), row(2)])


def test_a_declared_key_holds_no_null_even_where_the_program_does_not_ask() -> None:
    with Rehearsal(COLUMNS) as rehearsal:
        load = rehearsal.seal([Change(row(None))], KEYED).load
        with pytest.raises(DataError) as caught:
            validate((Recreate(LAX),), load, rehearsal.dialect, rehearsal.ask)
    assert caught.value.code == "stage.null_key"


@pytest.mark.parametrize("kind", [ChangeKind.DELETE, ChangeKind.PRESENT])
def test_null_in_a_dead_or_present_key_is_refused(kind: ChangeKind) -> None:
    with Rehearsal(COLUMNS) as rehearsal:
        load = rehearsal.seal([Change(row(None), kind)], CHANGES).load
        with pytest.raises(DataError) as caught:
            validate((Upsert(("id",)),), load, rehearsal.dialect, rehearsal.ask)
    assert caught.value.code == "stage.null_key"


def test_partial_rows_need_an_upsert() -> None:
    partial = Change(row(1), ChangeKind.UPSERT, 1, frozenset({"v"}))
    with Rehearsal(COLUMNS, rows=[row(1, "a")]) as rehearsal:
        staged = rehearsal.seal([partial], CHANGES)
        with pytest.raises(DataError) as caught:
            rehearsal.apply((Append("x"),), staged, {})
        assert caught.value.code == "stage.partial_without_base"
        # once it is laid over a whole row of the same window it is whole, and may be appended
        whole = rehearsal.seal([Change(row(1, "b")), partial], CHANGES)
        assert rehearsal.apply((Append("x"),), whole, {}) == (Counts(inserted=1),)
        assert rehearsal.rows() == [row(1, "a"), row(1, "b")]


def test_a_raw_stage_is_its_own_live_table_when_nothing_is_to_be_reduced() -> None:
    plain, tagged = RawStage("R", COLUMNS), RawStage("R", COLUMNS, tagged=True)
    assert is_sealed_as_it_came(plain, KEYED)
    assert is_sealed_as_it_came(plain, Sealing(NAMES))
    assert not is_sealed_as_it_came(plain, Sealing(NAMES, ("id",), duplicates=Duplicates.LAST))
    assert not is_sealed_as_it_came(tagged, KEYED)


def test_changes_without_partial_rows_are_collapsed_by_one_window() -> None:
    raw = RawStage("R", COLUMNS, tagged=True)
    assert live_query(raw, CHANGES, Survey(9), Dialect()).count(" OVER (") == 1
    # with partial rows: the ranks, their bases and newest entries, twice; one value and one flag per column
    assert " SELECT (" not in live_query(raw, CHANGES, Survey(9, partial=True), Dialect())
