"""Rows that are always the same, for engines that cannot make them themselves: what a benchmark reads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from dpone.errors import PlanError
from dpone.schema import Field, Kind, Schema
from dpone.where import Row

_BEGIN = datetime(2024, 1, 1, tzinfo=UTC)


def _digest(number: int) -> str:
    return hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()


# A value of each kind from the number `i` of its row, one in ten NULL where the column may be; spread, not sorted.
_VALUES: Mapping[Kind, Callable[[int], object]] = {
    Kind.INT: lambda i: i * 7919 % 30011,
    Kind.STRING: lambda i: (_digest(i) + "x" * (i % 20))[:40],
    Kind.DECIMAL: lambda i: Decimal(i * 7919 % 100000007).scaleb(-2),
    Kind.TIMESTAMPTZ: lambda i: _BEGIN + i * timedelta(seconds=1, microseconds=1),
    Kind.TIMESTAMP: lambda i: (_BEGIN + i * timedelta(seconds=61, milliseconds=250)).replace(tzinfo=None),
    Kind.DATE: lambda i: date(2020, 1, 1) + timedelta(days=i % 2000),
    Kind.JSON: lambda i: f'{{"number": {i}, "text": "{_digest(i * 3)}", "tags": ["a", {i % 7}]}}',
    Kind.UUID: lambda i: str(UUID(_digest(i * 5))),
    Kind.BOOL: lambda i: i % 3 == 0,
    Kind.FLOAT: lambda i: i**0.5,
}


def refuse_unmade(of: Field, kinds: Container[Kind], *, is_key: bool) -> None:
    """Raises for a column of which a benchmark makes no values."""
    if is_key and of.type.kind is not Kind.INT:
        raise PlanError(
            f"{of.name} is no number, and keys are numbered",
            code="benchmark.unknown_shape",
            hint="give the shape a key of whole numbers",
        )
    if not is_key and of.type.kind not in kinds:
        raise PlanError(
            f"{of.name}: no values are made for {of.type}",
            code="benchmark.unknown_shape",
            hint="leave the column out of the shape",
        )


def made_column(of: Field, numbers: range, *, is_key: bool) -> list[object]:
    """The values of a column in the rows of these numbers; a key is the number itself."""
    refuse_unmade(of, _VALUES, is_key=is_key)
    if is_key:
        return list(numbers)
    make, gap = _VALUES[of.type.kind], len(of.name)
    return [None if of.nullable and (i + gap) % 10 == 0 else make(i) for i in numbers]


def made_rows(schema: Schema, rows: int) -> Iterator[Row]:
    """The rows 1 to `rows`."""
    columns = [made_column(f, range(1, rows + 1), is_key=f.name in schema.key) for f in schema]
    for values in zip(*columns, strict=True):
        yield dict(zip(schema.names, values, strict=True))
