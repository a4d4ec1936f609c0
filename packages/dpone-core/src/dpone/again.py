"""A final transaction that a server stopped for the sake of another one is carried out anew, a few times."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from dpone.errors import RemoteError

ATTEMPTS = 5
CODE = "sink.serialization"  # that of a serialization failure or a deadlock, at every sink

T = TypeVar("T")


def was_stopped_for_another(error: BaseException) -> bool:
    """The server undid the transaction, and says so. A lost answer is something else: the commit may have happened."""
    return isinstance(error, RemoteError) and error.retryable and error.code == CODE


def carried_through(attempt: Callable[[], T], before_each: Callable[[], None]) -> T:
    """What the first attempt gave that was not stopped, or the error of the last one."""
    try:
        return attempt()
    except RemoteError as error:
        if not was_stopped_for_another(error):
            raise
    from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential  # 30 ms, seldom

    retrying = Retrying(
        stop=stop_after_attempt(ATTEMPTS - 1),
        wait=wait_random_exponential(multiplier=0.1, max=2),
        retry=retry_if_exception(was_stopped_for_another),
        before=lambda _: before_each(),
        reraise=True,
    )
    return retrying(attempt)
