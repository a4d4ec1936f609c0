"""What every source asks of a cursor before it reads since one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import chain, repeat

import pytest

from dpone.batch import ARROW
from dpone.connector import Cursor, Dataset, Late, Position, ReadRequest
from dpone.cursors import cursor_of, refuse_lag, wait_for_writers, window
from dpone.errors import DponeError, RemoteError
from dpone.schema import FLOAT64, INT64, STRING, Field, Schema, Type, parse_type
from dpone.strategies import Read

SCHEMA = Schema((Field("id", INT64), Field("at", parse_type("timestamp(6)")), Field("text", STRING)))


def request(cursor: Cursor | None, stored: str | None = None) -> ReadRequest:
    since = None if stored is None else Position(Read.SINCE, {"column": stored, "value": "1"})
    return ReadRequest(Dataset(("t",)), Read.SINCE, (), ARROW, cursor=cursor, since=since)


def test_a_cursor_is_found_with_its_column() -> None:
    cursor = Cursor("at", lag=timedelta(minutes=5))
    assert cursor_of(request(cursor, "at"), SCHEMA) == (cursor, SCHEMA["at"])


@pytest.mark.parametrize(
    "cursor,stored,code",
    [
        (None, None, "plan.cursor_missing"),
        (Cursor("absent"), None, "plan.cursor_missing"),
        (Cursor("id", lag=timedelta(minutes=5)), None, "plan.wrong_lag"),
        (Cursor("id"), "at", "source.cursor_changed"),
    ],
)
def test_a_cursor_that_cannot_be_read_by_is_refused(cursor: Cursor | None, stored: str | None, code: str) -> None:
    with pytest.raises(DponeError) as refused:
        cursor_of(request(cursor, stored), SCHEMA)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "late,stored,hi,greatest,terms,reached",
    [
        (Late.OVERLAP, None, None, "9", ["c <= 9"], "9"),  # a first load
        (Late.OVERLAP, "5", None, "9", ["c >= 5-2", "c <= 9"], "9"),  # the lag is read again
        (Late.OVERLAP, "5", None, "4", ["c >= 5-2", "c <= 4"], "5"),  # newer rows are gone: the position stays
        (Late.OVERLAP, "5", None, None, ["1 = 0"], "5"),
        (Late.OVERLAP, None, None, None, ["1 = 0"], None),
        (Late.OVERLAP, "5", "8", "9", ["c >= 5-2", "c < 8"], "8"),  # who has a bound is read up to it
        (Late.HOLD_BACK, None, "8", "9", ["c < 8"], "8"),
        (Late.HOLD_BACK, "5", "8", "9", ["c >= 5", "c < 8"], "8"),  # never a row twice
        (Late.HOLD_BACK, "8", "8", "9", ["1 = 0"], "8"),
        (Late.HOLD_BACK, "9", "8", "9", ["1 = 0"], "9"),  # the bound went back, and the position does not
        (Late.HOLD_BACK, "5", None, "9", ["1 = 0"], "5"),
    ],
)
def test_a_window_is_what_comes_behind_the_stored_value(
    late: Late, stored: str | None, hi: str | None, greatest: str | None, terms: list[str], reached: str | None
) -> None:
    found = window(
        Cursor("c", late, 2),
        "c",
        stored,
        hi,
        literal=str,
        less=lambda text, lag: f"{text}-{lag}",
        is_less=lambda one, other: int(one) < int(other),
        greatest=lambda: greatest,
    )
    assert found == (terms, reached)


@pytest.mark.parametrize("of", ["int64", "uint8", "decimal(9,2)"])
def test_numbers_are_counted_back_by_numbers(of: str) -> None:
    refuse_lag(5, "c", parse_type(of))
    with pytest.raises(DponeError):
        refuse_lag(timedelta(seconds=5), "c", parse_type(of))


@pytest.mark.parametrize("of", ["date", "timestamp(6)", "timestamptz(9)"])
def test_times_are_counted_back_by_durations(of: str) -> None:
    refuse_lag(timedelta(seconds=5), "c", parse_type(of))
    with pytest.raises(DponeError):
        refuse_lag(5, "c", parse_type(of))


@pytest.mark.parametrize("of", [STRING, FLOAT64, parse_type("time(6)")])
@pytest.mark.parametrize("lag", [5, timedelta(seconds=5)])
def test_nothing_else_is_counted_back(of: Type, lag: timedelta | int) -> None:
    refuse_lag(0, "c", of)
    with pytest.raises(DponeError):
        refuse_lag(lag, "c", of)


def test_only_those_who_were_writing_at_first_are_waited_for() -> None:
    answers: Iterator[set[int]] = iter([{1, 2}, {2, 3}, {3, 4}])
    wait_for_writers(lambda: next(answers), timedelta(seconds=60))
    assert next(answers, None) is None


def test_a_writer_that_stays_is_waited_for_no_longer_than_asked() -> None:
    answers = chain([{1, 2}], repeat({2}))
    with pytest.raises(RemoteError, match=r"^1 writer") as refused:
        wait_for_writers(lambda: next(answers), timedelta(milliseconds=60))
    assert (refused.value.code, refused.value.retryable) == ("source.running_writers", True)
