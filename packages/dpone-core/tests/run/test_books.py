"""What every sink keeps of a target beside it, and refuses alike."""

from __future__ import annotations

import pytest

from dpone.books import (
    HeldLease,
    exchanges_all,
    is_own,
    position_texts,
    read_stored,
    refuse_conflict,
    shape_of,
    stored_json,
    stored_of,
)
from dpone.connector import Commit, Position, Stored
from dpone.errors import StateError
from dpone.ops import Append, Guard, Op, Recreate, ReplaceAll
from dpone.strategies import Read
from dpone.where import Compare, Condition

AT = Position(Read.SINCE, {"column": "id", "value": "7"})
FREE = Guard(1.0, allow_empty=True)


def test_a_lease_knows_its_own_position_and_the_other_pipelines() -> None:
    mine, other = Stored(AT, 3, "l3"), Stored(None, 1, "l1")
    lease = HeldLease({"mine": mine, "b": other, "a": other}, "mine", lambda load_id: load_id == "l3", frozenset)
    assert (lease.stored, lease.others) == (mine, ("a", "b"))
    assert (lease.committed("l3"), lease.committed("l4")) == (True, False)
    assert HeldLease({"a": other}, "mine", bool, frozenset).stored is None


@pytest.mark.parametrize("position", [AT, None])
def test_what_is_stored_is_read_back(position: Position | None) -> None:
    stored = Stored(position, 4, "l4")
    assert read_stored(stored_json(stored)) == stored
    kind, token = position_texts(position)
    assert stored_of(kind, token, 4, "l4") == stored


@pytest.mark.parametrize(
    "found,expected,generation,moved",
    [
        (None, None, 1, False),
        (Stored(AT, 3, "l3"), Stored(AT, 3, "l3"), 4, False),
        (Stored(AT, 4, "l9"), Stored(AT, 3, "l3"), 4, True),  # another run was faster
        (Stored(AT, 3, "l8"), Stored(AT, 3, "l3"), 4, True),  # another load of this generation
        (None, Stored(AT, 3, "l3"), 4, True),  # an operator forgot it
        (Stored(AT, 1, "l1"), None, 1, True),
        (Stored(AT, 3, "l3"), Stored(AT, 3, "l3"), 5, True),  # a generation was left out
    ],
)
def test_a_load_goes_on_from_the_position_that_it_started_from(
    found: Stored | None,
    expected: Stored | None,
    generation: int,
    moved: bool,  # noqa: FBT001 - a case
) -> None:
    commit = Commit(expected, Stored(AT, generation, "mine"), "r1")
    if not moved:
        refuse_conflict(found, "t", commit)
        return
    with pytest.raises(StateError) as refused:
        refuse_conflict(found, "t", commit)
    assert refused.value.code == "state.conflict"


def test_a_commit_whose_answer_was_lost_is_known_again() -> None:
    commit = Commit(None, Stored(AT, 1, "mine"), "r1")
    assert is_own(Stored(AT, 1, "mine"), commit)
    assert not is_own(Stored(AT, 1, "other"), commit)
    assert not is_own(None, commit)


@pytest.mark.parametrize(
    "op,all_of_it",
    [
        (Recreate(FREE), True),
        (ReplaceAll((), FREE), True),
        (ReplaceAll((Condition("id", Compare.GT, 1),), FREE), False),
        (Append("l1"), False),
    ],
)
def test_a_program_that_exchanges_all_rows_keeps_none(op: Op, all_of_it: bool) -> None:  # noqa: FBT001 - a case
    assert exchanges_all((op,)) is all_of_it


@pytest.mark.parametrize("said,code", [("", "not_ours"), ("orders of 2019", "not_ours"), ("3", "newer_version")])
def test_tables_of_others_and_of_a_later_dpone_are_left_alone(said: str, code: str) -> None:
    assert shape_of("t", "2", 2, package="p", hint="h") == 2
    with pytest.raises(StateError) as refused:
        shape_of("t", said, 2, package="p", hint="h")
    assert refused.value.code == f"state.{code}"
