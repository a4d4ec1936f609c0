"""Sealing and carrying out on SQLite, where it is more than what the random loads in dpone-certify say."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from dpone.errors import DataError
from dpone.ops import Append, DeleteAbsent, Guard, Op, Program, Recreate, ReplaceAll, ReplaceSlice, Upsert
from dpone.oracle import Counts
from dpone.schema import INT64, STRING, Field, timestamptz
from dpone.sql.dialect import Dialect
from dpone.sql.load import SqlLoad
from dpone.sql.perform import carry_out, validate
from dpone.sql.questions import refuse_outside
from dpone.sql.rehearsal import Rehearsal
from dpone.sql.seal import RawStage, Survey, is_sealed_as_it_came, live_query
from dpone.sql.sqlite import SqliteDialect
from dpone.sql.statement import Counted, Statement
from dpone.stage import Change, ChangeKind, Duplicates, Sealing, seal
from dpone.where import Compare, Condition, Row

COLUMNS = (Field("id", INT64), Field("v", STRING))
NAMES = ("id", "v")
KEYED = Sealing(NAMES, ("id",))
CHANGES = Sealing(NAMES, ("id",), changes=True)
AT = datetime(2024, 1, 1, tzinfo=UTC)
LAX = Guard(1.0, allow_empty=True)


def row(id_: int | None, v: str | None = None) -> Row:
    return {"id": id_, "v": v}


def test_a_stage_without_a_key_is_appended_as_it_came() -> None:
    with Rehearsal(COLUMNS, rows=[row(1, "a")]) as rehearsal:
        staged = rehearsal.seal([Change(row(1, "a")), Change(row(None))], Sealing(NAMES))
        assert rehearsal.apply((Append("x"),), staged, {}) == (Counts(inserted=2),)
        assert rehearsal.rows() == [row(1, "a"), row(1, "a"), row(None)]
        assert rehearsal.apply((Append("x"),), staged, {}) == (Counts(),)


def test_a_rehearsal_leaves_nothing_behind() -> None:
    with Rehearsal(COLUMNS) as rehearsal:
        assert rehearsal.rows() == []
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        rehearsal.rows()


def test_a_load_that_was_refused_is_not_remembered() -> None:
    program = (Append("x"), DeleteAbsent(("id",), guard=Guard(0.1)))
    with Rehearsal(COLUMNS, rows=[row(2)]) as rehearsal:
        staged = rehearsal.seal([Change(row(1))], KEYED)
        with pytest.raises(DataError):
            rehearsal.apply(program, staged, {})
        assert rehearsal.apply((Append("x"),), staged, {}) == (Counts(inserted=1),)
        assert rehearsal.apply((Append("y"),), staged, {}) == (Counts(inserted=1),)
        assert rehearsal.rows() == [row(2), row(1), row(1)]


def test_stamps_stand_beside_the_rows_of_a_load() -> None:
    system = (Field("load", STRING), Field("at", timestamptz()))
    with Rehearsal(COLUMNS, system, [{**row(1), "load": "old"}]) as rehearsal:
        staged = rehearsal.seal([Change(row(2, "b"))], KEYED)
        rehearsal.apply((Append("x"),), staged, {"load": "x", "at": AT})
        assert rehearsal.rows() == [{**row(1), "load": "old", "at": None}, {**row(2, "b"), "load": "x", "at": AT}]


def test_a_sealed_stage_is_what_sealing_in_memory_answers() -> None:
    entries = [
        Change(row(1, "a"), seq=1),
        Change(row(2), ChangeKind.DELETE, 2),
        Change(row(3), seq=3, kept=frozenset({"v"})),
        Change(row(4), ChangeKind.PRESENT, 4),
    ]
    with Rehearsal(COLUMNS) as rehearsal:
        for tail in ([], [Change(row(None), ChangeKind.TRUNCATE, 5), Change(row(6, "f"), seq=6)]):
            how, stamps = CHANGES, {"load": "x"}
            staged = rehearsal.seal([*entries, *tail], how)
            assert staged.received == len(entries) + len(tail)
            assert rehearsal.sealed(staged, stamps) == replace(seal([*entries, *tail], how), stamps=stamps)
            assert rehearsal.sealed(staged).stamps == {}
        scan = [Change(row(1, "a")), Change(row(4), ChangeKind.PRESENT)]
        assert rehearsal.sealed(rehearsal.seal(scan, KEYED, tagged=True)) == seal(scan, KEYED)
        plain = rehearsal.seal(scan[:1], KEYED)
        assert plain.load.present is None  # which only a tagged stage may hold
        assert rehearsal.sealed(plain) == seal(scan[:1], KEYED)


def test_a_statement_that_answers_its_counts_is_asked() -> None:
    class Merging(SqliteDialect):
        def upsert(self, op: Upsert, load: SqlLoad) -> tuple[Statement, ...]:
            return *super().upsert(op, load), Statement("SELECT '2', 3", Counted.ANSWERED), Statement("SELECT 1")

    with Rehearsal(COLUMNS, rows=[row(1)]) as rehearsal:
        load = rehearsal.seal([Change(row(1, "x")), Change(row(2))], KEYED).load
        done = carry_out((Upsert(("id",)),), load, Merging(), rehearsal.run, rehearsal.ask)
    assert done == (Counts(inserted=1 + 2, updated=1 + 3),)


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


JANUARY = (Condition("id", Compare.LT, 10),)


@pytest.mark.parametrize(
    "program,ids,code,rows",
    [
        ((Upsert(("id",)),), [1, None, None], "stage.null_key", 2),
        ((ReplaceAll(JANUARY, LAX),), [1, 10, 11, 12], "stage.outside_where", 3),
        ((ReplaceSlice("id", bounds=(1, 5), guard=LAX),), [0, 1, 4, 5], "stage.outside_bounds", 2),
        # the first demand that is broken counts, whatever the order of the rows
        ((ReplaceSlice("id", bounds=(1, 5), guard=LAX), ReplaceAll(JANUARY, LAX)), [7, 10], "stage.outside_where", 1),
    ],
)
def test_rows_outside_of_the_domain_are_counted(program: Program, ids: list[int | None], code: str, rows: int) -> None:
    with Rehearsal(COLUMNS) as rehearsal:
        load = rehearsal.seal([Change(row(id_)) for id_ in ids], Sealing(NAMES)).load
        with pytest.raises(DataError) as caught:
            validate(program, load, rehearsal.dialect, rehearsal.ask)
    assert caught.value.code == code
    assert caught.value.message == f"{rows} staged rows are outside the domain of the program"
    assert caught.value.context == {"rows": rows}


def test_an_answer_that_is_not_one_per_demand_is_no_answer() -> None:
    refuse_outside((0, 0, 0))
    with pytest.raises(ValueError, match="zip"):
        refuse_outside((0, 0))


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
        assert caught.value.message == "partial rows need an upsert"
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
