"""Reading a change log: a snapshot first, then every change once and in order, until the position says that it
arrived.
"""
# ruff: noqa: PLR2004 - expected numbers are the point of a test

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from dpone import oracle
from dpone.connector import Position, ReadRequest
from dpone.errors import PlanError
from dpone.ops import DeleteKeys, Upsert
from dpone.stage import Change, ChangeKind, Sealing, key_of, seal
from dpone.strategies import Read
from dpone.testing.suite.plain import many
from dpone.testing.suite.readings import Gathered, assert_read, gather, request_of, since
from dpone.testing.suite.rig import Seeded, SourceRig
from dpone.testing.testkit import PLAIN, Delete, Insert, Mutation, Truncate, Update
from dpone.where import Compare, Condition, Row


@pytest.fixture
def seeded(source: SourceRig) -> Seeded:
    source.require(Read.CHANGES)
    return source.seed(PLAIN, many(5), Read.CHANGES)


def _request(seeded: Seeded) -> ReadRequest:
    return replace(request_of(seeded, Read.CHANGES), pipeline=f"cdc_{seeded.table.label}"[-40:])


def _settle(seeded: Seeded, request: ReadRequest, position: Position | None) -> None:
    assert position is not None
    with seeded.rig.source() as connected:
        connected.settle(since(request, position), position)


def _changed(seeded: Seeded, *mutations: Mutation) -> tuple[Gathered, ReadRequest]:
    """What a second reading gives after these mutations, and the request that it was made by."""
    request = _request(seeded)
    first = gather(seeded, request)
    _settle(seeded, request, first.upto)
    seeded.change(*mutations)
    second = since(request, first.upto)
    return gather(seeded, second), second


def folded(rows: Sequence[Row], gathered: Gathered) -> list[Row]:
    """The rows after the changes, by the oracle."""
    key = PLAIN.key
    sealed = seal(gathered.entries, Sealing(PLAIN.names, key, changes=True))
    table = oracle.Table(PLAIN.names, tuple(rows))
    after, _ = oracle.apply((Upsert(key), DeleteKeys(key)), table, sealed)
    return list(after.rows)


def _row(number: int, **values: object) -> dict[str, object]:
    return {**many(number + 1)[number], **values}


# -------------------------------------------------------------------------- snapshot


def test_the_first_reading_is_a_snapshot(seeded: Seeded) -> None:
    """Whether it carries change fields is the source's own business, and it says so."""
    gathered = gather(seeded, _request(seeded))
    assert gathered.upto is not None
    assert {e.kind for e in gathered.entries} == {ChangeKind.UPSERT}
    assert_read(seeded, gathered.rows, seeded.rows)


def test_a_first_reading_that_failed_begins_again(seeded: Seeded) -> None:
    request = _request(seeded)
    gather(seeded, request)
    seeded.change(Insert(_row(7)), Delete({"id": 1}))
    again = gather(seeded, request)
    assert sorted(str(row["id"]) for row in again.rows) == ["0", "2", "3", "4", "7"]
    seeded.change(Insert(_row(8)))
    assert_read(seeded, folded(again.rows, gather(seeded, since(request, again.upto))), [*again.rows, _row(8)])


# --------------------------------------------------------------------------- changes


@pytest.mark.parametrize(
    "mutations, expected",
    [
        pytest.param([Insert(_row(9))], [0, 1, 2, 3, 4, 9], id="insert"),
        pytest.param([Delete({"id": 0}), Delete({"id": 4})], [1, 2, 3], id="delete"),
        pytest.param([Insert(_row(9)), Delete({"id": 9})], [0, 1, 2, 3, 4], id="insert_delete"),
        pytest.param([Delete({"id": 2}), Insert(_row(2))], [0, 1, 2, 3, 4], id="delete_insert"),
        pytest.param([Update({"id": 2}, {"id": 20})], [0, 1, 3, 4, 20], id="key_change"),
        pytest.param([Truncate()], [], id="truncate"),
        pytest.param([Insert(_row(8)), Truncate(), Insert(_row(9))], [9], id="truncate_insert"),
    ],
)
def test_changes_lead_to_the_rows_that_are_there(
    seeded: Seeded, mutations: list[Mutation], expected: list[int]
) -> None:
    if missing := [m for m in mutations if type(m) not in seeded.rig.source_kit.mutations]:
        pytest.skip(f"{seeded.rig.connector.name} has no {type(missing[0]).__name__}")
    gathered, _ = _changed(seeded, *mutations)
    assert [row["id"] for row in sorted(folded(seeded.rows, gathered), key=lambda r: key_of(r, ("id",)))] == expected


def test_changed_values_are_read(seeded: Seeded) -> None:
    values = {"name": None, "amount": None, "updated_at": None}
    gathered, _ = _changed(seeded, Update({"id": 1}, values), Update({"id": 2}, {"name": ""}))
    expected = [_row(0), _row(1, **values), _row(2, name=""), _row(3), _row(4)]
    assert_read(seeded, folded(seeded.rows, gathered), expected)


def test_every_change_has_a_number_and_the_last_has_the_greatest(seeded: Seeded) -> None:
    updates = [Update({"id": 1}, {"name": f"step {n}"}) for n in range(6)]
    gathered, _ = _changed(seeded, *updates)
    steps = [(e.seq, e.row["name"]) for e in gathered.entries if e.row["id"] == 1]
    assert len({seq for seq, _ in steps}) == len(steps)
    assert max(steps)[1] == "step 5"
    assert [name for _, name in sorted(steps)] == sorted(str(name) for _, name in steps)


def test_a_deletion_says_its_key(seeded: Seeded) -> None:
    gathered, _ = _changed(seeded, Delete({"id": 3}))
    (gone,) = [e for e in gathered.entries if e.kind is ChangeKind.DELETE]
    assert gone.row["id"] == 3


def test_large_values_that_did_not_change_are_sent_or_said_to_be_kept(source: SourceRig) -> None:
    """Engines leave out what they stored elsewhere (TOAST); an entry then says which values it does not hold."""
    source.require(Read.CHANGES)
    large = "".join(chr(33 + (n * 7919) % 90) for n in range(60_000))  # compresses badly
    seeded = source.seed(PLAIN, [_row(1, name=large), _row(2, name=large)], Read.CHANGES)
    gathered, _ = _changed(seeded, Update({"id": 1}, {"amount": None}), Update({"id": 2}, {"name": "short"}))
    expected = [_row(1, name=large, amount=None), _row(2, name="short")]
    assert_read(seeded, folded(seeded.rows, gathered), expected)


def test_changes_of_one_transaction_come_together(seeded: Seeded) -> None:
    gathered, _ = _changed(seeded, *(Insert(_row(n)) for n in range(100, 160)))
    assert len([e for e in gathered.entries if e.kind is ChangeKind.UPSERT]) == 60


def test_changes_of_other_tables_are_not_read(seeded: Seeded) -> None:
    other = seeded.rig.seed(PLAIN, many(2), Read.CHANGES)
    request = _request(seeded)
    first = gather(seeded, request)
    other.change(Insert(_row(50)))
    seeded.change(Insert(_row(9)))
    other.change(Insert(_row(51)))
    assert [e.row["id"] for e in gather(seeded, since(request, first.upto)).entries] == [9]


def test_a_filter_holds_for_changes_too(seeded: Seeded) -> None:
    if not seeded.rig.spec_of_source.pushes_where:
        pytest.skip(f"core filters the rows of {seeded.rig.connector.name}")
    where = (Condition("name", Compare.NE, "leaves"),)
    request = replace(_request(seeded), where=where)
    try:
        first = gather(seeded, request)
    except PlanError:
        pytest.skip(f"{seeded.rig.connector.name} refuses a filter of changes before it reads any")
    seeded.change(Update({"id": 1}, {"name": "leaves"}), Insert(_row(9)), Insert(_row(10, name="leaves")))
    second = gather(seeded, since(request, first.upto))
    after = folded(first.rows, second)
    assert sorted(int(str(row["id"])) for row in after) == [2, 3, 4, 9], "the row that left the filter is deleted"


# ------------------------------------------------------------------------- positions


def test_unsettled_changes_come_again(seeded: Seeded) -> None:
    gathered, request = _changed(seeded, Insert(_row(9)), Delete({"id": 0}))
    again = gather(seeded, request)
    assert _comparable(again.entries) == _comparable(gathered.entries)


def _comparable(entries: Sequence[Change]) -> list[tuple[int, ChangeKind, object]]:
    return [(e.seq, e.kind, e.row["id"]) for e in sorted(entries, key=lambda e: e.seq)]


def test_settled_changes_do_not_come_again(seeded: Seeded) -> None:
    gathered, request = _changed(seeded, Insert(_row(9)))
    _settle(seeded, request, gathered.upto)
    _settle(seeded, request, gathered.upto)
    seeded.change(Insert(_row(10)))
    assert [e.row["id"] for e in gather(seeded, since(request, gathered.upto)).entries] == [10]


def test_a_commit_without_settling_neither_loses_nor_doubles(seeded: Seeded) -> None:
    """A run that died between its commit and settle goes on from the position that the sink stored."""
    gathered, request = _changed(seeded, Insert(_row(9)))
    seeded.change(Insert(_row(10)))
    assert [e.row["id"] for e in gather(seeded, since(request, gathered.upto)).entries] == [10]


def test_nothing_new_gives_nothing_and_moves_on(seeded: Seeded) -> None:
    gathered, request = _changed(seeded)
    assert gathered.entries == ()
    assert gathered.upto is not None
    seeded.change(Insert(_row(9)))
    assert [e.row["id"] for e in gather(seeded, since(request, gathered.upto)).entries] == [9]


def test_pipelines_of_one_table_do_not_take_from_each_other(seeded: Seeded) -> None:
    one, two = _request(seeded), replace(_request(seeded), pipeline=_request(seeded).pipeline[::-1])
    first_one, first_two = gather(seeded, one), gather(seeded, two)
    seeded.change(Insert(_row(9)))
    second = gather(seeded, since(one, first_one.upto))
    _settle(seeded, one, second.upto)
    assert [e.row["id"] for e in gather(seeded, since(two, first_two.upto)).entries] == [9]
