"""How SQL Server spells SQL.

Text is compared by code points. A column's own collation may say that `a` is `A`, and every collation says that `a` is
`a `: trailing blanks never count in T-SQL, nor do trailing zeros of binary values. So wherever values are told apart
here, text is compared under a binary collation and by its length.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import ClassVar

from dpone.errors import PlanError
from dpone.ops import Grain, Upsert
from dpone.schema import Field, Kind, Type
from dpone.sql import operations
from dpone.sql.dialect import Dialect
from dpone.sql.load import SqlLoad
from dpone.sql.statement import Counted, Statement, Statements
from dpone_mssql.typemap import ENGINE, TYPES, parse

BINARY_COLLATION = "Latin1_General_100_BIN2"
CLUSTERED_KEY_BYTES, KEY_BYTES = 900, 1700  # the longest keys of a clustered and of any other index

# Kinds that land in character columns.
_TEXT = frozenset({Kind.STRING, Kind.JSON, Kind.OPAQUE, Kind.INTERVAL, Kind.LIST, Kind.MAP, Kind.STRUCT})
# A backslash before the end of a line continues a literal on the next one: both signs would vanish.
_CONTINUED = re.compile(r"\\(?=\r?\n)")
_LOCKED = "WITH (UPDLOCK, HOLDLOCK)"
_NONE: Mapping[str, str] = {}


class MssqlDialect(Dialect):
    """T-SQL as SQL Server 2016 and every later one reads it."""

    name: ClassVar[str] = ENGINE
    grammar: ClassVar[str | None] = "tsql"
    max_identifier: ClassVar[int] = 128

    def identifier_length(self, identifier: str) -> int:
        """Names are nvarchar: a character beyond the first plane counts twice."""
        return _units(identifier)

    def quoted(self, identifier: str) -> str:
        """Brackets, since quotes depend on a setting of the session."""
        return "[" + identifier.replace("]", "]]") + "]"

    # ---------------------------------------------------------------- literals

    def literal(self, value: object, as_type: Type | None = None) -> str:
        """Dates and times in ISO form under a CAST: T-SQL has no typed literals, and reads others by language."""
        match value:
            case datetime():
                return super().literal(value, as_type)
            case date():
                return f"CAST('{value.isoformat()}' AS date)"
            case time():
                return f"CAST('{value.isoformat('microseconds')}' AS time(6))"
            case _:
                return super().literal(value, as_type)

    def boolean(self, value: bool) -> str:  # noqa: FBT001 - the value itself
        """A bit: there are no booleans."""
        return str(int(value))

    def text(self, value: str) -> str:
        """National, so that no code page comes between; cut where a backslash would swallow the end of a line."""
        if "\0" in value:
            raise PlanError(
                "no statement of SQL Server holds a zero character",
                code="plan.no_literal",
                hint="change the filter's value",
            )
        doubled = value.replace("'", "''")
        first, *rest = _CONTINUED.sub("\\\\\0", doubled).split("\0")
        if not rest:
            return f"N'{first}'"
        return " + ".join([f"(CAST(N'{first}' AS nvarchar(max))", *(f"N'{part}'" for part in rest)]) + ")"

    def binary(self, value: bytes) -> str:
        return f"0x{value.hex().upper()}"

    def special(self, spelled: str, as_type: Type) -> str:
        """No column holds one, so nothing can be compared with it."""
        raise PlanError(
            f"SQL Server has no {spelled}", code="plan.no_literal", hint="change the filter's value, or leave it out"
        )

    def instant(self, value: datetime, as_type: Type | None) -> str:
        return f"CAST('{value.replace(tzinfo=None).isoformat('T', 'microseconds')}+00:00' AS datetimeoffset(6))"

    def wall_clock(self, value: datetime, as_type: Type | None) -> str:
        return f"CAST('{value.isoformat('T', 'microseconds')}' AS datetime2(6))"

    # ------------------------------------------------------------- comparisons

    def equals(self, left: str, right: str, of: Type | None = None) -> str:
        """Text by code points and length, bytes by value and length: see the module."""
        match of:
            case Type(Kind.STRING):
                return _same_text(left, right)
            case Type(kind) if kind in _TEXT:  # xml and hierarchyid among them, which no collation applies to
                return _same_text(f"CONVERT(nvarchar(max), {left})", f"CONVERT(nvarchar(max), {right})")
            case Type(Kind.BINARY):
                return f"({left} = {right} AND DATALENGTH({left}) = DATALENGTH({right}))"
            case _:
                return f"{left} = {right}"

    def differs(self, left: str, right: str, of: Type | None = None) -> str:
        """By CASE: there is no IS DISTINCT FROM before 2022, and EXISTS (... EXCEPT ...) would take a window function
        of the outer query over a single row of its own.
        """
        if of is not None and of.kind in _TEXT:
            left, right = f"CONVERT(nvarchar(max), {left})", f"CONVERT(nvarchar(max), {right})"
        elif of is not None and of.kind is Kind.BINARY:  # image and geography have no equality
            left, right = f"CONVERT(varbinary(max), {left})", f"CONVERT(varbinary(max), {right})"
        same = self.equals(left, right, Type(Kind.STRING) if of is not None and of.kind in _TEXT else of)
        return f"CASE WHEN {same} OR ({left} IS NULL AND {right} IS NULL) THEN 0 ELSE 1 END = 1"

    def grouped(self, expression: str, of: Type | None) -> str:
        """Text and bytes with a mark behind, and text by code points, so that blanks and zeros at the end count."""
        if of is not None and of.kind in _TEXT:
            return f"({expression} + N'.') COLLATE {BINARY_COLLATION}"
        return (
            f"CONVERT(varbinary(max), {expression}) + 0x01" if of is not None and of.kind is Kind.BINARY else expression
        )

    def among(self, expression: str, values: tuple[object, ...], of: Type | None, *, inside: bool) -> str:
        """Text one by one, since IN compares by the column's collation."""
        known = [value for value in values if value is not None]
        if not known or of is None or of.kind not in {*_TEXT, Kind.BINARY}:
            return super().among(expression, values, of, inside=inside)
        found = " OR ".join(self.equals(expression, self.literal(value, of), of) for value in known)
        return f"({found})" if inside else f"NOT ({found})"

    def truncate(self, expression: str, grain: Grain, of: Type) -> str:
        """From parts: there is no DATETRUNC before 2022, and the usual DATEDIFF from day zero begins in 1753.

        A text is its own slice, under the collation and with the mark that let only equal ones be equal.
        """
        if grain is Grain.VALUE:
            return self.grouped(expression, of)
        if of.kind is Kind.TIMESTAMPTZ:
            expression = f"CAST(SWITCHOFFSET({expression}, '+00:00') AS datetime2(7))"
        year, month, day = (f"{part}({expression})" for part in ("YEAR", "MONTH", "DAY"))
        match grain:
            case Grain.YEAR:
                return f"DATEFROMPARTS({year}, 1, 1)"
            case Grain.MONTH:
                return f"DATEFROMPARTS({year}, {month}, 1)"
            case Grain.DAY:
                return f"CAST({expression} AS date)"
            case Grain.HOUR:
                return f"DATETIME2FROMPARTS({year}, {month}, {day}, DATEPART(hour, {expression}), 0, 0, 0, 0)"

    def concatenate(self, expressions: Sequence[str]) -> str:
        return " + ".join(expressions)

    # ------------------------------------------------------------- definitions

    def spell(self, field: Field) -> str:
        return field.native_of(self.name) or TYPES.land(field).native

    def definition(self, field: Field) -> str:
        """NULL is written out: whether it is the default depends on a setting of the session."""
        return self._definition(field, "")

    def _definition(self, field: Field, collation: str) -> str:
        collated = f" COLLATE {collation}" if collation else ""
        null = "NULL" if field.nullable else "NOT NULL"
        return f"{self.quote(field.name)} {self.spell(field)}{collated} {null}"

    def create_table(self, table: str, fields: Sequence[Field], key: Sequence[str] = ()) -> str:
        """The table with its key: see `create_heap` and `primary_key`."""
        heap = self.create_heap(table, fields, key)
        return "".join((heap.removesuffix(")"), *(f", {clause}" for clause in self.primary_key(fields, key)), ")"))

    def create_heap(
        self, table: str, fields: Sequence[Field], key: Sequence[str], collations: Mapping[str, str] = _NONE
    ) -> str:
        """The table before it has its key.

        Text of the key gets the binary collation, without which the index would refuse `A` beside `a`; `collations`
        says for which columns another one is settled already.
        """
        parts = [self._definition(f, collations.get(f.name) or self._collation(f, key)) for f in fields]
        return f"CREATE TABLE {table} ({', '.join(parts)})"

    def _collation(self, field: Field, key: Sequence[str]) -> str:
        is_bare = field.type.kind is Kind.STRING and not parse(self.spell(field)).collation
        return BINARY_COLLATION if field.name in key and is_bare else ""

    def primary_key(self, fields: Sequence[Field], key: Sequence[str]) -> tuple[str, ...]:
        """The clause for the key.

        A key too long for an index, as nvarchar(max) is, has none; the operations keep it unique all the same.
        """
        natives = [parse(self.spell(field)) for field in fields if field.name in key]
        width = sum(_width(native.name, native.size) for native in natives)
        if not key or width > KEY_BYTES:
            return ()
        kind = "CLUSTERED" if width <= CLUSTERED_KEY_BYTES else "NONCLUSTERED"
        return (f"PRIMARY KEY {kind} ({', '.join(map(self.quote, key))})",)

    def create_as(self, table: str, query: str) -> str:
        """SELECT INTO: CREATE TABLE AS is another product's."""
        return f"SELECT * INTO {table} FROM ({query}) AS q"  # noqa: S608 - quoted identifiers and encoded literals

    def add_column(self, table: str, field: Field) -> str:
        """ADD without COLUMN."""
        return f"ALTER TABLE {table} ADD {self.definition(field)}"

    def widen_column(self, table: str, field: Field) -> str:
        """The whole definition, since what is left out would fall back to a default."""
        return f"ALTER TABLE {table} ALTER COLUMN {self.definition(field)}"

    def relax_column(self, table: str, field: Field) -> str:
        """The whole definition, since there is no DROP NOT NULL."""
        return f"ALTER TABLE {table} ALTER COLUMN {self.quote(field.name)} {self.spell(field)} NULL"

    def drop_column(self, table: str, name: str) -> str:
        return f"ALTER TABLE {table} DROP COLUMN {self.quote(name)}"

    def rename(self, table: str, name: str) -> str:
        """sp_rename: there is no ALTER TABLE ... RENAME. The new name is a value there, and not quoted."""
        self.quote(name)  # which refuses one that is too long
        return f"EXEC sp_rename @objname = {self.text(table)}, @newname = {self.text(name)}, @objtype = N'OBJECT'"

    def switch(self, table: str, target: str) -> str:
        """All rows go over to an empty table of the same shape, as a change of the catalogue."""
        return f"ALTER TABLE {table} SWITCH TO {target}"

    # ------------------------------------------------------ changes of content

    def delete(self, table: str, alias: str, condition: str) -> str:
        """An alias stands in FROM alone."""
        return f"DELETE {alias} FROM {table} AS {alias} WHERE {condition}"

    def update(
        self, table: str, alias: str, assignments: Sequence[tuple[str, str]], source: str | None, condition: str
    ) -> str:
        """An alias stands in FROM alone."""
        return self._update(f"{table} AS {alias}", alias, assignments, source, condition)

    def _update(
        self, target: str, alias: str, assignments: Sequence[tuple[str, str]], source: str | None, condition: str
    ) -> str:
        sets = ", ".join(f"{self.quote(name)} = {expression}" for name, expression in assignments)
        joined = f" CROSS JOIN {source}" if source else ""
        return f"UPDATE {alias} SET {sets} FROM {target}{joined} WHERE {condition}"  # noqa: S608 - as in the class above

    def upsert(self, op: Upsert, load: SqlLoad) -> Statements:
        """UPDATE and INSERT under range locks, so that no other writer's row of the same key comes between the two.

        MERGE is one statement and yet has races of its own, and needs the same locks.
        """
        same_key = operations.on(op.key, "t", "s", load, self)
        found = f"EXISTS (SELECT 1 FROM {load.target} AS t {_LOCKED} WHERE {same_key})"  # noqa: S608 - as in the class above
        missing = operations.fill(load, self, f"NOT {found}")
        assignments = [(n, operations.incoming(n, load, self)) for n in load.names if n not in op.key]
        assignments += [(name, self.literal(value)) for name, value in load.stamps.items()]
        if op.flag is not None:
            assignments.append((op.flag, "NULL"))
        if not assignments:
            return (missing,)
        condition = f"{same_key} AND {operations.superseded(op, load, self)}"
        update = self._update(f"{load.target} AS t {_LOCKED}", "t", assignments, f"{load.live} AS s", condition)
        return (Statement(update, Counted.UPDATED), missing)


def _units(text: str) -> int:
    """The length in UTF-16."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _same_text(left: str, right: str) -> str:
    points = f"{left} COLLATE {BINARY_COLLATION} = {right} COLLATE {BINARY_COLLATION}"
    return f"({points} AND LEN({left} + N'.') = LEN({right} + N'.'))"


_WIDTHS = {"char": 1, "varchar": 1, "binary": 1, "varbinary": 1, "nchar": 2, "nvarchar": 2}
_NEVER_A_KEY = KEY_BYTES + 1
_NOT_INDEXABLE = frozenset({"text", "ntext", "image", "xml", "json", "geography", "geometry"})


def _width(name: str, size: int | None) -> int:
    """The most bytes that a value takes in an index."""
    if name in _NOT_INDEXABLE or (size is not None and size < 0):
        return _NEVER_A_KEY
    if name == "sysname":
        return 256
    return _WIDTHS[name] * (size or 1) if name in _WIDTHS else 17  # the widest other type is decimal(38)


MSSQL = MssqlDialect()
