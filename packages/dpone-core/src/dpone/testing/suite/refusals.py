"""What a test says when something must be refused, and by which code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from dpone.errors import DponeError, PlanError, UsageError


@contextmanager
def refused(*codes: str) -> Iterator[None]:
    """The block ends with a DponeError of one of these codes."""
    with pytest.raises(DponeError) as caught:
        yield
    assert caught.value.code in codes, f"refused as {caught.value.code} ({caught.value}), expected {' or '.join(codes)}"


def code_of(act: Callable[[], object]) -> str:
    """The code of the error that it ends with."""
    with pytest.raises(DponeError) as caught:
        act()
    return caught.value.code


@contextmanager
def refused_before_work() -> Iterator[None]:
    """The block ends with an error that says the request itself cannot be."""
    with pytest.raises((UsageError, PlanError)):
        yield
