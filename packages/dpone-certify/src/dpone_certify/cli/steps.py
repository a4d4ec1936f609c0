"""A bar at a terminal that says how far a certification has come; elsewhere nothing is said."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


@contextmanager
def counting(cases: int) -> Iterator[Callable[[str, str], None]]:
    """Within the context, each case that is told of moves the bar, and its step is shown beside it."""
    if not sys.stderr.isatty():
        yield lambda _case, _step: None
        return
    seen: set[str] = set()
    with click.progressbar(
        length=cases, label="certifying", file=sys.stderr, item_show_func=lambda item: item or ""
    ) as bar:

        def told(case: str, step: str) -> None:
            bar.update(int(case not in seen), current_item=f"{case}: {step}")
            seen.add(case)

        yield told
