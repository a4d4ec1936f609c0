"""A row filter as data: a conjunction of simple conditions that every source, every sink and the oracle read alike.

Never free SQL. A row matches when every condition is true; a comparison with NULL is not true. Order is asked only of
numbers, dates, times and instants, because engines do not agree on the order of text. Nor do they on that of NaN: no
comparison of order with it is true, it is unlike every number, and nothing is compared with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from math import isnan

from msgspec import Struct

from dpone.errors import UsageError

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


class Condition(Struct, frozen=True):
    """`value` is absent for is_null and not_null and a tuple for in and not_in."""

    column: str
    op: Compare
    value: object = None

    def __post_init__(self) -> None:
        refuse_nan(self.column, self.value if isinstance(self.value, tuple) else (self.value,))

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
    if condition.op in ORDERED and is_nan(found):
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


def is_nan(value: object) -> bool:
    return value.is_nan() if isinstance(value, Decimal) else isinstance(value, float) and isnan(value)


def lies_within(value: object, lo: object, hi: object) -> bool:
    """True for lo <= value < hi, bounds of the value's own ordered type; NULL and NaN lie in no range."""
    return value is not None and not is_nan(value) and bool(lo <= value < hi)  # type: ignore[operator]  # see above


def refuse_nan(column: str, values: Iterable[object]) -> None:
    """Raises when one of the values is NaN."""
    for value in values:
        if is_nan(value):
            kind = type(value).__name__
            raise UsageError(
                f"{column}: {value!r} is not a value of {kind}",
                code="manifest.invalid_value",
                hint="nothing is compared with NaN: compare with a number, or leave the condition out",
            )


def _values(value: object) -> tuple[object, ...]:
    assert isinstance(value, tuple)
    return value
