"""Sealing in memory: what a raw stage amounts to, and what it is refused for."""
# ruff: noqa: DTZ001 - wall clocks without a zone are among what is tested

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from dpone.errors import DataError
from dpone.ops import Domain, Grain
from dpone.stage import (
    Change,
    ChangeKind,
    Duplicates,
    Live,
    OnTruncate,
    Sealed,
    Sealing,
    canonical,
    outside_domain,
    same,
    seal,
    slice_of,
)
from dpone.where import Compare, Condition

CHANGES = Sealing(("id", "v", "w"), ("id",), changes=True)
SCAN = Sealing(("id", "v"), ("id",))


def row(id_: int | None, v: object = None, w: object = None) -> dict[str, object]:
    return {"id": id_, "v": v, "w": w}


def upsert(seq: int, id_: int | None, v: object = None, w: object = None, kept: str = "") -> Change:
    return Change(row(id_, v, w), ChangeKind.UPSERT, seq, frozenset(kept))


def delete(seq: int, id_: int | None) -> Change:
    return Change(row(id_), ChangeKind.DELETE, seq)


def truncate(seq: int) -> Change:
    return Change({}, ChangeKind.TRUNCATE, seq)


def rows(sealed: Sealed) -> list[object]:
    return [(e.row["id"], e.row["v"]) for e in sealed.live]


def refusal(*entries: Change, how: Sealing = CHANGES) -> str:
    with pytest.raises(DataError) as caught:
        seal(entries, how)
    return caught.value.code


class TestChanges:
    def test_the_last_change_of_a_key_counts_whatever_the_order_of_arrival(self) -> None:
        sealed = seal([upsert(3, 1, "c"), upsert(1, 1, "a"), upsert(2, 1, "b")], CHANGES)
        assert rows(sealed) == [(1, "c")]

    def test_delete_then_insert_leaves_a_live_row_and_no_dead_key(self) -> None:
        sealed = seal([upsert(1, 1, "a"), delete(2, 1), upsert(3, 1, "b")], CHANGES)
        assert (rows(sealed), sealed.dead) == ([(1, "b")], ())

    def test_insert_then_delete_leaves_a_dead_key(self) -> None:
        sealed = seal([upsert(1, 1, "a"), delete(2, 1)], CHANGES)
        assert (rows(sealed), sealed.dead) == ([], ((1,),))

    def test_a_key_change_is_a_dead_key_and_a_live_row(self) -> None:
        sealed = seal([delete(1, 1), upsert(1, 2, "a")], CHANGES)
        assert (rows(sealed), sealed.dead) == ([(2, "a")], ((1,),))

    def test_truncate_voids_what_precedes_it(self) -> None:
        sealed = seal([upsert(1, 1, "a"), delete(2, 2), truncate(3), upsert(4, 3, "c")], CHANGES)
        assert (rows(sealed), sealed.dead, sealed.cleared) == ([(3, "c")], (), True)

    def test_truncate_stops_the_load_by_policy(self) -> None:
        how = Sealing(("id", "v", "w"), ("id",), changes=True, on_truncate=OnTruncate.STOP)
        assert refusal(truncate(1), how=how) == "stage.truncated"

    def test_a_partial_row_is_laid_over_the_earlier_one(self) -> None:
        sealed = seal([upsert(1, 1, "a", "x"), upsert(2, 1, "b", kept="w")], CHANGES)
        assert sealed.live == (Live(row(1, "b", "x")),)

    def test_a_column_is_kept_only_when_no_change_sent_it(self) -> None:
        sealed = seal([upsert(1, 1, None, "x", kept="v"), upsert(2, 1, "b", kept="w")], CHANGES)
        assert sealed.live == (Live(row(1, "b", "x")),)
        sealed = seal([upsert(1, 1, "a", kept="w"), upsert(2, 1, "b", kept="w")], CHANGES)
        assert sealed.live[0].kept == {"w"}

    def test_a_partial_row_after_its_delete_has_no_base(self) -> None:
        assert refusal(delete(1, 1), upsert(2, 1, "a", kept="w")) == "stage.partial_without_base"

    def test_a_partial_row_after_a_truncate_has_no_base(self) -> None:
        assert refusal(upsert(1, 1, "a"), truncate(2), upsert(3, 1, "a", kept="w")) == "stage.partial_without_base"

    def test_present_keys_survive_beside_changes(self) -> None:
        present = Change(row(7), ChangeKind.PRESENT)
        sealed = seal([upsert(1, 1, "a"), present], CHANGES)
        assert (sealed.present, rows(sealed)) == (((7,),), [(1, "a")])

    def test_two_changes_of_one_key_with_one_sequence_number_have_no_last(self) -> None:
        assert refusal(upsert(1, 1, "a"), upsert(1, 1, "b")) == "stage.duplicate_key"
        assert refusal(upsert(1, 1, "a"), delete(1, 1)) == "stage.duplicate_key"

    def test_rows_with_null_in_the_key_are_counted_not_collapsed(self) -> None:
        sealed = seal([upsert(1, None, "a"), upsert(2, None, "b")], CHANGES)
        assert len(sealed.live) == 2
        assert outside_domain(sealed, Domain(("id",))) == {"stage.null_key": 2}

    def test_without_a_key_every_upsert_is_a_row(self) -> None:
        sealed = seal([upsert(1, 1, "a"), upsert(2, 1, "a")], Sealing(("id", "v", "w"), changes=True))
        assert len(sealed.live) == 2


class TestScans:
    def test_a_duplicate_key_is_refused_even_when_the_rows_are_equal(self) -> None:
        assert refusal(Change(row(1, "a")), Change(row(1, "a")), how=SCAN) == "stage.duplicate_key"

    def test_the_greatest_order_is_the_last_one_and_null_the_least(self) -> None:
        how = Sealing(("id", "v"), ("id",), order=("v",), duplicates=Duplicates.LAST)
        sealed = seal([Change(row(1, 2)), Change(row(1, None)), Change(row(1, 3)), Change(row(1, 1))], how)
        assert rows(sealed) == [(1, 3)]

    @pytest.mark.parametrize("nan", [float("nan"), Decimal("NaN")], ids=["float", "decimal"])
    def test_nan_comes_between_null_and_the_least_number(self, nan: float | Decimal) -> None:
        how = Sealing(("id", "v"), ("id",), order=("v",), duplicates=Duplicates.LAST)
        for group, last in (((None, nan), nan), ((nan, type(nan)("-inf")), type(nan)("-inf")), ((nan, nan), nan)):
            for values in (group, group[::-1]):
                (row,) = seal([Change({"id": 1, "v": v}) for v in values], how).rows
                assert canonical(row["v"]) == canonical(last)

    def test_rows_of_equal_order_that_differ_are_refused(self) -> None:
        how = Sealing(("id", "v", "w"), ("id",), order=("v",), duplicates=Duplicates.LAST)
        assert refusal(Change(row(1, 2, "x")), Change(row(1, 2, "y")), how=how) == "stage.duplicate_key"
        assert len(seal([Change(row(1, 2, "x")), Change(row(1, 2, "x"))], how).live) == 1
        assert rows(seal([Change(row(1, 2, "x")), Change(row(1, 2, "y")), Change(row(1, 3))], how)) == [(1, 3)]

    def test_present_keys_are_kept(self) -> None:
        assert seal([Change(row(1), ChangeKind.PRESENT)], SCAN).present == ((1,),)

    def test_an_empty_stage_is_sealed(self) -> None:
        assert seal([], SCAN) == Sealed()
        assert seal([], CHANGES) == Sealed()


class TestDomain:
    BOUND = Domain(("id", "v"), (Condition("v", Compare.NE, 5),), ("v", 0, 10))

    def test_a_row_is_counted_under_the_first_demand_that_it_breaks(self) -> None:
        sealed = Sealed(tuple(Live(row(i, v)) for i, v in [(1, 99), (2, 5), (3, None), (4, 3), (5, 10), (6, 0)]))
        assert outside_domain(sealed, self.BOUND) == {
            "stage.null_key": 1,
            "stage.outside_where": 1,
            "stage.outside_bounds": 2,
        }

    def test_the_first_code_does_not_depend_on_the_order_of_rows(self) -> None:
        sealed = Sealed((Live(row(1, 99)), Live(row(None, 1))))
        assert next(iter(outside_domain(sealed, self.BOUND))) == "stage.null_key"

    def test_null_in_a_dead_or_a_present_key_is_outside(self) -> None:
        assert outside_domain(Sealed(dead=((None,),)), Domain(("id",))) == {"stage.null_key": 1}
        assert outside_domain(Sealed(present=((None,),)), Domain(("id",))) == {"stage.null_key": 1}


class TestEquality:
    def test_null_nan_and_zero_are_each_equal_to_themselves(self) -> None:
        for left, right in [(None, None), (float("nan"), float("nan")), (0.0, -0.0), (Decimal("1.50"), Decimal("1.5"))]:
            assert same({"v": left}, {"v": right}, ["v"])
        assert not same({"v": None}, {"v": 0}, ["v"])
        assert not same({"v": None}, {"v": float("nan")}, ["v"])

    def test_nested_values_are_compared_by_content(self) -> None:
        assert canonical({"b": [float("nan")], "a": 1}) == canonical({"a": 1, "b": (float("nan"),)})
        assert canonical(bytearray(b"x")) == b"x"


class TestSlices:
    @pytest.mark.parametrize(
        "grain,start",
        [
            (Grain.HOUR, datetime(2024, 2, 29, 13)),
            (Grain.DAY, datetime(2024, 2, 29)),
            (Grain.MONTH, datetime(2024, 2, 1)),
            (Grain.YEAR, datetime(2024, 1, 1)),
        ],
    )
    def test_a_wall_clock_is_cut_at_the_grain(self, grain: Grain, start: datetime) -> None:
        assert slice_of(datetime(2024, 2, 29, 13, 14, 15, 16), grain) == start

    def test_a_date_stays_a_date(self) -> None:
        assert slice_of(date(2024, 2, 29), Grain.DAY) == date(2024, 2, 29)
        assert slice_of(date(2024, 2, 29), Grain.YEAR) == date(2024, 1, 1)

    def test_equal_instants_lie_in_one_slice_whatever_their_offsets(self) -> None:
        utc = datetime(2024, 1, 1, 23, 30, tzinfo=UTC)
        east = utc.astimezone(timezone(timedelta(hours=2)))
        assert utc == east
        assert slice_of(utc, Grain.DAY) == slice_of(east, Grain.DAY) == datetime(2024, 1, 1, tzinfo=UTC)
