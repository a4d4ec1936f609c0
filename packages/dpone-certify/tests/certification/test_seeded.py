"""The volume model: its counts are those that are promised, and rows lie on both sides of every bound."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dpone.strategies import STRATEGIES
from dpone_certify.certification import asked, seeded
from dpone_certify.certification.volume import rows_expected, versions_closed, volume_of
from dpone_certify.postconditions.judge import expected

AT = datetime(2026, 6, 1, tzinfo=UTC)
FULL = volume_of()


def wide(number: int, version: int) -> str:
    return f"{number}.{version}"


BEFORE, AFTER = seeded.before(FULL, wide), seeded.after(FULL, wide)
PROMISED = {
    "full_refresh": 10_000,
    "replace": 10_000,
    "snapshot_diff": 10_000,
    "cdc": 10_000,
    "incremental_merge": 10_500,
    "xmin": 10_500,
    "incremental_append": 11_500,
    "scd2": 11_500,
}


def test_the_shares_and_ids_are_those_that_are_promised() -> None:
    assert (FULL.row_count, FULL.changed, FULL.deleted, FULL.updated, FULL.inserted) == (10_000, 2_000, 500, 1_000, 500)
    was = {row["id"]: row for row in BEFORE}
    now = {row["id"]: row for row in AFTER}
    assert was.keys() - now.keys() == set(range(1, 501))
    assert now.keys() - was.keys() == set(range(10_001, 10_501))
    assert {n for n in was.keys() & now.keys() if was[n] != now[n]} == set(range(501, 1_501))
    assert seeded.touched(FULL) == {*range(1, 1_501), *range(10_001, 10_501)}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_must_be_there_is_what_is_promised(strategy: str) -> None:
    one = expected(strategy, [], BEFORE, [], asked.options_of(strategy, FULL, first=True, at=AT))
    later = asked.options_of(strategy, FULL, first=False, at=AT + timedelta(days=1))
    two = expected(strategy, BEFORE, AFTER, one, later)
    assert len(one) == 10_000
    assert rows_expected(strategy, FULL) == PROMISED.get(strategy)
    if strategy in PROMISED:
        assert len(two) == PROMISED[strategy]
    closed = sum(row.get("valid_to") is not None for row in two)
    assert closed == (versions_closed(FULL) if strategy == "scd2" else 0) == (1_500 if strategy == "scd2" else 0)


def test_rows_lie_on_both_sides_of_every_bound() -> None:
    changed = [row for row in AFTER if str(row["wide"]).endswith(".1")]
    bound = seeded.greatest_moment(FULL)
    moments = [moment for row in changed if isinstance(moment := row["updated_at"], datetime)]
    assert {bound - seeded.LAG - timedelta(microseconds=1), bound - seeded.LAG, bound} < set(moments)
    assert max(moments) > bound
    assert min(int(str(row["seq"])) for row in changed) == seeded.greatest_seq(FULL) + 1
    names = {row["name"] for row in BEFORE}
    assert {None, "", " ", "NULL", "\\N", "a", "A", "a "} < names
    lo, hi = asked.bounds_of(FULL, first=False)
    gone = set(range(1, 501))
    assert any(n < lo for n in gone)
    assert any(n >= lo for n in gone)
    assert FULL.row_count < hi <= FULL.row_count + FULL.inserted
    months = {str(row["day"])[:7] for row in AFTER}
    assert {str(row["day"])[:7] for row in BEFORE} - months, "a slice that the source has no row of any more"
