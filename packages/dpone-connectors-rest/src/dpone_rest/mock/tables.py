"""The collections of the mock service: records as JSON texts, cut into pages without being decoded."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

Query = Mapping[str, str]


class Tables:
    """Collections by name."""

    def __init__(self) -> None:
        self._rows: dict[str, list[str]] = {}
        self._fields: dict[tuple[str, str], tuple[list[str], list[Any]]] = {}  # of which rows, and what they hold

    def put(self, name: str, rows: Sequence[str]) -> None:
        """The collection holds these records, each the text of a JSON object."""
        self._rows[name] = list(rows)

    def rows(self, name: str) -> list[str] | None:
        return self._rows.get(name)

    def asked(self, name: str, query: Query) -> list[str] | None:
        """The records within `since` and `until` of the field `by`; None when there is no such collection.

        `since` is inclusive, `after` is not, `until` is not either; records without the field are outside.
        """
        rows = self._rows.get(name)
        tests = [(_TESTS[word], _ordered(query[word])) for word in _TESTS if word in query]
        if rows is None or not tests:
            return rows
        values = self._field(name, rows, query.get("by", "updated_at"))
        return [
            row
            for row, value in zip(rows, values, strict=True)
            if value is not None and all(holds(value, bound) for holds, bound in tests)
        ]

    def _field(self, name: str, rows: list[str], by: str) -> list[Any]:
        """What the records hold there; they are decoded once, however many pages are asked for."""
        of, values = self._fields.get((name, by), (None, []))
        if of is not rows:
            found = (json.loads(row, parse_float=Decimal).get(by) for row in rows)
            values = [None if value is None else _ordered(value) for value in found]
            self._fields[name, by] = rows, values
        return values


_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "since": lambda value, bound: value >= bound,
    "after": lambda value, bound: value > bound,
    "until": lambda value, bound: value < bound,
}


def _ordered(value: Any) -> Any:
    """A value that compares with others of its kind: a number, or an instant."""
    if isinstance(value, str):
        try:
            return Decimal(value)
        except ArithmeticError:
            at = datetime.fromisoformat(value)
            return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return Decimal(value)


def listed(rows: Sequence[str]) -> str:
    return "[" + ",".join(rows) + "]"
