"""The usual failures: each number, and each SQLSTATE of a driver that keeps the number to itself, has its own code."""

from __future__ import annotations

import pytest

from dpone.errors import DataError, PlanError, RemoteError
from dpone_mssql.faults import FAILURES, number_of, translate

USUAL = [
    (18456, RemoteError, "sink.auth_failed"),
    (18452, RemoteError, "sink.auth_failed"),
    (18487, RemoteError, "sink.auth_failed"),
    (4060, RemoteError, "sink.database_missing"),
    (229, RemoteError, "sink.not_allowed"),
    (262, RemoteError, "sink.not_allowed"),
    (208, PlanError, "sink.table_missing"),
    (2760, PlanError, "sink.table_missing"),
    (207, PlanError, "sink.missing_object"),
    (2812, PlanError, "sink.missing_object"),
    (1205, RemoteError, "sink.serialization"),
    (3960, RemoteError, "sink.serialization"),
    (1222, RemoteError, "sink.locked"),
    (9002, RemoteError, "sink.no_space"),
    (1105, RemoteError, "sink.no_space"),
    (701, RemoteError, "sink.no_space"),
    (2627, DataError, "sink.rejected_rows"),
    (2601, DataError, "sink.rejected_rows"),
    (515, DataError, "sink.rejected_rows"),
    (547, DataError, "sink.rejected_rows"),
    (2628, DataError, "sink.rejected_rows"),
    (8152, DataError, "sink.rejected_rows"),
    (8115, DataError, "sink.rejected_rows"),
    (241, DataError, "sink.rejected_rows"),
    (3906, RemoteError, "sink.read_only"),
    (3952, PlanError, "sink.no_snapshot"),
    (3729, PlanError, "sink.dependent_objects"),
    (313, RemoteError, "sink.changes_lost"),
]
SECRET = "a value of the row"


@pytest.mark.parametrize("number, kind, code", USUAL)
def test_a_number_has_its_code_and_advice(number: int, kind: type[Exception], code: str) -> None:
    found = translate(Exception("HY000", SECRET), "sink", "server/db", number)
    assert isinstance(found, kind)
    assert found.code == code
    assert found.hint
    assert SECRET not in str(found)


@pytest.mark.parametrize(
    "state, code",
    [
        ("28000", "source.auth_failed"),
        ("42S02", "source.table_missing"),
        ("40001", "source.serialization"),
        ("23000", "source.rejected_rows"),
        ("22001", "source.rejected_rows"),
        ("HYT00", "source.timeout"),
        ("08S01", "source.unreachable"),
        ("08001", "source.unreachable"),
    ],
)
def test_a_state_will_do_where_no_number_is_known(state: str, code: str) -> None:
    found = translate(Exception(state, SECRET), "source", "server/db")
    assert found.code == code
    assert SECRET not in str(found)


def test_retryable_failures_are_said_to_be() -> None:
    assert {n for n, f in FAILURES.items() if f.retryable} >= {1205, 1222, 3960, 9002}


def test_numbers_are_read_where_drivers_put_them() -> None:
    assert number_of(Exception("42S02", "[42S02] ... Invalid object name 'x'. (208) (SQLExecDirectW)")) == 208
    assert number_of(Exception("Sql Error: 2627: Class 14: State 1: ...")) == 2627
    assert number_of(Exception("nothing of the kind")) == 0
