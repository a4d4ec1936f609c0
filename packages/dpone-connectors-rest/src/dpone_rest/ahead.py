"""One call at a time in a thread of its own: the next page is on its way while the last one is being written."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """The thread is a daemon, and is not waited for: a run that was interrupted does not sit out a slow answer."""

    def __init__(self) -> None:
        self._orders: SimpleQueue[tuple[Callable[[], T], Future[T]] | None] = SimpleQueue()
        Thread(target=self._work, name="dpone-rest-ahead", daemon=True).start()

    def begin(self, call: Callable[[], T]) -> Callable[[], T]:
        """The call has begun; what is returned waits for its result."""
        future: Future[T] = Future()
        self._orders.put((call, future))
        return future.result

    def close(self) -> None:
        """No call follows."""
        self._orders.put(None)

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            call, future = order
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - whoever waits for the result has to hear it
                future.set_exception(error)
