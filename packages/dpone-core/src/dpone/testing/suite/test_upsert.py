"""Upsert against the oracle: the smallest change is seen, and what is equal is left alone."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from math import inf, isnan, nan

import pytest

from dpone.ops import (
    Flag,
    Upsert,
)
from dpone.oracle import Counts
from dpone.testing.suite.jobs import next_instant
from dpone.testing.suite.rig import SinkRig
from dpone.testing.suite.shapes import (
    COMPOSITE,
    MIXED,
    NOON,
    changed,
    gone,
    holdable,
    nan_of,
    row,
    rows,
)
from dpone.testing.suite.streams import require_partial, stream, stream_of, tagged


def test_upsert_exchanges_changed_rows_and_inserts_missing_ones(sink: SinkRig) -> None:
    s = stream_of(sink, (Upsert(("id",)),), MIXED, key=("id",))
    s.load(rows(1, 2, 3))
    s.load([row(2, region="moved"), row(3), row(4)])


@pytest.mark.parametrize(
    "column, before, after",
    [
        pytest.param("region", None, "", id="null_to_empty"),
        pytest.param("region", "", None, id="empty_to_null"),
        pytest.param("region", "a", "A", id="case"),
        pytest.param("region", "a", "a ", id="trailing_space"),
        pytest.param("region", "e\u0301", "\u00e9", id="unicode_form"),
        pytest.param("amount", None, Decimal("0.0000"), id="null_to_zero"),
        pytest.param("amount", Decimal("1.0001"), Decimal("1.0002"), id="last_digit"),
        pytest.param("score", None, nan, id="null_to_nan"),
        pytest.param("score", nan, 0.5, id="nan_to_number"),
        pytest.param("score", 0.1, 0.1 + 2**-56, id="next_float"),
        pytest.param("day", None, date(1970, 1, 1), id="null_to_epoch"),
        pytest.param("seen_at", NOON, NOON + timedelta(microseconds=1), id="microsecond"),
    ],
)
def test_upsert_sees_the_smallest_change(sink: SinkRig, column: str, before: object, after: object) -> None:
    if any(isinstance(v, float) and isnan(v) for v in (before, after)):
        nan_of(sink.kit)
    s = stream_of(sink, (Upsert(("id",)),), MIXED, key=("id",))
    s.load([row(1, **{column: before}), row(2)])
    s.load([row(1, **{column: after})])


def test_upsert_leaves_equal_rows_untouched(sink: SinkRig) -> None:
    s = stream_of(sink, (Upsert(("id",)),), MIXED, key=("id",))
    same = holdable(
        sink.kit,
        [
            row(1, region=None, amount=None, score=None, day=None, seen_at=None),
            row(2, score=nan, region=""),
            row(3, score=inf),
        ],
    )
    s.load(same)
    assert s.load(same).applied.counts == (Counts(),)


def test_upsert_goes_by_every_column_of_its_key(sink: SinkRig) -> None:
    s = stream_of(sink, (Upsert(("country", "number")),), COMPOSITE, key=COMPOSITE.key)
    s.load([{"country": "a", "number": 1, "note": "x"}, {"country": "a", "number": 2}, {"country": "A", "number": 1}])
    s.load([{"country": "a", "number": 1, "note": "y"}, {"country": "", "number": 1, "note": None}])


def test_upsert_with_newer_leaves_out_older_rows(sink: SinkRig) -> None:
    s = stream(sink, "incremental_merge", MIXED, newer="seen_at")
    s.load([row(1), row(2), row(3, seen_at=None), row(4), row(5)])
    hour = timedelta(hours=1)
    s.load(
        [
            row(1, region="newer", seen_at=NOON + 2 * hour),
            row(2, region="older", seen_at=NOON),
            row(3, region="was null", seen_at=NOON - hour),
            row(4, region="null is older", seen_at=None),
            row(5, region="equal wins"),
        ]
    )


def test_upsert_with_newer_holds_nan_newer_than_null_alone(sink: SinkRig) -> None:
    ages = (None, nan_of(sink.kit), -1e300, 0.5)
    pairs = [(stored, staged) for stored in ages for staged in ages]
    s = stream(sink, "incremental_merge", MIXED, newer="score")
    s.load([row(n, score=stored) for n, (stored, _) in enumerate(pairs)])
    s.load([row(n, score=staged, region="came later") for n, (_, staged) in enumerate(pairs)])


def test_upsert_keeps_stored_values_of_a_partial_row(sink: SinkRig) -> None:
    require_partial(sink)
    s = stream(sink, "cdc", MIXED)
    s.load([changed(1, 1, region="long"), changed(2, 2)])
    s.load([changed(1, 1, region="lost", score=9.0, kept=["region"])])


def test_a_key_that_returns_clears_its_flag(sink: SinkRig) -> None:
    s = stream(sink, "incremental_merge", MIXED, deletes=Flag("deleted_at", next_instant()))
    tagged(s)
    s.load([changed(1, 1), changed(2, 2)])
    s.load([gone(1, 1)], deletes=Flag("deleted_at", next_instant()))
    s.load([changed(1, 1)], deletes=Flag("deleted_at", next_instant()))
