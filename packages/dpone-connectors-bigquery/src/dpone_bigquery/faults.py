"""The service's and the network's errors as dpone's, told apart by their reasons and never by their text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from requests.exceptions import RequestException

from dpone.again import CODE as SERIALIZATION
from dpone.books import held_elsewhere
from dpone.errors import DataError, DponeError, PlanError, RemoteError, StateError

_HTTP_REASONS = {401: "authError", 403: "accessDenied", 404: "notFound", 409: "duplicate", 412: "conditionNotMet"}
_SERVERS_FAULT = 500
_BUSY = frozenset({"rateLimitExceeded", "jobRateLimitExceeded", "backendError", "internalError", "jobBackendError"})
_SPENT = frozenset({"quotaExceeded", "billingTierLimitExceeded", "bytesBilledLimitExceeded", "resourcesExceeded"})
_DENIED = frozenset({"accessDenied", "billingNotEnabled", "blocked"})
# Both have no reason of their own: the interface says `invalidQuery` and names them in the text alone, which has read
# so for years. Only a retry hangs on it, and a retry begins from what is stored.
_CONCURRENT = ("aborted due to concurrent", "Could not serialize access")


@contextmanager
def translated(label: str) -> Iterator[None]:
    """Within the context an error of the client is one of dpone's, without its text, which may hold values."""
    try:
        yield
    except exceptions.GoogleAPICallError as error:
        raise from_answer(error, label) from None
    except GoogleAuthError as error:
        raise RemoteError(
            f"no credentials for {label}: {type(error).__name__}",
            code="sink.login_refused",
            hint="`gcloud auth application-default login`, or `auth: key` with `credentials_file` in the connection",
        ) from None
    except TimeoutError:  # of our own patience with a job; that of a request is an error of requests
        raise _timeout(label, "timeout") from None
    except (RequestException, exceptions.RetryError, OSError):
        raise unreachable(label) from None


def reason_of(error: exceptions.GoogleAPICallError) -> str:
    """The reason that the service gives, or what its status amounts to."""
    for detail in error.errors or ():
        if isinstance(detail, Mapping) and detail.get("reason"):
            return str(detail["reason"])
    status = int(error.code or 0)
    return _HTTP_REASONS.get(status, "backendError" if status >= _SERVERS_FAULT else "invalid")


def from_answer(error: exceptions.GoogleAPICallError, label: str) -> DponeError:
    """The error that a person can act on; `label` names the project without secrets."""
    reason = reason_of(error)
    if reason == "invalidQuery" and any(words in str(error.message) for words in _CONCURRENT):
        return RemoteError(
            f"{label} gave up the transaction for the sake of another one",
            code=SERIALIZATION,
            hint="run again; let nobody else write the target while a load is published",
            retryable=True,
        )
    made = _FAULTS.get(reason)
    if made is not None:
        return made(label, reason)
    if reason in _DENIED:
        return _denied(label, reason)
    if reason in _BUSY:
        return _busy(label, reason)
    if reason in _SPENT:
        return _spent(label, reason)
    return RemoteError(
        f"{label} refuses a job or a request: {reason}",
        code="sink.refused",
        hint="the job's page in the console tells more: https://cloud.google.com/bigquery/docs/error-messages",
        reason=reason,
    )


def _missing(label: str, reason: str) -> DponeError:
    return PlanError(
        f"{label} has no such dataset, table, job or session",
        code="sink.table_missing",
        hint="check the project, the dataset and its location; dpone makes tables and no datasets",
        reason=reason,
    )


def _login(label: str, reason: str) -> DponeError:
    return RemoteError(
        f"{label} refuses the credentials",
        code="sink.login_refused",
        hint="check `auth` of the connection and that the key is not revoked",
        reason=reason,
    )


def _denied(label: str, reason: str) -> DponeError:
    return RemoteError(
        f"{label} does not allow this ({reason})",
        code="sink.not_allowed",
        hint="grant roles/bigquery.jobUser on the project and roles/bigquery.dataEditor on the dataset",
        reason=reason,
    )


def _busy(label: str, reason: str) -> DponeError:
    return RemoteError(
        f"{label} is busy or has a fault of its own ({reason})",
        code="sink.unavailable",
        hint="run again later; nothing of a load that failed is seen",
        retryable=True,
        reason=reason,
    )


def _spent(label: str, reason: str) -> DponeError:
    return RemoteError(
        f"{label} has used up a quota or a limit ({reason})",
        code="sink.limit",
        hint="raise the quota or `maximum_bytes_billed` of the connection, or load less at once",
        reason=reason,
    )


def _rejected(label: str, reason: str) -> DponeError:
    return DataError(
        f"{label} does not take a value, or a statement of the load ({reason})",
        code="sink.rejected_rows",
        hint="correct the rows at the source, or cast the column under `columns:`",
        reason=reason,
    )


def _stopped(label: str, reason: str) -> DponeError:
    return RemoteError(
        f"{label}: the job was stopped there", code="sink.cancelled", hint="run again", retryable=True, reason=reason
    )


def _timeout(label: str, reason: str) -> DponeError:
    return RemoteError(
        f"{label} gave up a job that took too long",
        code="sink.timeout",
        hint="raise `job_timeout` of the connection",
        reason=reason,
    )


def _there(label: str, reason: str) -> DponeError:
    return StateError(
        f"{label} has this already: somebody else made it meanwhile",
        code="sink.concurrent_writer",
        hint="run again; let nobody else write the target while a load is published",
        reason=reason,
    )


def _streaming(label: str, reason: str) -> DponeError:
    return RemoteError(
        f"{label}: rows that were streamed into the table lately cannot be changed yet",
        code="sink.in_use",
        hint="run again half an hour after the last row was streamed",
        retryable=True,
        reason=reason,
    )


_FAULTS: Mapping[str, Callable[[str, str], DponeError]] = {
    "notFound": _missing,
    "authError": _login,
    "required": _login,
    "invalid": _rejected,
    "invalidQuery": _rejected,
    "notImplemented": _rejected,
    "duplicate": _there,
    "conditionNotMet": _there,
    "stopped": _stopped,
    "timeout": _timeout,
    "resourceInUse": _streaming,
    "tableUnavailable": _busy,
}


def unreachable(label: str) -> DponeError:
    return RemoteError(
        f"{label} does not answer, or the connection was lost",
        code="sink.unreachable",
        hint="check the network and the `endpoint`; nothing of a load that failed is seen",
        retryable=True,
    )


def leased(target: str) -> StateError:
    return held_elsewhere(
        target, "wait until it is done; the lease of a run that was killed elsewhere ends by itself after a minute"
    )
