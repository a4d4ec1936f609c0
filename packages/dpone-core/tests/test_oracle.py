"""What each operation means, on rows in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product

import pytest
from msgspec.structs import replace

from dpone.errors import DataError
from dpone.ops import (
    Absent,
    Append,
    DeleteAbsent,
    DeleteKeys,
    Flag,
    Grain,
    Guard,
    Ignore,
    Op,
    Program,
    Recreate,
    ReplaceAll,
    ReplaceSlice,
    Upsert,
    Version,
)
from dpone.oracle import Counts, Table, apply, guard_against
from dpone.stage import Live, Sealed
from dpone.where import Compare, Condition, Row

KEY = ("id",)
LAX = Guard(1.0, allow_empty=True)


def at(day: int) -> datetime:
    return datetime(2024, 1, day, tzinfo=UTC)


def row(id_: int | None, v: object = None, **system: object) -> dict[str, object]:
    return {"id": id_, "v": v, **system}


def table(*rows: Row) -> Table:
    return Table(("id", "v"), rows)


def stage(*rows: Row, dead: Iterable[int] = (), **more: object) -> Sealed:
    return Sealed(tuple(map(Live, rows)), tuple((k,) for k in dead), **more)  # type: ignore[arg-type]  # test shorthand


def bag(rows: Iterable[Row]) -> Counter[frozenset[tuple[str, object]]]:
    return Counter(frozenset(r.items()) for r in rows)


def run(op: Op | Program, before: Table, staged: Sealed) -> tuple[Table, Counts]:
    after, counts = apply(op if isinstance(op, tuple) else (op,), before, staged)
    assert len(after.rows) == len(before.rows) + counts.inserted - counts.deleted
    assert after.columns == before.columns
    assert after.loads >= before.loads
    return after, counts


def leaves(op: Op | Program, before: Table, staged: Sealed, *rows: Row) -> Counts:
    after, counts = run(op, before, staged)
    assert bag(after.rows) == bag(rows)
    return counts


def refusal(op: Op | Program, before: Table, staged: Sealed) -> str:
    with pytest.raises(DataError) as caught:
        run(op, before, staged)
    return caught.value.code


class TestExchange:
    def test_recreate_takes_the_rows_of_the_stage_and_its_stamps(self) -> None:
        staged = stage(row(1, "a"), row(2), stamps={"load": "x"})
        counts = leaves(Recreate(LAX), table(row(9)), staged, row(1, "a", load="x"), row(2, load="x"))
        assert counts == Counts(inserted=2, deleted=1)

    def test_replace_all_leaves_rows_outside_its_filter(self) -> None:
        op = ReplaceAll((Condition("v", Compare.EQ, "a"),), LAX)
        leaves(op, table(row(1, "a"), row(2, "b"), row(3)), stage(row(4, "a")), row(2, "b"), row(3), row(4, "a"))

    def test_a_row_outside_the_filter_is_refused(self) -> None:
        op = ReplaceAll((Condition("v", Compare.EQ, "a"),), LAX)
        assert refusal(op, table(), stage(row(4, "b"))) == "stage.outside_where"

    def test_bounds_are_half_open(self) -> None:
        op = ReplaceSlice("v", bounds=(1, 3), guard=LAX)
        before = table(row(1, 0), row(2, 1), row(3, 2), row(4, 3), row(5))
        leaves(op, before, stage(row(9, 1)), row(1, 0), row(4, 3), row(5), row(9, 1))
        assert refusal(op, before, stage(row(9, 3))) == "stage.outside_bounds"

    def test_only_slices_that_are_staged_are_exchanged(self) -> None:
        op = ReplaceSlice("v", Grain.MONTH, guard=LAX)
        before = table(row(1, at(1)), row(2, at(31)), row(3, datetime(2024, 2, 1, tzinfo=UTC)), row(4))
        leaves(op, before, stage(row(9, at(15))), row(3, datetime(2024, 2, 1, tzinfo=UTC)), row(4), row(9, at(15)))
        leaves(op, before, stage(), *before.rows)


class TestGuard:
    @pytest.mark.parametrize("share", [0.0, 0.5])
    def test_as_many_rows_as_before_are_no_loss(self, share: float) -> None:
        guard = Guard(share)
        before = Table(("id", "v"), (row(1), row(2)), frozenset({"x"}))
        for op in (Recreate(guard), ReplaceAll(guard=guard), ReplaceSlice("id", bounds=(0, 9), guard=guard)):
            leaves(op, before, stage(row(1), row(3)), row(1), row(3))

    def test_a_refusal_says_how_many_rows_and_what_to_do(self) -> None:
        with pytest.raises(DataError, match=r"^the load would leave none of the 7 rows in its reach$") as empty:
            guard_against(Guard(), before=7, after=0, removed=7)
        assert empty.value.hint == "if the source really is empty, set `guard: {allow_empty: true}`"
        assert empty.value.context == {"before": 7}
        with pytest.raises(
            DataError, match=r"^the load would remove 6 of the 7 rows in its reach; at most 50% is"
        ) as most:
            guard_against(Guard(0.5), before=7, after=1, removed=6)
        assert most.value.hint == "if that is right, raise `guard: {max_removed_share: ...}`"
        assert most.value.context == {"before": 7, "removed": 6}

    def test_an_emptied_source_does_not_empty_a_target(self) -> None:
        for op in (Recreate(), ReplaceAll(), DeleteAbsent(KEY), ReplaceSlice("id", bounds=(0, 9))):
            assert refusal(op, table(row(1)), stage()) == "guard.empty"
            leaves(op, table(), stage())

    def test_the_share_that_may_vanish_is_bounded(self) -> None:
        op = DeleteAbsent(KEY, guard=Guard(0.5))
        before = table(row(1), row(2), row(3), row(4))
        leaves(op, before, stage(row(1), row(2)), row(1), row(2))
        assert refusal(op, before, stage(row(1))) == "guard.removed_share"

    def test_flagged_rows_count_neither_before_nor_as_removed(self) -> None:
        op = DeleteAbsent(KEY, Flag("gone", at(9)), Guard(0.5))
        before = table(row(1, gone=None), row(2, gone=None), *(row(i, gone=at(1)) for i in range(3, 9)))
        counts = leaves(op, before, stage(row(1)), row(1, gone=None), row(2, gone=at(9)), *before.rows[2:])
        assert counts == Counts(updated=1)

    def test_the_guard_counts_rows_not_keys(self) -> None:
        op = DeleteAbsent(KEY, guard=Guard(0.5))
        before = table(row(1), row(2, "a"), row(2, "b"), row(2, "c"))
        assert refusal(op, before, stage(row(1))) == "guard.removed_share"

    def test_absent_keys_do_not_expire_beyond_the_share(self) -> None:
        op = Version(KEY, at(5), ("v",), guard=Guard(0.5))
        before = table(*(version(i, "a", 1) for i in range(1, 5)), version(5, "a", 1, 2), version(6, "a", 1, 2))
        assert refusal(op, before, stage(row(1, "a"))) == "guard.removed_share"
        staged = stage(row(1, "b"), row(2, "b"))
        counts = leaves(op, before, staged, *_expired(before, 3, 4, closed=(1, 2), to="b"))
        assert counts == Counts(inserted=2, updated=4)
        assert refusal(op, before, stage()) == "guard.empty"
        assert refusal(replace(op, guard=Guard(1.0)), before, stage()) == "guard.empty"
        leaves(replace(op, guard=LAX), before, stage(), *_expired(before, 1, 2, 3, 4))

    def test_a_history_that_keeps_absent_keys_has_nothing_to_guard(self) -> None:
        before = table(version(1, "a", 1))
        for guard in (Guard(0.0), LAX):
            leaves(Version(KEY, at(5), ("v",), absent=Absent.KEEP, guard=guard), before, stage(), *before.rows)

    def test_a_history_without_an_open_version_has_nothing_to_lose(self) -> None:
        before = table(version(1, "a", 1, 3))
        leaves(Version(KEY, at(5), ("v",), guard=Guard(0.0)), before, stage(), *before.rows)


class TestAppend:
    def test_a_load_is_added_once(self) -> None:
        after, _ = run(Append("x"), table(row(1)), stage(row(1)))
        assert bag(after.rows) == bag([row(1), row(1)])
        assert leaves(Append("x"), after, stage(row(1)), *after.rows) == Counts()
        leaves(Append("y"), after, stage(row(1)), *after.rows, row(1))

    def test_with_unless_only_new_keys_are_added(self) -> None:
        leaves(Append("x", KEY), table(row(1, "a")), stage(row(1, "b"), row(2)), row(1, "a"), row(2))


class TestUpsert:
    def test_equal_rows_are_untouched_and_keep_their_stamps(self) -> None:
        before = table(row(1, "a", load="x"), row(2, "b", load="x"))
        staged = stage(row(1, "a"), row(2, "c"), row(3), stamps={"load": "y"})
        counts = leaves(Upsert(KEY), before, staged, row(1, "a", load="x"), row(2, "c", load="y"), row(3, load="y"))
        assert counts == Counts(inserted=1, updated=1)

    def test_equal_or_newer_wins_and_null_is_the_oldest(self) -> None:
        def wins(stored: object, staged: object) -> bool:
            before = Table(("id", "v", "t"), (row(1, "old", t=stored),))
            after, _ = run(Upsert(KEY, "t"), before, Sealed((Live(row(1, "new", t=staged)),)))
            return after.rows[0]["v"] == "new"

        assert [wins(a, b) for a, b in [(1, 2), (1, 1), (2, 1), (None, 1), (1, None), (None, None)]] == [
            True,
            True,
            False,
            True,
            False,
            True,
        ]

    @pytest.mark.parametrize("of", [float, Decimal])
    def test_nan_is_older_than_every_number_and_newer_than_null(self, of: Callable[[str], object]) -> None:
        ages = [None, of("nan"), of("-inf"), of("0"), of("inf")]
        for stored, staged in product(range(5), range(5)):
            before = Table(("id", "v", "t"), ({"id": 1, "v": "old", "t": ages[stored]},))
            after, _ = run(Upsert(KEY, newer="t"), before, stage({"id": 1, "v": "new", "t": ages[staged]}))
            assert after.rows[0]["v"] == ("new" if staged >= stored else "old")

    def test_a_kept_cursor_is_as_new_as_the_stored_one(self) -> None:
        before = Table(("id", "v", "t"), (row(1, "old", t=5),))
        staged = Sealed((Live(row(1, "new", t=None), frozenset({"t"})),))
        leaves(Upsert(KEY, "t"), before, staged, row(1, "new", t=5))

    def test_a_returning_key_clears_its_flag_even_when_nothing_else_changed(self) -> None:
        before = table(row(1, "a", gone=at(1)), row(2, "b", gone=at(1)))
        leaves(Upsert(KEY, flag="gone"), before, stage(row(1, "a")), row(1, "a", gone=None), before.rows[1])

    def test_a_partial_row_keeps_stored_values_and_is_refused_without_any(self) -> None:
        staged = Sealed((Live({"id": 1, "v": None, "w": 2}, frozenset({"v"})),))
        before = Table(("id", "v", "w"), ({"id": 1, "v": "a", "w": 1},))
        leaves(Upsert(KEY), before, staged, {"id": 1, "v": "a", "w": 2})
        assert refusal(Upsert(KEY), Table(("id", "v", "w")), staged) == "stage.partial_without_base"
        assert refusal(Append("x"), before, staged) == "stage.partial_without_base"

    def test_every_stored_row_of_the_key_is_exchanged(self) -> None:
        before = table(row(1, "a"), row(1, "b"), row(1, "c"))
        assert leaves(Upsert(KEY), before, stage(row(1, "c")), *[row(1, "c")] * 3) == Counts(updated=2)

    def test_null_in_the_key_is_refused(self) -> None:
        for op in (Upsert(KEY), DeleteKeys(KEY), DeleteAbsent(KEY, guard=LAX), Append("x", KEY)):
            assert refusal(op, table(), stage(row(None))) == "stage.null_key"


class TestDeletes:
    BEFORE = table(row(1, gone=None), row(2, gone=at(1)), row(3, gone=None))

    def test_dead_keys_go_by_policy(self) -> None:
        staged = stage(dead=[1, 2, 7])
        one, two, three = self.BEFORE.rows
        assert leaves(DeleteKeys(KEY), self.BEFORE, staged, three) == Counts(deleted=2)
        flag = DeleteKeys(KEY, Flag("gone", at(9)))
        assert leaves(flag, self.BEFORE, staged, row(1, gone=at(9)), two, three) == Counts(updated=1)
        assert leaves(DeleteKeys(KEY, Ignore()), self.BEFORE, staged, one, two, three) == Counts()

    def test_after_a_truncate_only_staged_keys_stay(self) -> None:
        leaves(DeleteKeys(KEY), table(row(1), row(2), row(None)), stage(row(1), cleared=True), row(1))

    def test_present_keys_stay(self) -> None:
        op = DeleteAbsent(KEY, guard=LAX)
        leaves(op, table(row(1), row(2), row(3)), stage(row(1), present=((2,),)), row(1), row(2))

    def test_rows_outside_the_read_stay_even_when_one_of_their_key_is_inside(self) -> None:
        op = DeleteAbsent(KEY, guard=LAX, within=(Condition("v", Compare.EQ, "a"),))
        before = table(row(1, "a"), row(1, "b"), row(2, "b"), row(3))
        leaves(op, before, stage(), row(1, "b"), row(2, "b"), row(3))


def version(id_: int, v: object, start: int | None, end: int | None = None) -> Mapping[str, object]:
    return row(id_, v, valid_from=start and at(start), valid_to=end and at(end))


def _expired(before: Table, *gone: int, closed: tuple[int, ...] = (), to: object = None) -> list[Row]:
    """The rows with the open versions of these keys closed on the fifth, and those of `closed` opened anew."""
    ended = {r["id"] for r in before.rows if r["valid_to"] is None} & {*gone, *closed}
    rows = [{**r, "valid_to": at(5)} if r["id"] in ended and r["valid_to"] is None else r for r in before.rows]
    return [*rows, *(version(i, to, 5) for i in closed)]


class TestVersion:
    def test_changed_rows_are_closed_and_opened_and_absent_ones_expire(self) -> None:
        before = table(version(1, "a", 1), version(2, "b", 1), version(3, "c", 1))
        staged = stage(row(1, "a"), row(2, "B"), row(4, "d"))
        counts = leaves(
            Version(KEY, at(5), ("v",)),
            before,
            staged,
            version(1, "a", 1),
            version(2, "b", 1, 5),
            version(2, "B", 5),
            version(3, "c", 1, 5),
            version(4, "d", 5),
        )
        assert counts == Counts(inserted=2, updated=2)

    def test_absent_keys_are_kept_by_policy(self) -> None:
        before = table(version(1, "a", 1))
        leaves(Version(KEY, at(5), ("v",), absent=Absent.KEEP), before, stage(), version(1, "a", 1))

    def test_a_returning_key_gets_a_new_version_after_a_gap(self) -> None:
        before = table(version(1, "a", 1, 3))
        leaves(Version(KEY, at(5), ("v",)), before, stage(row(1, "a")), version(1, "a", 1, 3), version(1, "a", 5))

    def test_carried_out_twice_it_changes_nothing(self) -> None:
        op, staged = Version(KEY, at(5), ("v",), guard=LAX), stage(row(1, "b"))
        after, _ = run(op, table(version(1, "a", 1), version(2, "x", 1)), staged)
        assert leaves(op, after, staged, *after.rows) == Counts()

    def test_its_time_is_after_every_version(self) -> None:
        op = Version(KEY, at(5), ("v",))
        assert refusal(op, table(version(1, "a", 6)), stage(row(1, "a"))) == "load.at_not_after"
        assert refusal(op, table(version(1, "a", 1, 6)), stage(row(1, "a"))) == "load.at_not_after"
        assert refusal(op, table(version(1, "a", 5)), stage(row(1, "b"))) == "load.at_not_after"

    def test_an_unknown_start_is_before_every_load(self) -> None:
        before = table(version(1, "a", None))
        leaves(Version(KEY, at(5), ("v",), guard=LAX), before, stage(), version(1, "a", None, 5))

    @pytest.mark.parametrize("order", [1, -1])
    def test_two_open_versions_are_refused_before_anything_else_is_compared(self, order: int) -> None:
        before = table(*[version(1, "a", 1), version(1, "b", 2), version(2, "x", 5)][::order])
        assert refusal(Version(KEY, at(5), ("v",), guard=LAX), before, stage()) == "target.two_open_versions"


def told(op: Op, before: Table, staged: Sealed) -> DataError:
    with pytest.raises(DataError) as caught:
        run(op, before, staged)
    return caught.value


def test_a_refusal_says_what_is_wrong() -> None:
    op = ReplaceAll((Condition("v", Compare.EQ, "a"),), LAX)
    outside = told(op, table(), stage(row(4, "b")))
    assert outside.message == "1 staged rows are outside the domain of the program"
    assert outside.hint == "nothing was published; correct the rows at the source, or filter them out"
    partial = Sealed((Live(row(1), frozenset({"v"})),))
    assert told(Append("x"), table(), partial).message == "partial rows need an upsert"
    twice = told(Version(KEY, at(9), ("v",), guard=LAX), table(version(1, "a", 1), version(1, "b", 2)), stage())
    assert (twice.message, twice.context) == ("a key has two open versions", {"key": [1]})
    assert twice.hint == "something else wrote to the target: close all but one of them"
    late = told(Version(KEY, at(5), ("v",), guard=LAX), table(version(1, "a", 6)), stage(row(1, "a")))
    assert late.message == "the load's time 2024-01-05T00:00:00+00:00 is not after every version in the target"
    assert late.hint == "check the clocks; versions are opened at the time of the load"


def test_a_program_counts_what_all_of_its_operations_did() -> None:
    after, counts = run((Append("x"), Append("y")), table(), stage(row(1), row(2)))
    assert counts == Counts(inserted=4)
    assert after.loads == {"x", "y"}


def test_a_row_that_is_not_flagged_and_has_not_changed_is_not_updated() -> None:
    before = table(row(1, "a", gone=None))
    assert leaves(Upsert(KEY, flag="gone"), before, stage(row(1, "a")), row(1, "a", gone=None)) == Counts()


def test_a_program_is_carried_out_whole_or_not_at_all() -> None:
    before = table(row(1), row(2), row(3))
    program = (Upsert(KEY), DeleteAbsent(KEY, guard=Guard(0.1)))
    assert refusal(program, before, stage(row(1, "x"))) == "guard.removed_share"
    assert before == table(row(1), row(2), row(3))
