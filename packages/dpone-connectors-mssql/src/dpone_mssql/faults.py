"""The drivers' errors as dpone's, told apart by SQL Server's number or by SQLSTATE and never by their text."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Literal

from msgspec import Struct

from dpone.errors import DataError, DponeError, PlanError, RemoteError, StateError

Side = Literal["source", "sink"]


class Failure(Struct, frozen=True):
    """What a number means: the error's class, the end of its code, what happened, and what to do."""

    kind: type[DponeError]
    code: str
    what: str
    hint: str
    retryable: bool = False


_LOGIN = "check the connection's `user`, `password` and `auth`; nothing was read or written"
_SPACE = "make room at the server, and run again"
_VALUE = "the server's own message is left out because it may hold the value; compare the types of the columns"
_AGAIN = "run again"
_LOCKED = "raise `lock_timeout`, or run when the other one is done"
_NAME = "check the schema and the table's name"
_GRANT = "grant the right to the connection's user"
_QUERY = "correct the manifest's `query`; if there is none, report it with the statement that `dpone plan` prints"

CONFLICT = 50990  # dpone's own number

FAILURES: dict[int, Failure] = {
    # who we are, and where
    18456: Failure(RemoteError, "login_refused", "does not accept the login", _LOGIN),
    18452: Failure(RemoteError, "login_refused", "does not trust the login's domain", _LOGIN),
    18470: Failure(RemoteError, "login_refused", "has disabled the login", _LOGIN),
    18486: Failure(RemoteError, "login_refused", "has locked the login out", _LOGIN),
    18487: Failure(RemoteError, "login_refused", "says that the password has expired", "set a new password"),
    18488: Failure(RemoteError, "login_refused", "says that the password must be changed", "set a new password"),
    4060: Failure(RemoteError, "database_missing", "has no such database, or not for us", "check `database`"),
    911: Failure(RemoteError, "database_missing", "has no such database", "check the connection's `database`"),
    916: Failure(RemoteError, "not_allowed", "does not let the login into the database", _GRANT),
    229: Failure(RemoteError, "not_allowed", "does not allow this", _GRANT),
    230: Failure(RemoteError, "not_allowed", "does not allow this of a column", _GRANT),
    262: Failure(RemoteError, "not_allowed", "does not allow the definition", _GRANT),
    297: Failure(RemoteError, "not_allowed", "does not allow this action", _GRANT),
    300: Failure(RemoteError, "not_allowed", "does not show its state to us", "grant VIEW DATABASE STATE"),
    1088: Failure(RemoteError, "not_allowed", "does not find the object, or does not allow it", _GRANT),
    2760: Failure(PlanError, "table_missing", "has no such schema, or not for us", _NAME),
    208: Failure(PlanError, "table_missing", "has no such table", _NAME),
    4902: Failure(PlanError, "table_missing", "has no such table to change", _NAME),
    15225: Failure(PlanError, "table_missing", "has nothing of that name to rename", _NAME),
    207: Failure(PlanError, "missing_object", "has no such column", "compare the columns of table and manifest"),
    2812: Failure(PlanError, "missing_object", "has no such procedure", "check the server's edition and version"),
    2714: Failure(RemoteError, "refused", "has an object of that name already", "rename it, or choose another target"),
    # who else is there
    1205: Failure(RemoteError, "serialization", "chose us as the victim of a deadlock", _AGAIN, retryable=True),
    3960: Failure(RemoteError, "serialization", "stopped a snapshot for another change", _AGAIN, retryable=True),
    3961: Failure(RemoteError, "serialization", "changed a table under a snapshot", _AGAIN, retryable=True),
    1222: Failure(RemoteError, "locked", "made us wait too long for a lock", _LOCKED, retryable=True),
    1223: Failure(RemoteError, "locked", "does not hold that lock for us", _AGAIN, retryable=True),
    3617: Failure(RemoteError, "timeout", "cancelled a statement that took too long", "raise `statement_timeout`"),
    3621: Failure(RemoteError, "refused", "ended the statement", _AGAIN),
    # room
    9002: Failure(RemoteError, "no_space", "has a full transaction log", _SPACE, retryable=True),
    1105: Failure(RemoteError, "no_space", "has a full filegroup", _SPACE, retryable=True),
    1101: Failure(RemoteError, "no_space", "has a full filegroup", _SPACE, retryable=True),
    701: Failure(RemoteError, "no_space", "has too little memory", _SPACE, retryable=True),
    8645: Failure(RemoteError, "no_space", "has no memory for the query now", _AGAIN, retryable=True),
    10928: Failure(RemoteError, "no_space", "has reached its limit of sessions", _AGAIN, retryable=True),
    40501: Failure(RemoteError, "unreachable", "is busy", _AGAIN, retryable=True),
    40613: Failure(RemoteError, "unreachable", "has the database not at hand now", _AGAIN, retryable=True),
    # values
    2627: Failure(DataError, "rejected_rows", "holds such a key already", _VALUE),
    2601: Failure(DataError, "rejected_rows", "holds such a row in a unique index", _VALUE),
    515: Failure(DataError, "rejected_rows", "takes no NULL in a column", _VALUE),
    547: Failure(DataError, "rejected_rows", "has a constraint against a row", _VALUE),
    2628: Failure(DataError, "rejected_rows", "would have to cut a text", _VALUE),
    8152: Failure(DataError, "rejected_rows", "would have to cut a text", _VALUE),
    4815: Failure(DataError, "rejected_rows", "takes no text that long", _VALUE),
    8115: Failure(DataError, "rejected_rows", "has no room for a number", _VALUE),
    220: Failure(DataError, "rejected_rows", "has no room for a number", _VALUE),
    245: Failure(DataError, "rejected_rows", "cannot convert a value", _VALUE),
    241: Failure(DataError, "rejected_rows", "cannot read a date", _VALUE),
    242: Failure(DataError, "rejected_rows", "has no such date in the type", _VALUE),
    295: Failure(DataError, "rejected_rows", "has no such smalldatetime", _VALUE),
    8114: Failure(DataError, "rejected_rows", "cannot convert a value", _VALUE),
    8134: Failure(DataError, "rejected_rows", "was asked to divide by zero", _VALUE),
    8169: Failure(DataError, "rejected_rows", "cannot read a uniqueidentifier", _VALUE),
    1946: Failure(PlanError, "dependent_objects", "has a limit to the length of a key", "choose a shorter key"),
    # what we asked for
    102: Failure(PlanError, "refused", "does not understand the statement", _QUERY),
    156: Failure(PlanError, "refused", "does not understand the statement", _QUERY),
    271: Failure(PlanError, "dependent_objects", "computes that column by itself", "leave it out under `columns:`"),
    273: Failure(PlanError, "dependent_objects", "makes a rowversion by itself", "leave it out under `columns:`"),
    544: Failure(PlanError, "dependent_objects", "numbers an identity column by itself", "leave the column out"),
    3729: Failure(PlanError, "dependent_objects", "has objects that depend on it", "drop or change what depends"),
    4922: Failure(PlanError, "dependent_objects", "has objects that depend on the column", "drop or change them"),
    5074: Failure(PlanError, "dependent_objects", "has objects that depend on the column", "drop or change them"),
    4711: Failure(PlanError, "dependent_objects", "does not truncate a published table", "delete its rows instead"),
    3906: Failure(RemoteError, "read_only", "is read-only", "name the primary replica"),
    3952: Failure(PlanError, "no_snapshot", "does not allow snapshot isolation", "use `isolation: read_committed`"),
    313: Failure(RemoteError, "changes_lost", "has thrown the changes away that we would read", "run `dpone resync`"),
    CONFLICT: Failure(StateError, "conflict", "holds another position than the one we began with", _AGAIN),
}
_STATES: dict[str, int] = {
    "28000": 18456,
    "40001": 1205,
    "42S02": 208,
    "42S22": 207,
    "42S01": 2714,
    "22001": 2628,
    "22003": 8115,
    "22007": 241,
    "22008": 242,
    "22012": 8134,
    "22018": 245,
    "23000": 2627,
    "HYT00": 3617,
    "HY008": 3617,
}
_AT_LOGIN: dict[str, int] = {"42000": 4060}  # a login that is known is refused for its database alone
_LOST = frozenset({"08S01", "08001", "08004", "08007", "08003", "HYT01", "01002"})
_IN_TEXT = re.compile(r"\((\d+)\) \(SQL|Sql Error: (\d+):")


def login_failed(error: Exception, side: Side, label: str) -> DponeError:
    """The error of a session that did not come about; to wait in vain means that nobody answers."""
    state = sqlstate(error)
    if state == "HYT00":
        return unreachable(side, label)
    return translate(error, side, label, number_of(error) or _AT_LOGIN.get(state or ""))


def translate(error: Exception, side: Side, label: str, number: int | None = None) -> DponeError:
    """The error that a person can act on; `label` names the server without secrets, `number` is what it said."""
    if isinstance(error, DponeError):
        return error
    state = sqlstate(error)
    known = number or number_of(error) or _STATES.get(state or "", 0)
    failure = FAILURES.get(known)
    where: dict[str, Any] = {"server": label, "number": known or None, "sqlstate": state}
    if failure is not None:
        code = f"{side}.{failure.code}" if known != CONFLICT else "state.conflict"
        more = {"retryable": True} if failure.retryable else {}
        return failure.kind(f"{label} {failure.what} ({known})", code=code, hint=failure.hint, **more, **where)
    if state in _LOST or state is None:
        return unreachable(side, label)
    return RemoteError(
        f"{label} answered with error {known or state}",
        code=f"{side}.refused",
        hint="look the number up in SQL Server's documentation",
        **where,
    )


def number_of(error: Exception) -> int:
    """SQL Server's number where the driver gives one, else 0."""
    found = _IN_TEXT.search(str(error.args[-1])) if error.args else None
    return 0 if found is None else int(found[1] or found[2])


def sqlstate(error: Exception) -> str | None:
    """Of an error of pyodbc, which has it in front, or of mssql-python, which has a fixed label for each."""
    label = getattr(error, "driver_error", None)
    if label is not None:
        return _labels().get(label)
    first = error.args[0] if error.args else None
    return first if isinstance(first, str) and len(first) == 5 else None  # noqa: PLR2004 - the length of an SQLSTATE


@cache
def _labels() -> dict[str, str]:
    """The SQLSTATE behind each of mssql-python's labels."""
    from mssql_python.exceptions import sqlstate_to_exception

    known = {state: sqlstate_to_exception(state, "") for state in (*_LOST, *_STATES, "42000", "HY000", "HY001")}
    return {found.driver_error: state for state, found in known.items() if found is not None}


def unreachable(side: Side, label: str) -> RemoteError:
    return RemoteError(
        f"no SQL Server answers at {label}, or not as `tls` asks",
        code=f"{side}.unreachable",
        hint="check host, port and `tls`, and that the server is up; nothing of this load was published",
        retryable=True,
        server=label,
    )


def rejected(side: Side, label: str, error: Exception) -> DataError:
    """A value that the client's own side of bulk copy refused."""
    return DataError(
        f"{label} cannot take a value",
        code=f"{side}.rejected_rows",
        hint="NaN and infinities have no place in SQL Server, nor numbers and texts beyond a column's size",
        server=label,
        cause=type(error).__name__,
    )
