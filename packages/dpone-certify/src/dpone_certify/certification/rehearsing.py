"""The default rendering on SQLite at full volume: rows go in and come out as they are stored, without a detour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dpone.schema import Field, Kind
from dpone.sql.rehearsal import Rehearsal
from dpone.sql.sqlite import encode
from dpone.where import Row

Stored = tuple[object, ...]

_AS_THEY_ARE = frozenset({Kind.INT, Kind.STRING})  # ids and texts here are stored as they are


class Spelling:
    """Rows as SQLite stores them; values that many rows share are encoded once."""

    def __init__(self) -> None:
        self._known: dict[str, dict[Any, object]] = {}

    def stored(self, rows: Sequence[Sequence[object]], fields: Sequence[Field]) -> Iterable[Stored]:
        """Rows of values, encoded column by column."""
        if not rows:
            return ()
        return zip(
            *(self._column(column, f) for column, f in zip(zip(*rows, strict=True), fields, strict=True)), strict=True
        )

    def _column(self, values: Sequence[object], field: Field) -> Sequence[object]:
        if field.type.kind in _AS_THEY_ARE:
            return values
        known = self._known.setdefault(field.name, {})
        for value in set(values) - known.keys():
            known[value] = encode(value)
        return [known[value] for value in values]

    def rows(self, rows: Iterable[Mapping[str, object]], fields: Sequence[Field]) -> list[Stored]:
        names = [f.name for f in fields]
        return list(self.stored([tuple(map(row.get, names)) for row in rows], fields))


class Rehearsed(Rehearsal):
    """A rehearsal that is fast enough for ten thousand rows in each of two hundred cases.

    `key` is indexed: SQLite would otherwise search each table once for every row of the other, 6 s instead of 0.1.
    """

    def __init__(
        self,
        spelling: Spelling,
        key: str,
        columns: Sequence[Field],
        system: Sequence[Field] = (),
        rows: Iterable[Row] = (),
    ) -> None:
        self._spelling = spelling
        self._indexes = 0
        self._key = self.dialect.quote(key)
        super().__init__(columns, system, rows)
        self._index(self._target)

    def fill(self, table: str, fields: Sequence[Field], rows: Sequence[Sequence[object]]) -> None:
        marks = ", ".join("?" for _ in fields)
        encoded = self._spelling.stored(rows, fields)
        self._connection.executemany(f"INSERT INTO {table} VALUES ({marks})", encoded)  # noqa: S608 - a quoted name

    def _make(self, name: str, fields: Sequence[Field], query: str) -> str:
        table = super()._make(name, fields, query)
        if any(self.dialect.quote(f.name) == self._key for f in fields):
            self._index(table)
        return table

    def _index(self, table: str) -> None:
        self._indexes += 1
        self.run(f"CREATE INDEX i{self._indexes} ON {table} ({self._key})")

    def stored(self) -> list[Stored]:
        """What the target holds, as it is stored."""
        names = ", ".join(self.dialect.quote(f.name) for f in self._fields)
        return self.query(f"SELECT {names} FROM {self._target}")  # noqa: S608 - quoted names
