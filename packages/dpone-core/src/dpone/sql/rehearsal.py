"""A target and its stages in SQLite's memory, on which loads are carried out by the default rendering.

Here the rendering is held against the oracle, and a compiled program is rehearsed where its own engine is not at hand.
A subclass that overrides what is said of the engine does the same on another one.
"""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals, by the dialect

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from types import TracebackType
from typing import Any, Self

from msgspec import Struct
from msgspec.structs import replace

from dpone.connector import CHANGE_COLUMNS
from dpone.errors import DataError
from dpone.ops import Append, Program
from dpone.oracle import Counts
from dpone.schema import STRING, Field, Type
from dpone.sql.dialect import Dialect
from dpone.sql.load import KEPT, Ledger, SqlLoad
from dpone.sql.perform import carry_out, validate
from dpone.sql.seal import RawStage, dead_query, live_query, present_query, read_survey, seal_checks, survey_query
from dpone.sql.sqlite import SqliteDialect, decode, encode, prepare
from dpone.stage import Change, Live, Sealed, Sealing, key_of
from dpone.where import Row

_MASK = (Field(KEPT, STRING),)
_LOAD_ID = (Field("load_id", STRING),)
_TARGET, _RAW, _LIVE, _DEAD, _PRESENT, _LEDGER = "target ☂", "raw", "live", "dead", "present", 'led"ger'


class Rehearsed(Struct, frozen=True):
    """A sealed stage: its tables, and how many entries it was made of."""

    load: SqlLoad
    received: int


class Rehearsal:
    """One target of content and system columns with the given rows. Each load is all or nothing."""

    dialect: Dialect = SqliteDialect()

    def __init__(self, columns: Sequence[Field], system: Sequence[Field] = (), rows: Iterable[Row] = ()) -> None:
        self.columns = tuple(columns)
        self._fields = (*self.columns, *system)
        self._target, self._ledger = (self.dialect.table((name,)) for name in (_TARGET, _LEDGER))
        self.open()
        self.run(self.dialect.create_table(self._target, self._fields))
        self.run(self.dialect.create_table(self._ledger, _LOAD_ID))
        self.fill(self._target, self._fields, [tuple(row.get(f.name) for f in self._fields) for row in rows])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------------- the engine

    def open(self) -> None:
        """There is a place without tables, where a statement is committed by itself unless BEGIN was said."""
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        prepare(self._connection)

    def close(self) -> None:
        self._connection.close()

    def run(self, text: str) -> int:
        """The statement is executed; the answer is its row count."""
        with closing(self._connection.execute(text)) as cursor:
            return cursor.rowcount

    def query(self, text: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with closing(self._connection.execute(text)) as cursor:
            return cursor.fetchall()

    def fill(self, table: str, fields: Sequence[Field], rows: Sequence[Sequence[object]]) -> None:
        """The rows are in the table, beside those that were."""
        marks = ", ".join("?" for _ in fields)
        encoded = [tuple(map(encode, row)) for row in rows]
        self._connection.executemany(f"INSERT INTO {table} VALUES ({marks})", encoded)

    def value(self, stored: object, of: Type) -> object:
        """The Python value of what a query answered."""
        return decode(stored, of)

    # ----------------------------------------------------------------------- loads

    def ask(self, text: str) -> Sequence[Any]:
        """The first row of a query."""
        return self.query(text)[0]

    def table(self, table: str, fields: Sequence[Field]) -> list[dict[str, object]]:
        """The rows of a table as Python values."""
        names = ", ".join(self.dialect.quote(f.name) for f in fields)
        return [
            {f.name: self.value(stored, f.type) for f, stored in zip(fields, found, strict=True)}
            for found in self.query(f"SELECT {names} FROM {table}")
        ]

    def rows(self) -> list[dict[str, object]]:
        """What the target holds."""
        return self.table(self._target, self._fields)

    def seal(self, entries: Sequence[Change], how: Sealing, *, tagged: bool = False) -> Rehearsed:
        """The entries as a sealed stage; an earlier stage is gone."""
        raw = RawStage(self.dialect.table((_RAW,)), self.columns, tagged or how.changes)
        fields = (*self.columns, *CHANGE_COLUMNS) if raw.tagged else self.columns
        for name in (_RAW, _LIVE, _DEAD, _PRESENT):
            self.run(self.dialect.drop(self.dialect.table((name,))))
        self.run(self.dialect.create_table(raw.table, fields))
        self.fill(raw.table, fields, [self._entry(e, tagged=raw.tagged) for e in entries])
        found = read_survey(self.ask(survey_query(raw, how, self.dialect)))
        for check in seal_checks(raw, how, found, self.dialect):
            check.refuse(self.ask(check.text)[0])
        key = [f for f in self.columns if f.name in how.key]
        load = SqlLoad(
            target=self._target,
            live=self._make(_LIVE, (*self.columns, *_MASK[: found.partial]), live_query(raw, how, found, self.dialect)),
            columns=self.columns,
            key=how.key,
            dead=(query := dead_query(raw, how, found, self.dialect)) and self._make(_DEAD, key, query),
            present=(query := present_query(raw, how, found, self.dialect)) and self._make(_PRESENT, key, query),
            cleared=found.cleared,
            partial=found.partial,
            ledger=Ledger(self._ledger),
        )
        return Rehearsed(load, found.received)

    def sealed(self, staged: Rehearsed, stamps: Mapping[str, object] | None = None) -> Sealed:
        """The sealed stage as `dpone.stage.seal` would answer it."""
        load = staged.load
        key = [f for f in self.columns if f.name in load.key]
        live = self.table(load.live, (*self.columns, *_MASK[: load.partial]))
        dead, present = ([] if t is None else self.table(t, key) for t in (load.dead, load.present))
        return Sealed(
            live=tuple(Live(row, self._kept(row.pop(KEPT, None))) for row in live),
            dead=tuple(key_of(row, load.key) for row in dead),
            present=tuple(key_of(row, load.key) for row in present),
            cleared=load.cleared,
            stamps=stamps or {},
        )

    def apply(self, program: Program, staged: Rehearsed, stamps: Mapping[str, object]) -> tuple[Counts, ...]:
        """The program is carried out and its load ids are remembered, or the target is as it was."""
        load = replace(staged.load, stamps=stamps)
        self.run("BEGIN")
        try:
            validate(program, load, self.dialect, self.ask)
            counts = carry_out(program, load, self.dialect, self.run, self.ask)
            for op in program:
                if isinstance(op, Append):
                    self.fill(self._ledger, _LOAD_ID, [(op.load_id,)])
        except DataError:
            self.run("ROLLBACK")
            raise
        self.run("COMMIT")
        return counts

    def _entry(self, entry: Change, *, tagged: bool) -> tuple[object, ...]:
        values = tuple(entry.row.get(f.name) for f in self.columns)
        if not tagged:
            return values
        mask = "".join("1" if f.name in entry.kept else "0" for f in self.columns) if entry.kept else None
        return (*values, entry.seq, entry.kind.value, mask)

    def _kept(self, mask: object) -> frozenset[str]:
        return frozenset(f.name for at, f in enumerate(self.columns) if mask is not None and str(mask)[at] == "1")

    def _make(self, name: str, fields: Sequence[Field], query: str) -> str:
        """A table of a query's rows, made by its fields: CREATE TABLE AS would lose how decimals are compared."""
        table = self.dialect.table((name,))
        self.run(self.dialect.create_table(table, fields))
        self.run(self.dialect.insert(table, [f.name for f in fields], query))
        return table
