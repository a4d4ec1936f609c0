"""The next items are made in a thread of their own while the last ones are used: fetching, decoding, writing."""

from __future__ import annotations

from collections.abc import Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")

_DEPTH = 2  # batches that wait; more of them cost memory and gain nothing
_MOMENT = 0.1  # seconds after which a thread that waits looks whether it is still wanted


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items. When the caller goes away the thread ends, and with it what `items` holds open."""
    waiting: Queue[tuple[T] | BaseException | None] = Queue(_DEPTH)
    unwanted = Event()

    def put(item: tuple[T] | BaseException | None) -> None:
        while not unwanted.is_set():
            try:
                waiting.put(item, timeout=_MOMENT)
            except Full:
                continue
            return

    def fetch() -> None:
        try:
            for item in items:
                put((item,))
                if unwanted.is_set():
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001 - whoever waits for the items has to hear it
            put(error)
        finally:
            if (close := getattr(items, "close", None)) is not None:
                close()

    fetching = Thread(target=fetch, name="dpone-kafka-ahead", daemon=True)
    fetching.start()
    try:
        while True:
            try:
                found = waiting.get(timeout=_MOMENT)
            except Empty:
                continue
            if found is None:
                return
            if isinstance(found, BaseException):
                raise found
            yield found[0]
    finally:
        unwanted.set()
        fetching.join()
