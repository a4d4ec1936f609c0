from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from dpone_kafka.ahead import ahead


def test_the_items_come_in_order() -> None:
    assert list(ahead(iter(range(100)))) == list(range(100))


def test_an_error_comes_where_it_happened() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise LookupError

    found = ahead(broken())
    assert next(found) == 1
    with pytest.raises(LookupError):
        next(found)


def test_what_the_items_hold_open_is_closed_when_the_caller_goes_away() -> None:
    closed = []

    def endless() -> Iterator[int]:
        try:
            yield from count()
        finally:
            closed.append(True)

    found = ahead(endless())
    assert next(found) == 0
    found.close()  # type: ignore[attr-defined]  # a generator
    assert closed == [True]
