"""The usual failures: each number, and each SQLSTATE of a driver that keeps the number to itself, has its own code."""

from __future__ import annotations

import pytest

from dpone.errors import DataError, PlanError, RemoteError
from dpone_mssql.faults import _LOST, _STATES, CONFLICT, FAILURES, Side, login_failed, number_of, translate

USUAL = [
    (18456, RemoteError, "sink.login_refused"),
    (18452, RemoteError, "sink.login_refused"),
    (18487, RemoteError, "sink.login_refused"),
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
        ("28000", "source.login_refused"),
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


@pytest.mark.parametrize("number", sorted(FAILURES))
@pytest.mark.parametrize("side", ["source", "sink"])
def test_every_number_has_a_code_of_its_side_and_says_no_value(number: int, side: Side) -> None:
    found = translate(Exception("HY000", f"{SECRET} ({number}) (SQLExecDirectW)"), side, "server/db")
    assert found.code == (f"{side}.{FAILURES[number].code}" if number != CONFLICT else "state.conflict")
    assert found.hint
    assert found.context["number"] == number
    assert str(number) in str(found)
    assert SECRET not in f"{found} {found!r} {found.context}"


@pytest.mark.parametrize("state", sorted({*_STATES, *_LOST}))
def test_every_state_is_read_from_both_drivers(state: str) -> None:
    from mssql_python.exceptions import sqlstate_to_exception

    code = "sink.unreachable" if state in _LOST else f"sink.{FAILURES[_STATES[state]].code}"
    assert translate(Exception(state, SECRET), "sink", "server/db").code == code  # as pyodbc has it
    own = sqlstate_to_exception(state, SECRET)
    if own is not None:  # mssql-python has labels for most of them
        assert translate(own, "sink", "server/db").code.startswith("sink.")
        assert SECRET not in str(translate(own, "sink", "server/db"))


@pytest.mark.parametrize(
    "state, code",
    [("28000", "source.login_refused"), ("42000", "source.database_missing"), ("HYT00", "source.unreachable")],
)
def test_a_login_that_failed_without_a_number(state: str, code: str) -> None:
    assert login_failed(Exception(state, SECRET), "source", "server/db").code == code


def test_retryable_failures_are_said_to_be() -> None:
    assert {n for n, f in FAILURES.items() if f.retryable} >= {1205, 1222, 3960, 9002}


def test_numbers_are_read_where_drivers_put_them() -> None:
    assert number_of(Exception("42S02", "[42S02] ... Invalid object name 'x'. (208) (SQLExecDirectW)")) == 208
    assert number_of(Exception("Sql Error: 2627: Class 14: State 1: ...")) == 2627
    assert number_of(Exception("nothing of the kind")) == 0
