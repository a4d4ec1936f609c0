"""Questions about a set of rows, as data: what a stage or a target is asked to prove that it holds what it should.

A probe is a tuple of measures, answered in one pass where the engine can. Engines render them as SQL, the memory
connector computes them; the answers are equal.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from dpone.where import Where


class Rows(Struct, frozen=True):
    """How many rows match `where`."""

    where: Where = ()


class Nulls(Struct, frozen=True):
    """How many rows hold NULL in the column."""

    column: str


class Duplicates(Struct, frozen=True):
    """How many rows stand beyond the first of their key; rows with a NULL in it are not counted."""

    columns: tuple[str, ...]


class Outside(Struct, frozen=True):
    """How many rows hold a value that is neither NULL nor one of `values`."""

    column: str
    values: tuple[object, ...]


class Beyond(Struct, frozen=True):
    """How many rows are NULL in the column or outside [lo, hi)."""

    column: str
    lo: object
    hi: object


class Least(Struct, frozen=True):
    column: str


class Greatest(Struct, frozen=True):
    column: str


class Total(Struct, frozen=True):
    """The exact sum of a numeric column as a Decimal; None when no row has a value."""

    column: str


Measure = Rows | Nulls | Duplicates | Outside | Beyond | Least | Greatest | Total
Probe = tuple[Measure, ...]
Measurement = Mapping[Measure, object]
