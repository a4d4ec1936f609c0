"""The driver's errors as dpone's, told apart by SQLSTATE and never by their text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import psycopg

from dpone.errors import DataError, DponeError, PlanError, RemoteError

Side = Literal["source", "sink"]

_AUTH = frozenset({"28000", "28P01"})
_TABLE = frozenset({"42P01", "3F000"})
_CONFLICT = frozenset({"40001", "40P01"})
_VALUE_CLASSES = frozenset({"22", "23"})
_DEPENDENT = frozenset({"2BP01"})
_BUSY = frozenset({"55P03", "55006"})
_ENDED_BY_SERVER = frozenset({"57P01", "57P02", "57P03", "08000", "08003", "08006"})


@contextmanager
def translated(side: Side, label: str) -> Iterator[None]:
    """Within the context an error of the driver is one of dpone's, without its cause, which may hold values."""
    try:
        yield
    except psycopg.Error as error:
        raise translate(error, side, label) from None


def translate(error: psycopg.Error, side: Side, label: str) -> DponeError:
    """The error that a person can act on; `label` names the server without secrets."""
    state = error.sqlstate
    where: dict[str, Any] = {"server": label, "sqlstate": state, **_place(error)}
    if state is None or state in _ENDED_BY_SERVER:
        return RemoteError(
            f"the connection to {label} was lost",
            code=f"{side}.unreachable",
            hint="check that the server is up and run again; nothing of this load was published",
            retryable=True,
            **where,
        )
    if state in _AUTH:
        return refused_login(side, label, state)
    if state == "42501":
        return RemoteError(
            f"{label} does not allow this: {_told(error)}",
            code=f"{side}.not_allowed",
            hint="grant the right to the connection's user",
            **where,
        )
    if state in _TABLE:
        return PlanError(
            _told(error), code=f"{side}.table_missing", hint="check the schema and the table's name", **where
        )
    if state == "42704":
        return PlanError(
            f"{label}: {_told(error)}",
            code=f"{side}.missing_object",
            hint="create it there first, or cast the column under `columns:`",
            **where,
        )
    if state in _DEPENDENT or state == "0A000":
        return PlanError(
            f"{label} refuses the change: {_told(error)}",
            code=f"{side}.dependent_objects",
            hint="drop or change what depends on the table, and run again",
            **where,
        )
    if state in _CONFLICT:
        return RemoteError(
            f"{label} stopped the transaction for another one",
            code=f"{side}.serialization",
            hint="run again",
            retryable=True,
            **where,
        )
    if state in _BUSY:
        return RemoteError(
            f"{label}: somebody else holds what is needed",
            code=f"{side}.locked",
            hint="raise `lock_timeout`, or run when the other one is done",
            retryable=True,
            **where,
        )
    if state == "57014":
        return RemoteError(
            f"{label} cancelled a statement that took too long",
            code=f"{side}.timeout",
            hint="raise `limits: {statement_timeout: ...}`",
            **where,
        )
    if state[:2] in _VALUE_CLASSES:
        return DataError(
            f"{label} cannot take a value{_column(error)} (SQLSTATE {state})",
            code=f"{side}.rejected_rows",
            hint="the server's own message is left out because it may hold the value; look at the named column",
            **where,
        )
    return RemoteError(f"{label} answered: {_told(error)}", code=f"{side}.refused", **where)


def refused_login(side: Side, label: str, state: str) -> RemoteError:
    return RemoteError(
        f"{label} does not accept the user or the password",
        code=f"{side}.login_refused",
        hint="check the connection's user and password; nothing was read or written",
        server=label,
        sqlstate=state,
    )


def unreachable(side: Side, label: str) -> RemoteError:
    return RemoteError(
        f"no PostgreSQL server answers at {label}",
        code=f"{side}.unreachable",
        hint="check host, port and TLS settings, and that the server is up",
        retryable=True,
        server=label,
    )


def not_a_database(side: Side, label: str) -> RemoteError:
    return RemoteError(
        f"the server has no database of that name: {label}",
        code=f"{side}.database_missing",
        hint="check the connection's `database`",
        server=label,
        sqlstate="3D000",
    )


def _told(error: psycopg.Error) -> str:
    """The server's primary message: used only for classes of errors that hold no row values."""
    return error.diag.message_primary or "it refused without a reason"


def _place(error: psycopg.Error) -> dict[str, object]:
    found = {"table": error.diag.table_name, "column": error.diag.column_name, "constraint": error.diag.constraint_name}
    return {name: value for name, value in found.items() if value}


def _column(error: psycopg.Error) -> str:
    """The column, from the server's fields or, in COPY, from its context line: `COPY t, line 1, column c: ...`."""
    if error.diag.column_name:
        return f" in column {error.diag.column_name}"
    context = error.diag.context or ""
    head = context.partition("\n")[0]
    if head.startswith("COPY ") and ", column " in head:
        return " in column " + head.partition(", column ")[2].partition(":")[0].strip()
    return ""
