"""Change Tracking before any server: what is asked for, and when it is refused."""

from __future__ import annotations

from typing import Any, cast

import pytest

from dpone.batch import ARROW
from dpone.connector import Column, Dataset, Position, ReadRequest
from dpone.errors import DataError, PlanError
from dpone.schema import INT64, STRING, Field, Schema
from dpone.strategies import Read
from dpone_mssql.catalog import Relation
from dpone_mssql.reading import begin_snapshot
from dpone_mssql.selecting import Subject
from dpone_mssql.session import Connection
from dpone_mssql.tracking import is_tracked, isolation_of, position, refuse_other_key, tracked_query, version_after

ORDERS = Relation(7, ("dbo", "or]ders"), "U", (), ("id", "line"), "PK")


class Answers:
    """A session that answers one row to whatever is asked, or fails."""

    def __init__(self, *row: object, error: Exception | None = None) -> None:
        self.row_ = row
        self.error = error
        self.asked: list[str] = []

    def one(self, text: str) -> tuple[object, ...]:
        self.asked.append(text)
        if self.error is not None:
            raise self.error
        return self.row_

    row = run = one


def session(*row: object, error: Exception | None = None) -> Any:
    return cast("Connection", Answers(*row, error=error))


def request(*key: str, **options: str) -> ReadRequest:
    columns = (Column("id", "id"), Column("line", "line"), Column("text", "name"))
    return ReadRequest(Dataset(("dbo", "or]ders"), options=options), Read.CHANGES, columns, ARROW, key=key)


def test_version_and_rows_are_of_one_moment_unless_the_manifest_says_otherwise() -> None:
    assert isolation_of(request()) == isolation_of(request(isolation="auto")) == "snapshot"
    assert isolation_of(request(isolation="read_committed")) == "read_committed"
    with pytest.raises(PlanError) as caught:
        begin_snapshot(session(0), isolation_of(request()))
    assert caught.value.code == "source.no_snapshot"
    assert "read_committed" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "least, now, lost", [(0, 9, False), (5, 9, False), (6, 9, True), (None, 9, True), (0, 4, True)]
)
def test_a_position_outside_of_what_is_kept_has_lost_changes(least: int | None, now: int, *, lost: bool) -> None:
    if not lost:
        assert version_after(session(now, least), ORDERS, position(5)) == now
        return
    with pytest.raises(DataError) as caught:
        version_after(session(now, least), ORDERS, position(5))
    assert caught.value.code == "source.changes_lost"


def test_a_first_load_begins_at_the_version_of_its_moment() -> None:
    assert version_after(session(9, 7), ORDERS, None) == 9
    assert version_after(session(None, None), ORDERS, None) == 0


def test_all_columns_of_the_loads_key_are_told_of_a_deleted_row() -> None:
    refuse_other_key(ORDERS, request("id", "line"))
    with pytest.raises(PlanError) as caught:
        refuse_other_key(ORDERS, request("text"))
    assert caught.value.code == "source.tracked_key"


def test_a_server_without_the_catalogue_view_tracks_nothing() -> None:
    assert is_tracked(session(1), 7)
    assert not is_tracked(session(error=PlanError("no such table", code="source.table_missing")), 7)


def test_the_query_keeps_the_key_of_rows_that_are_gone() -> None:
    schema = Schema((Field("id", INT64), Field("line", INT64), Field("name", STRING)), ("id", "line"))
    text = tracked_query(
        Subject(schema, ORDERS), ORDERS, request("id", "line"), Position(Read.CHANGES, {"version": 12})
    )
    assert "COALESCE(t.[id], c.[id]) AS [id]" in text
    assert "t.[name] AS [text]" in text
    assert "CHANGETABLE(CHANGES [dbo].[or]]ders], 12) AS c LEFT JOIN [dbo].[or]]ders] AS t" in text
    assert "ON t.[id] = c.[id] AND t.[line] = c.[line]" in text
