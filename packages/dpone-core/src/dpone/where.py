"""A row filter as data: a conjunction of simple conditions that every source, every sink and the oracle read alike.

Never free SQL. A row matches when every condition is true; a comparison with NULL is not true. Order is asked only of
numbers, dates, times and instants, because engines do not agree on the order of text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

Row = Mapping[str, object]


class Compare(Enum):
    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    IN = "in"
    NOT_IN = "not_in"
    IS_NULL = "is_null"
    NOT_NULL = "not_null"


ORDERED = frozenset({Compare.LT, Compare.LE, Compare.GT, Compare.GE})


@dataclass(frozen=True, slots=True)
class Condition:
    """`value` is absent for is_null and not_null and a tuple for in and not_in."""

    column: str
    op: Compare
    value: object = None

    def __str__(self) -> str:
        return f"{self.column} {self.op.value}" + ("" if self.value is None else f" {self.value!r}")


Where = tuple[Condition, ...]


def matches(row: Row, where: Where) -> bool:
    """True when every condition is true for the row."""
    return all(_true(row[c.column], c) for c in where)


def _true(found: object, condition: Condition) -> bool:
    value = condition.value
    if condition.op is Compare.IS_NULL:
        return found is None
    if found is None:
        return False
    match condition.op:
        case Compare.NOT_NULL:
            return True
        case Compare.EQ:
            return found == value
        case Compare.NE:
            return found != value
        case Compare.IN:
            return found in _values(value)
        case Compare.NOT_IN:
            return found not in _values(value)
        case Compare.LT:
            return found < value  # type: ignore[operator,no-any-return]  # the plan asks order of comparable types only
        case Compare.LE:
            return found <= value  # type: ignore[operator,no-any-return]  # likewise
        case Compare.GT:
            return found > value  # type: ignore[operator,no-any-return]  # likewise
        case _:
            return found >= value  # type: ignore[operator,no-any-return]  # likewise


def _values(value: object) -> tuple[object, ...]:
    assert isinstance(value, tuple)
    return value
