"""The server's and the network's errors as dpone's, told apart by the server's numbers and never by their text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import Literal

from dpone.errors import DataError, DponeError, PlanError, RemoteError
from dpone.stage import null_key
from dpone.tls import not_trusted
from dpone_clickhouse.driver import errors

Side = Literal["source", "sink"]

RUNNING_ALREADY = 216  # QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING
TABLE_EXISTS = 57
NULL_KEY = 395  # FUNCTION_THROW_IF_VALUE_IS_NON_ZERO, which our own statement asks for such a row alone
UNKNOWN_TABLE = frozenset({60, 81})
_LOGIN = frozenset({192, 193, 194, 195, 516})
_NOT_ALLOWED = frozenset({164, 291, 392, 497})  # 164 READONLY
_TIMEOUT = frozenset({159, 160, 209})
_MEMORY = frozenset({241, 307, 396, 158, 243})
_CANCELLED = frozenset({236, 394})
_NETWORK = frozenset({210, 32, 95, 101, 102, 279, 499, 999})
_QUERY = frozenset({36, 42, 43, 46, 47, 48, 53, 62, 184, 207, 215, 386})
_VALUES = frozenset(
    {6, 26, 27, 33, 38, 41, 69, 70, 72, 117, 131, 153, 190, 246, 275, 321, 349, 376, 407, 441, 467, 675, 676, 691}
)


@contextmanager
def translated(side: Side, label: str) -> Iterator[None]:
    """Within the context an error of the driver is one of dpone's, without its cause, which may hold values."""
    try:
        yield
    except errors.ServerException as error:
        raise from_server(error.code or 0, side, label) from None
    except (errors.Error, OSError, EOFError, HTTPException):
        raise unreachable(side, label) from None


def from_server(code: int, side: Side, label: str) -> DponeError:
    """The error that a person can act on, by the server's number for it; `label` names the server without secrets."""
    if code in _LOGIN:
        return RemoteError(
            f"{label} refuses the login",
            code=f"{side}.login_refused",
            hint="check user, password and database of the connection",
            number=code,
        )
    if code in _NOT_ALLOWED:
        return RemoteError(
            f"{label} does not allow this (error {code})",
            code=f"{side}.not_allowed",
            hint="grant the right to the connection's user",
            number=code,
        )
    if code in UNKNOWN_TABLE:
        return PlanError(
            f"{label} has no such table or database (error {code})",
            code=f"{side}.table_missing",
            hint="check the database and the table's name",
            number=code,
        )
    if code in _TIMEOUT:
        return RemoteError(
            f"{label} gave up a statement that took too long",
            code=f"{side}.timeout",
            hint="raise `limits: {statement_timeout: ...}`, or the server's own limit",
            number=code,
        )
    if code in _MEMORY:
        return RemoteError(
            f"{label} needs more for a statement than its limits allow (error {code})",
            code=f"{side}.limit",
            hint="raise the server's limit, for this connection by `settings: {max_memory_usage: ...}`",
            number=code,
        )
    if code == NULL_KEY and side == "sink":
        return null_key("a column of the key")
    if code in _VALUES:
        return DataError(
            f"{label} does not take or cannot convert a value (error {code})",
            code="sink.rejected_rows" if side == "sink" else "source.value_unfit",
            hint="correct the rows at the source, or cast the column under `columns:`",
            number=code,
        )
    return _other(code, side, label)


def _other(code: int, side: Side, label: str) -> DponeError:
    if code in _CANCELLED:
        return RemoteError(
            f"{label}: the statement was cancelled there", code=f"{side}.cancelled", hint="run again", retryable=True
        )
    if code in _NETWORK:
        return unreachable(side, label)
    if code in _QUERY and side == "source":
        return PlanError(
            f"{label} cannot read it: error {code}",
            code="source.invalid_query",
            hint="write a single SELECT of columns that exist",
            number=code,
        )
    return RemoteError(
        f"{label} refuses a statement: error {code}",
        code=f"{side}.refused",
        hint="`SELECT * FROM system.errors` on the server says what the number means",
        number=code,
    )


def untrusted(side: Side, label: str, why: str) -> DponeError:
    hint = "check `ca_file`, `server_name` and `tls` of the connection; without `port` it is 9440, 9000 with `tls: off`"
    return not_trusted(side, label, why, hint)


def unreachable(side: Side, label: str) -> DponeError:
    return RemoteError(
        f"{label} does not answer, or the connection was lost",
        code=f"{side}.unreachable",
        hint="check host, ports and TLS, and that the server is up; nothing of a load that failed is seen",
        retryable=True,
    )
