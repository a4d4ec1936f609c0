"""Rows as they stand in a sink and rows as they must stand there, spelled alike so that they can be compared.

A sink's rows come from its testkit's independent reader. A widened type is no difference, a changed value always is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

from dpone.schema import Field, Kind, Type
from dpone.testing.suite.compare import normal, python_values
from dpone_certify.certification.seeded import WIDE, Row

if TYPE_CHECKING:
    import pyarrow as pa

Landed = tuple[Any, ...]  # the spelled values of the core columns, then the sparse ones as pairs

_EXACT = Context(prec=200)


class Speller:
    """Values as text that is equal for equal values; what was spelled once is remembered."""

    def __init__(self, core: Sequence[Field], wide: Sequence[Field]) -> None:
        self.core, self.wide = tuple(core), tuple(wide)
        self._known: dict[str, dict[Any, str]] = {f.name: {} for f in (*core, *wide)}
        self._sparse: dict[Any, tuple[tuple[str, str], ...]] = {}

    def expected(self, rows: Iterable[Mapping[str, object]], sparse: Mapping[Any, Row]) -> list[Landed]:
        """Rows that must be there; what they hold as `wide` stands for the values of `sparse`."""
        found = []
        for row in rows:
            of = row.get(WIDE)
            pairs = self._sparse.get(of)
            if pairs is None:
                pairs = self._sparse[of] = self._pairs(sparse[of]) if of is not None else ()
            found.append((*[self._spell(f, row.get(f.name)) for f in self.core], pairs))
        return found

    def _pairs(self, values: Row) -> tuple[tuple[str, str], ...]:
        return tuple((f.name, text) for f in self.wide if (text := self._spell(f, values.get(f.name))) is not None)

    def found(self, table: pa.Table) -> list[Landed]:
        """The rows of a table; LookupError when its columns are not those that must be there."""
        names = [f.name for f in (*self.core, *self.wide)]
        if sorted(table.column_names) != sorted(names):
            lost, extra = set(names) - set(table.column_names), set(table.column_names) - set(names)
            raise LookupError(f"columns are missing: {sorted(lost)[:5]}; or one too many: {sorted(extra)[:5]}")
        pairs: list[list[tuple[str, str]]] = [[] for _ in range(table.num_rows)]
        for field in self.wide:
            for n, value in _filled(table.column(field.name)):
                pairs[n].append((field.name, self._spell(field, value) or ""))
        core = [[self._spell(f, v) for v in _values(table.column(f.name))] for f in self.core]
        return [(*values, tuple(sparse)) for *values, sparse in zip(*core, pairs, strict=True)]

    def _spell(self, field: Field, value: Any) -> str | None:
        if value is None:
            return None
        known = self._known[field.name]
        try:
            text = known.get(value)
        except TypeError:  # a list or the like
            return _text(value, field.type)
        if text is None:
            text = known[value] = _text(value, field.type)
        return text

    def shown(self, row: Landed) -> dict[str, str]:
        """A row for people."""
        *core, pairs = row
        values = {f.name: text for f, text in zip(self.core, core, strict=True) if text is not None}
        return {**values, **dict(pairs)}

    def filled(self, rows: Iterable[Landed]) -> list[tuple[str, int]]:
        """How many rows hold a value in each wide column."""
        counts = dict.fromkeys((f.name for f in self.wide), 0)
        for row in rows:
            for name, _ in row[-1]:
                counts[name] += 1
        return list(counts.items())


def _filled(column: pa.ChunkedArray[Any]) -> Iterator[tuple[int, Any]]:
    """The values that are there, by the numbers of their rows: nine of ten are not."""
    import pyarrow.compute as pc

    there = pc.indices_nonzero(column.is_valid())
    numbers: list[Any] = there.to_pylist()
    return zip(numbers, _values(column.take(there)), strict=True)


def _values(column: pa.ChunkedArray[Any]) -> list[Any]:
    """Python values; instants in UTC, since Python takes one of two equal readings of a clock that was set back."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        column = column.cast(pa.timestamp(kind.unit, "UTC"))
    return python_values(column)


def _text(value: Any, of: Type) -> str:
    if of.kind is Kind.BINARY and isinstance(value, str):
        value = value.encode()  # an engine without bytes of their own, whose reader took them for text
    found = normal(value, of)
    if isinstance(found, Decimal):
        return f"{found.normalize(_EXACT):f}" if found else "0"
    return str(found) if not isinstance(found, bytes) else found.hex()
