"""Questions about a set of rows, as data: what a stage or a target is asked to prove that it holds what it should.

A probe is a tuple of measures, answered in one pass where the engine can. Engines render them as SQL, the memory
connector computes them; the answers are equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dpone.where import Where


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows match `where`."""

    where: Where = ()


@dataclass(frozen=True, slots=True)
class Nulls:
    """How many rows hold NULL in the column."""

    column: str


@dataclass(frozen=True, slots=True)
class Duplicates:
    """How many rows stand beyond the first of their key; rows with a NULL in it are not counted."""

    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outside:
    """How many rows hold a value that is neither NULL nor one of `values`."""

    column: str
    values: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Beyond:
    """How many rows are NULL in the column or outside [lo, hi)."""

    column: str
    lo: object
    hi: object


@dataclass(frozen=True, slots=True)
class Least:
    column: str


@dataclass(frozen=True, slots=True)
class Greatest:
    column: str


@dataclass(frozen=True, slots=True)
class Total:
    """The exact sum of a numeric column as a Decimal; None when no row has a value."""

    column: str


Measure = Rows | Nulls | Duplicates | Outside | Beyond | Least | Greatest | Total
Probe = tuple[Measure, ...]
Measurement = Mapping[Measure, object]
