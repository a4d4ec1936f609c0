"""Reading since a transaction: every row that was written since, whatever its columns say, and the keys that are
left.
"""

# ruff: noqa: PLR2004 - expected numbers are the point of a test

from __future__ import annotations

import pytest

from dpone.stage import ChangeKind
from dpone.strategies import Read
from dpone.testing.suite.plain import many
from dpone.testing.suite.readings import Gathered, assert_read, gather, request_of, since
from dpone.testing.suite.rig import Seeded, SourceRig
from dpone.testing.testkit import PLAIN, Delete, Insert, Update
from dpone.where import Compare, Condition


@pytest.fixture
def seeded(source: SourceRig) -> Seeded:
    source.require(Read.XMIN)
    return source.seed(PLAIN, many(10), Read.XMIN)


def _ids(gathered: Gathered, kind: ChangeKind = ChangeKind.UPSERT) -> list[int]:
    return sorted(int(str(e.row["id"])) for e in gathered.entries if e.kind is kind)


def test_the_first_reading_is_of_everything(seeded: Seeded) -> None:
    gathered = gather(seeded, request_of(seeded, Read.XMIN))
    assert_read(seeded, gathered.rows, seeded.rows)
    assert gathered.upto is not None


def test_rows_that_were_written_since_are_read(seeded: Seeded) -> None:
    request = request_of(seeded, Read.XMIN)
    upto = gather(seeded, request).upto
    seeded.change(Update({"id": 3}, {"name": "changed"}), Insert({"id": 20, "name": "new"}))
    seeded.change(Update({"id": 4}, {"name": None}))
    second = gather(seeded, since(request, upto))
    assert {3, 4, 20} <= set(_ids(second))
    assert len(_ids(second)) == len(set(_ids(second)))
    found = {row["id"]: row["name"] for row in second.rows}
    assert (found[3], found[4], found[20]) == ("changed", None, "new")


def test_rows_that_were_not_written_are_not_read_again(seeded: Seeded) -> None:
    request = request_of(seeded, Read.XMIN)
    upto = gather(seeded, request).upto
    upto = gather(seeded, since(request, upto)).upto
    seeded.change(Update({"id": 5}, {"name": "changed"}))
    assert _ids(gather(seeded, since(request, upto))) == [5]


def test_a_transaction_that_is_read_is_not_read_past(seeded: Seeded) -> None:
    """The same position again gives the same rows: a run that failed before its commit loses nothing."""
    request = request_of(seeded, Read.XMIN)
    upto = gather(seeded, request).upto
    seeded.change(Update({"id": 5}, {"name": "changed"}))
    for _ in range(2):
        assert 5 in _ids(gather(seeded, since(request, upto)))


def test_the_keys_that_are_left_are_read_beside_the_rows(seeded: Seeded) -> None:
    request = request_of(seeded, Read.XMIN, present=True)
    first = gather(seeded, request)
    assert first.changes
    assert _ids(first, ChangeKind.PRESENT) == list(range(10))
    seeded.change(Delete({"id": 2}), Update({"id": 3}, {"name": "changed"}), Insert({"id": 20}))
    second = gather(seeded, since(request, first.upto))
    assert _ids(second, ChangeKind.PRESENT) == [0, 1, *range(3, 10), 20]
    assert {3, 20} <= set(_ids(second))


def test_the_keys_that_are_left_are_those_within_the_filter(seeded: Seeded) -> None:
    where = (Condition("id", Compare.LT, 5),)
    gathered = gather(seeded, request_of(seeded, Read.XMIN, present=True, where=where))
    assert _ids(gathered) == _ids(gathered, ChangeKind.PRESENT) == [0, 1, 2, 3, 4]
