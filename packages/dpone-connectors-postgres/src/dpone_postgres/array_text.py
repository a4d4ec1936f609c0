"""The text of PostgreSQL's arrays: `{1,NULL,"a b"}` read and written."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^",{}]+)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_MUST_ESCAPE = re.compile(r'(["\\])')


def parse_array(text: str) -> list[str | None]:
    """The elements' texts. An array of several dimensions, or one that does not count from one, is a ValueError."""
    if not text.startswith("{") or not text.endswith("}"):
        raise ValueError("an array with bounds of its own")
    elements: list[str | None] = []
    at, end = 1, len(text) - 1
    while at < end:
        found = _ELEMENT.match(text, at, end)
        if found is None:
            raise ValueError("an array of several dimensions")
        quoted, plain = found.groups()
        elements.append(_ESCAPED.sub(r"\1", quoted) if quoted is not None else None if plain == "NULL" else plain)
        at = found.end() + 1
    return elements


def print_array(elements: Iterable[str | None]) -> str:
    """The text that the server reads as an array of these elements."""
    return "{" + ",".join("NULL" if e is None else _quoted(e) for e in elements) + "}"


def _quoted(element: str) -> str:
    return '"' + _MUST_ESCAPE.sub(r"\\\1", element) + '"'
