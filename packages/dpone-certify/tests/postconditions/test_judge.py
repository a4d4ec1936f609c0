"""Each postcondition on small tables by hand: what must be there, what is wrong, what had to be refused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from dpone_certify.postconditions.history import history_violations
from dpone_certify.postconditions.judge import POSTCONDITIONS, expected, refusal, violations
from dpone_certify.postconditions.options import Options, Refused, Row, Violation

AT = datetime(2024, 5, 1, tzinfo=UTC)
THEN = datetime(2024, 1, 1, tzinfo=UTC)
PLAIN = Options(("id", "v", "t"), max_removed_share=1.0, allow_empty=True, at=AT)
KEYED = replace(PLAIN, key=("id",))
FLAGGED = replace(KEYED, deletes="flag", flag="gone")


def row(id_: object, v: object = None, t: object = 0, **system: object) -> dict[str, object]:
    return {"id": id_, "v": v, "t": t, **system}


def check(
    strategy: str, before: Sequence[Row], after: Sequence[Row], target: Sequence[Row], options: Options, *rows: Row
) -> None:
    """These rows are what must be there, and any other are not."""
    postcondition = POSTCONDITIONS[strategy]
    assert postcondition(before, after, target, rows, options) == []
    for i in range(len(rows)):
        assert postcondition(before, after, target, [*rows[:i], *rows[i + 1 :]], options)
        assert postcondition(before, after, target, [*rows, rows[i]], options)
        assert postcondition(before, after, target, [*rows[:i], {**rows[i], "v": "other"}, *rows[i + 1 :]], options)
    assert postcondition(before, after, target, [*rows, row(99)], options)


class TestExchange:
    def test_full_refresh_holds_the_source_and_nothing_else(self) -> None:
        check("full_refresh", [], [row(1, "a"), row(1, "a")], [row(9)], PLAIN, row(1, "a"), row(1, "a"))

    def test_landed_rows_carry_the_stamps(self) -> None:
        check("full_refresh", [], [row(1)], [], replace(PLAIN, stamps={"load": "x"}), row(1, load="x"))

    def test_replace_leaves_what_is_outside_its_filter(self) -> None:
        options = replace(PLAIN, where=(("v", "=", "a"),))
        source = [row(1, "a"), row(2, "b")]
        check("replace", [], source, [row(8, "a"), row(9, "b"), row(7)], options, row(1, "a"), row(9, "b"), row(7))

    def test_partition_replace_reaches_the_slices_of_the_source(self) -> None:
        options = replace(PLAIN, slice_column="t")
        target = [row(7, t=1), row(8, t=2), row(9, t=None)]
        check("partition_replace", [], [row(1, t=1)], target, options, row(1, t=1), target[1], target[2])
        assert refusal("partition_replace", [], [row(1, t=None)], target, options) == "stage.null_key"

    def test_backfill_reaches_its_bounds_and_not_their_end(self) -> None:
        options = replace(PLAIN, slice_column="t", bounds=(1, 3))
        target = [row(6, t=0), row(7, t=1), row(8, t=3), row(9, t=None)]
        source = [row(0, t=0), row(1, t=1), row(2, t=2), row(3, t=3)]
        check("backfill", [], source, target, options, row(1, t=1), row(2, t=2), target[0], target[2], target[3])

    @pytest.mark.parametrize("nan", [float("nan"), Decimal("NaN")], ids=["float", "decimal"])
    def test_nan_lies_in_no_range_and_passes_no_comparison_of_order(self, nan: object) -> None:
        options = replace(PLAIN, slice_column="t", bounds=(Decimal(1), Decimal(3)))
        check("backfill", [], [row(1, t=nan)], [row(9, t=nan)], options, row(9, t=nan))
        for sign in ("<", "<=", ">", ">="):
            options = replace(PLAIN, where=(("t", sign, Decimal(1)),))
            check("replace", [], [row(1, t=nan)], [row(9, t=nan)], options, row(9, t=nan))

    @pytest.mark.parametrize("strategy", ["replace", "partition_replace", "backfill"])
    @pytest.mark.parametrize("kept,code", [(1, "guard.removed_share"), (2, None)])
    def test_only_what_a_load_reaches_counts_as_lost(self, strategy: str, kept: int, code: str | None) -> None:
        """Half of the four rows that are reached may go; the many that are not reached make that no more."""
        options = replace(PLAIN, where=(("v", "=", "a"),), slice_column="t", bounds=(1, 2), max_removed_share=0.5)
        beside = [row(i, "b", t) for i, t in enumerate((0, 2, None) * 5)]
        reached = [row(i, "a", 1) for i in range(20, 24)]
        assert refusal(strategy, [], reached[:kept], [*beside, *reached], options) == code
        assert refusal(strategy, [], reached[:kept], beside, options) is None

    def test_the_last_row_does_not_go_unless_that_is_allowed(self) -> None:
        target = [row(1)]
        options = replace(PLAIN, max_removed_share=0.5, allow_empty=False)
        with pytest.raises(Refused, match=r"^guard\.empty$"):
            expected("full_refresh", [], [], target, options)
        assert expected("full_refresh", [], [], target, replace(options, allow_empty=True)) == []
        assert refusal("full_refresh", [], [], [], options) is None


class TestAppend:
    def test_the_window_is_added_to_what_was_there(self) -> None:
        source = [row(1, t=1), row(2, t=2), row(3, t=3), row(4, t=None)]
        options = replace(PLAIN, cursor="t", since=2, upto=3)
        check("incremental_append", [], source, [row(2, t=2)], options, row(2, t=2), row(2, t=2))

    def test_with_a_key_only_what_is_new(self) -> None:
        check("incremental_append", [], [row(1, "b"), row(2)], [row(1, "a")], KEYED, row(1, "a"), row(2))

    def test_a_load_counts_once(self) -> None:
        options = replace(PLAIN, repeated=True)
        check("incremental_append", [], [row(1)], [row(9)], options, row(9))


class TestMerge:
    def test_rows_of_the_window_win_and_equal_ones_stay_as_they_were(self) -> None:
        options = replace(KEYED, cursor="t", since=1, stamps={"load": "y"})
        target = [row(1, "a", 1, load="x"), row(2, "b", 0, load="x"), row(5, "e", 9, load="x")]
        source = [row(1, "a", 1), row(2, "B", 1), row(3, "c", 1), row(4, "d", 0)]
        check(
            "incremental_merge",
            [],
            source,
            target,
            options,
            target[0],
            target[2],
            row(2, "B", 1, load="y"),
            row(3, "c", 1, load="y"),
        )

    def test_an_older_row_does_not_win_and_null_is_the_oldest(self) -> None:
        options = replace(KEYED, newer="t")
        source = [row(1, "new", 1), row(2, "new", 2), row(3, "new", None), row(4, "new", 1)]
        target = [row(1, "old", 2), row(2, "old", 2), row(3, "old", 1), row(4, "old", None)]
        kept = [target[0], row(2, "new", 2), target[2], row(4, "new", 1)]
        check("incremental_merge", [], source, target, options, *kept)

    def test_nan_is_newer_than_null_alone(self) -> None:
        options, nan = replace(KEYED, newer="t"), Decimal("NaN")
        source = [row(1, "new", nan), row(2, "new", nan), row(3, "new", Decimal(1)), row(4, "new", None)]
        target = [row(1, "old", Decimal(1)), row(2, "old", None), row(3, "old", nan), row(4, "old", nan)]
        check("incremental_merge", [], source, target, options, target[0], source[1], source[2], target[3])

    def test_a_log_names_what_is_gone(self) -> None:
        options = replace(KEYED, names_deletes=True)
        target = [row(1), row(2), row(9)]
        check("incremental_merge", [row(1), row(2)], [row(1)], target, options, row(1), row(9))


class TestSnapshot:
    def test_inside_the_filter_the_keys_are_those_of_the_source(self) -> None:
        options = replace(KEYED, where=(("v", "=", "a"),))
        target = [row(1, "a", 0), row(2, "a"), row(3, "b")]
        check(
            "snapshot_diff",
            [],
            [row(1, "a", 1), row(4, "a"), row(5, "b")],
            target,
            options,
            row(1, "a", 1),
            row(4, "a"),
            row(3, "b"),
        )

    def test_deletions_are_flagged_once_and_cleared_on_return(self) -> None:
        target = [row(1, gone=None), row(2, gone=THEN), row(3, gone=THEN)]
        source = [row(3)]
        check("snapshot_diff", [], source, target, FLAGGED, row(1, gone=AT), row(2, gone=THEN), row(3, gone=None))

    def test_deletions_may_be_ignored(self) -> None:
        options = replace(KEYED, deletes="ignore", max_removed_share=0.0, allow_empty=False)
        check("snapshot_diff", [], [], [row(1)], options, row(1))
        check("snapshot_diff", [], [row(2)], [row(1)], options, row(1), row(2))

    def test_where_deletions_are_hard_no_flag_is_touched(self) -> None:
        options = replace(KEYED, deletes="hard", flag="gone")
        found = expected("snapshot_diff", [], [row(1, "new")], [row(1, "old", gone=THEN)], options)
        assert found == [row(1, "new", gone=THEN)]

    def test_only_rows_inside_the_filter_that_are_not_flagged_count_as_lost(self) -> None:
        options = replace(FLAGGED, where=(("v", "=", "a"),), max_removed_share=0.5)
        reached = [row(i, "a", gone=None) for i in range(4)]
        beside = [row(i, "b", gone=None) for i in range(10, 15)] + [row(i, "a", gone=THEN) for i in range(30, 50)]
        assert refusal("snapshot_diff", [], [row(0, "a")], [*reached, *beside], options) == "guard.removed_share"
        assert refusal("snapshot_diff", [], [row(0, "a"), row(1, "a")], [*reached, *beside], options) is None

    @pytest.mark.parametrize(
        "source,code",
        [
            ([row(1), row(1)], "stage.duplicate_key"),
            ([row(None)], "stage.null_key"),
            ([], "guard.empty"),
            ([row(1)], "guard.removed_share"),
            ([row(1), row(2)], None),
        ],
    )
    def test_what_has_to_be_refused(self, source: list[Row], code: str | None) -> None:
        options = replace(KEYED, max_removed_share=0.5, allow_empty=False)
        target = [row(i) for i in range(4)]
        assert refusal("snapshot_diff", [], source, target, options) == code
        if code is not None:
            assert [v.kind for v in violations("snapshot_diff", [], source, target, target, options)] == ["not_refused"]

    def test_the_last_of_duplicates_by_the_declared_order(self) -> None:
        options = replace(KEYED, duplicates="last", order=("t",))
        check("snapshot_diff", [], [row(1, "a", 1), row(1, "b", 2), row(1, "c", None)], [], options, row(1, "b", 2))
        nan, number = row(1, "a", Decimal("NaN")), row(1, "b", Decimal(1))
        for source in ([nan, number], [number, nan]):
            check("snapshot_diff", [], source, [], options, number)
        two = replace(options, order=("t", "v"))
        for source in ([row(1, "a", 1), row(1, "b", 1)], [row(1, "b", 1), row(1, "a", 1)]):
            check("snapshot_diff", [], source, [], two, row(1, "b", 1))
        assert refusal("snapshot_diff", [], [row(1, "a"), row(1, "b")], [], options) == "stage.duplicate_key"
        assert refusal("snapshot_diff", [], [row(1, "a"), row(1, "a")], [], options) is None


class TestChanges:
    def test_xmin_carries_what_was_written_and_leaves_the_rest(self) -> None:
        before, after = [row(1, "a"), row(2, "b"), row(3, "c")], [row(1, "a"), row(2, "B")]
        target = [row(1, "drifted"), row(2, "b"), row(3, "c")]
        check("xmin", before, after, target, KEYED, row(1, "drifted"), row(2, "B"), row(3, "c"))
        touched = replace(KEYED, touched=frozenset({(1,)}))
        check("xmin", before, after, target, touched, row(1, "a"), row(2, "B"), row(3, "c"))
        check("xmin", before, after, target, replace(KEYED, reconcile=True), row(1, "drifted"), row(2, "B"))

    def test_a_key_without_a_value_is_refused_wherever_it_is_read(self) -> None:
        nobody = [row(None)]
        assert refusal("xmin", nobody, nobody, [], replace(KEYED, reconcile=True)) == "stage.null_key"
        assert refusal("xmin", nobody, nobody, [], KEYED) is None, "it was not written"
        later = replace(KEYED, first=False)
        assert refusal("cdc", nobody, [], [], later) == "stage.null_key"
        assert refusal("cdc", nobody, [], [], replace(later, truncated=True)) is None, "no change names it"

    def test_cdc_begins_with_the_source_and_then_follows_it(self) -> None:
        check("cdc", [], [row(1)], [row(1), row(9)], KEYED, row(1))
        later = replace(KEYED, first=False)
        check(
            "cdc",
            [row(1, "a"), row(2)],
            [row(1, "b"), row(3)],
            [row(1, "a"), row(2), row(9)],
            later,
            row(1, "b"),
            row(3),
            row(9),
        )

    def test_a_truncated_source_takes_everything_with_it(self) -> None:
        options = replace(KEYED, first=False, truncated=True)
        check("cdc", [row(1)], [row(2)], [row(1), row(9)], options, row(2))
        check("cdc", [row(1, "a")], [row(1, "a")], [row(1, "drifted")], options, row(1, "a"))
        drifted = row(1, "drifted")
        check("cdc", [row(1, "a")], [row(1, "a")], [drifted], replace(options, truncated=False), drifted)
        stopped = replace(options, may_truncate=False)
        assert refusal("cdc", [row(1)], [row(2)], [], stopped) == "stage.truncated"

    def test_unsent_columns_keep_what_is_stored(self) -> None:
        options = replace(KEYED, first=False, unsent={(1,): frozenset({"v"})})
        check("cdc", [row(1, "a", 0)], [row(1, "a", 1)], [row(1, "kept", 0)], options, row(1, "kept", 1))
        assert refusal("cdc", [row(1, "a", 0)], [row(1, "a", 1)], [], options) == "stage.partial_without_base"


def version(id_: int, v: object, start: datetime | None, end: datetime | None = None) -> dict[str, object]:
    return row(id_, v, valid_from=start, valid_to=end)


class TestHistory:
    OPTIONS = replace(KEYED, compare=("v",))

    def test_what_changed_is_closed_and_opened(self) -> None:
        target = [version(1, "a", THEN), version(2, "b", THEN), version(3, "c", THEN), version(4, "d", THEN, AT)]
        source = [row(1, "a"), row(2, "B"), row(4, "d")]
        check(
            "scd2",
            [],
            source,
            target,
            self.OPTIONS,
            target[0],
            version(2, "b", THEN, AT),
            version(2, "B", AT),
            version(3, "c", THEN, AT),
            target[3],
            version(4, "d", AT),
        )
        keep = expected("scd2", [], [], target, replace(self.OPTIONS, absent="keep"))
        assert {r["id"] for r in keep if r["valid_to"] is None} == {1, 2, 3}

    @pytest.mark.parametrize(
        "target,code",
        [
            ([version(1, "a", AT.replace(year=2025))], "load.at_not_after"),
            ([version(1, "a", THEN, AT.replace(year=2025))], "load.at_not_after"),
            ([version(1, "a", AT)], "load.at_not_after"),
            ([version(1, "b", AT)], None),
            ([version(1, "a", THEN), version(1, "b", THEN)], "target.two_open_versions"),
        ],
    )
    def test_what_has_to_be_refused(self, target: list[Row], code: str | None) -> None:
        assert refusal("scd2", [], [row(1, "b")], target, self.OPTIONS) == code

    @pytest.mark.parametrize(
        "source,code",
        [
            ([], "guard.empty"),
            ([row(1, "a")], "guard.removed_share"),
            ([row(9, "new")], "guard.removed_share"),
            ([row(1, "B"), row(2, "B")], None),
        ],
    )
    def test_absent_keys_expire_up_to_a_share_of_the_open_versions(self, source: list[Row], code: str | None) -> None:
        open_, past = [version(i, "a", THEN) for i in range(4)], [version(i, "a", THEN, AT) for i in range(5, 20)]
        options = replace(self.OPTIONS, max_removed_share=0.5, allow_empty=False)
        assert refusal("scd2", [], source, [*open_, *past], options) == code
        assert refusal("scd2", [], source, past, options) is None
        assert refusal("scd2", [], source, [*open_, *past], replace(options, absent="keep")) is None

    def test_what_is_true_of_every_history(self) -> None:
        before = [version(1, "a", THEN, AT)]

        def kinds(*after: Row) -> set[str]:
            return {v.kind for v in violations("scd2", [], [], before, after, self.OPTIONS)}

        assert kinds(*before) == set()
        assert "history_changed" in kinds(version(1, "A", THEN, AT))
        assert "two_open" in kinds(*before, version(1, "b", AT), version(1, "c", AT))
        assert "overlapping" in kinds(*before, version(1, "b", THEN, AT))

    @pytest.mark.parametrize(
        "before,after,expected",
        [
            ([], [version(1, "b", AT), version(1, "a", THEN, AT), version(2, "c", None, THEN)], []),
            ([], [version(1, "b", THEN, AT), version(1, "a", None, THEN)], []),
            (
                [],
                [version(1, "a", THEN), version(1, "b", AT)],
                [
                    Violation("two_open", "a key has two open versions", (1,)),
                    Violation("overlapping", "two versions of a key are valid at one time", (1,)),
                ],
            ),
            (
                [],
                [version(2, "b", THEN), version(2, "a", THEN, AT)],
                [Violation("overlapping", "two versions of a key are valid at one time", (2,))],
            ),
            (
                [version(3, "a", THEN, AT), version(4, "open", THEN)],
                [],
                [Violation("history_changed", "a closed version is not there any more", (3,))],
            ),
        ],
    )
    def test_what_is_wrong_with_a_history_is_told_of_its_key(
        self, before: list[Row], after: list[Row], expected: list[Violation]
    ) -> None:
        assert list(history_violations(before, after, self.OPTIONS)) == expected


class TestViolations:
    def test_they_say_which_column_of_which_key_and_show_no_values(self) -> None:
        found = violations("full_refresh", [], [row(1, "secret", 5)], [], [row(1, "other", 5)], KEYED)
        assert found == [Violation("differs", "a row differs in v", (1,), row(1, "secret", 5), row(1, "other", 5))]
        assert "secret" not in repr(found)
        assert "other" not in repr(found)

    def test_missing_and_unexpected(self) -> None:
        found = violations("full_refresh", [], [row(1)], [], [row(2)], KEYED)
        assert found == [
            Violation("missing", "a row is not there", (1,), expected=row(1)),
            Violation("unexpected", "a row should not be there", (2,), found=row(2)),
        ]

    def test_every_column_that_differs_is_named(self) -> None:
        (found,) = violations("full_refresh", [], [row(1, "a", 1)], [], [row(1, "b", 2)], KEYED)
        assert found.detail == "a row differs in v, t"

    def test_a_load_that_had_to_be_refused_and_was_not(self) -> None:
        found = violations("full_refresh", [], [row(None)], [], [], KEYED)
        assert found == [Violation("not_refused", "the load had to end with stage.null_key")]


@pytest.mark.parametrize(
    "strategy,rows,closed",
    [
        ("full_refresh", 1000, 0),
        ("replace", 1000, 0),
        ("snapshot_diff", 1000, 0),
        ("cdc", 1000, 0),
        ("incremental_merge", 1050, 0),
        ("xmin", 1050, 0),
        ("incremental_append", 1150, 0),
        ("scd2", 1150, 150),
    ],
)
def test_the_volume_model_at_a_tenth(strategy: str, rows: int, closed: int) -> None:
    """Of 1,000 rows 1..50 are deleted, 51..150 updated, 1001..1050 inserted, as CERTIFICATION.md counts them."""
    before = [row(i, "was", 1) for i in range(1, 1001)]
    changed = [row(i, "is", 2) for i in (*range(51, 151), *range(1001, 1051))]
    after = [*before[150:], *changed]
    system: dict[str, Any] = {"valid_from": THEN, "valid_to": None} if strategy == "scd2" else {}
    key = () if strategy == "incremental_append" else ("id",)
    options = replace(PLAIN, key=key, first=False, cursor="t", since=2, max_removed_share=0.5, allow_empty=False)
    found = expected(strategy, before, after, [{**r, **system} for r in before], options)
    assert len(found) == rows
    assert sum(r.get("valid_to") is not None for r in found) == closed
