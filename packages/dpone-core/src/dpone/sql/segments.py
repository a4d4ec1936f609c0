"""The questions of a comparison as SQL: counts, checksums and rows of segments, given how an engine spells a value."""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals, by the dialect

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Protocol

from msgspec import Struct

from dpone.schema import Field, Schema
from dpone.segments import FREE, HASHES, NULL, Extent, Form, Span, Spelled
from dpone.sql.dialect import Dialect


class Spells(Protocol):
    """How an engine says in SQL what `dpone.segments` defines."""

    def text(self, expression: str, field: Field, form: Form) -> str | None: ...  # NULL stays; None: it cannot
    def measured(self, text: str) -> str: ...  # the text behind its length in bytes and a colon
    def joined(self, texts: Sequence[str]) -> str: ...  # none of them NULL, parted by |
    def hashed(self, text: str) -> str: ...  # the first 60 bits of the MD5, as a number
    def divided(self, number: str, step: int) -> str: ...  # whole numbers that are not negative
    def hashed_alike(self, columns: Sequence[tuple[str, Field, Spelled]]) -> str: ...  # by the engine's own digest
    def summed(self, number: str) -> str: ...  # as text, modulo 2^64 or not at all


class SegmentQueries(Struct, frozen=True, dict=True):
    """`source` is the item of FROM, called `t`, whose columns are those of `schema`."""

    dialect: Dialect
    spells: Spells
    extent: Extent
    schema: Schema
    source: str

    @cached_property
    def refused(self) -> Mapping[str, str]:
        """Columns whose values cannot be spelled here, and why."""
        found: dict[str, str] = {}
        for column in self.extent.columns:
            if column.name not in self.schema:
                found[column.name] = "it is not there"
            elif self._text(column.name, column.form) is None:
                field = self.schema[column.name]
                found[column.name] = f"{field.native or field.type} cannot be spelled as {column.form.value}"
        return found

    def shape(self) -> str:
        """A query of one row: rows, rows with NULL in their key, least and greatest of the axis."""
        null = " OR ".join(f"{self._column(name)} IS NULL" for name in self._nullable_key)
        nulls = f"COALESCE(SUM(CASE WHEN {null} THEN 1 ELSE 0 END), 0)" if null else "0"
        axis = self.extent.axis
        ends = f"MIN({self._column(axis)}), MAX({self._column(axis)})" if axis else "NULL, NULL"
        return f"SELECT COUNT(*), {nulls}, {ends} FROM {self.source} WHERE {self._where()}"

    def checksums(self, spans: Sequence[Span], step: int, *, hashed: bool, own: bool) -> str:
        """A query of one row per segment: its number, its rows, the sum of their hashes."""
        first = spans[0]
        origin = first.hash_lo if hashed else first.lo or 0
        place = self._key_hash() if hashed else self._axis()
        number = self.spells.divided(f"{place} - ({origin})", step)
        columns = [(self._column(c.name), self.schema[c.name], c) for c in self.extent.columns]
        row = self.spells.hashed_alike(columns) if own else self.spells.hashed(self._row_text())
        total = self.spells.summed(row)
        return f"SELECT {number} AS n, COUNT(*), {total} FROM {self.source} WHERE {self._within(spans)} GROUP BY 1"

    def rows(self, spans: Sequence[Span]) -> str:
        """A query of the texts of the rows, column by column."""
        texts = ", ".join(self._text(c.name, c.form) or "NULL" for c in self.extent.columns)
        return f"SELECT {texts} FROM {self.source} WHERE {self._within(spans)}"

    # ------------------------------------------------------------------- pieces

    @property
    def _nullable_key(self) -> list[str]:
        return [name for name in self.extent.key if self.schema[name].nullable]

    def _column(self, name: str) -> str:
        return f"t.{self.dialect.quote(name)}"

    def _axis(self) -> str:
        assert self.extent.axis is not None  # asked by ranges only where there is one
        return self._column(self.extent.axis)

    def _text(self, name: str, form: Form) -> str | None:
        return self.spells.text(self._column(name), self.schema[name], form)

    def _part(self, name: str, form: Form) -> str:
        text = self._text(name, form)
        assert text is not None  # the column is among `refused`, and nothing more is asked
        text = self.spells.measured(text) if form in FREE else text
        return f"COALESCE({text}, '{NULL}')" if self.schema[name].nullable else text

    def _row_text(self) -> str:
        return self.spells.joined([self._part(c.name, c.form) for c in self.extent.columns])

    def _key_hash(self) -> str:
        key = [c for c in self.extent.columns if c.name in self.extent.key]
        return self.spells.hashed(self.spells.joined([self._part(c.name, c.form) for c in key]))

    def _where(self) -> str:
        return self.dialect.where(self.extent.where, "t", self.schema.fields)

    def _within(self, spans: Sequence[Span]) -> str:
        ranges: dict[tuple[int | None, int | None], list[Span]] = {}
        for span in spans:
            ranges.setdefault((span.lo, span.hi), []).append(span)
        within = " OR ".join(f"({self._inside(*limits, own)})" for limits, own in ranges.items())
        return f"{self._where()} AND ({within})" if self.extent.where else f"({within})"

    def _inside(self, lo: int | None, hi: int | None, spans: Sequence[Span]) -> str:
        terms = [] if lo is None else [f"{self._axis()} >= {lo} AND {self._axis()} < {hi}"]
        width = spans[0].hash_hi - spans[0].hash_lo
        if width < HASHES:  # as a list of numbers, since every mention of the hash computes it once more
            numbers = ", ".join(str(span.hash_lo // width) for span in spans)
            terms.append(f"{self.spells.divided(self._key_hash(), width)} IN ({numbers})")
        return " AND ".join(terms) or "1 = 1"
